//! Runs this test executable as a child process that writes a journal.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use ispmon_agent::{
    clock::{BootId, Stamp},
    journal::{Appended, Entry, Journal},
};
use tempfile::TempDir;

/// The variable that makes this executable the writer; its value is the folder of the journal.
const FOLDER: &str = "ISPMON_TEST_JOURNAL";

pub(crate) fn at(seconds: u64) -> Stamp {
    let wall = jiff::Timestamp::from_second(1_800_000_000).expect("a time");
    Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall }.later(Duration::from_secs(seconds))
}

/// A process that writes a journal: it appends one record per input line and prints the outcome.
pub(crate) struct Writer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Writer {
    /// Starts a writer, after a shell command that prepares its disk if there is one.
    pub(crate) fn start(folder: &Path, preparation: Option<&str>) -> Self {
        let own = env::current_exe().expect("the path of this executable");
        let mut command = match preparation {
            None => Command::new(&own),
            Some(preparation) => {
                let mut command = Command::new("unshare");
                command.args(["--mount", "sh", "-c"]);
                command.arg(format!("{preparation} && exec \"$0\" \"$@\"")).arg(&own);
                command
            }
        };
        command.args([
            "journal::child::a_process_writes_for_another",
            "--exact",
            "--nocapture",
            "-q",
        ]);
        Self::spawn(command, folder)
    }

    /// Starts a writer as another user.
    pub(crate) fn start_as(user: u32, folder: &Path) -> Self {
        let mut command = Command::new(env::current_exe().expect("the path of this executable"));
        command.args([
            "journal::child::a_process_writes_for_another",
            "--exact",
            "--nocapture",
            "-q",
        ]);
        command.uid(user).gid(user);
        Self::spawn(command, folder)
    }

    fn spawn(mut command: Command, folder: &Path) -> Self {
        command.env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the writer starts");
        let input = child.stdin.take().expect("the writer reads its input");
        let output = BufReader::new(child.stdout.take().expect("the writer's output is readable"));
        let mut writer = Self { child, input, output };
        writer.read_answer("ready");
        writer
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a line and returns the answer.
    pub(crate) fn send(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").expect("the writer reads its input");
        self.read_answer("")
    }

    /// The next answer with this beginning; skips the lines that the test harness prints.
    fn read_answer(&mut self, beginning: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("the writer's output is readable");
            assert_ne!(read, 0, "the writer has ended");
            if let Some(answer) = line.trim_end().strip_prefix("> ")
                && answer.starts_with(beginning)
            {
                return answer.to_owned();
            }
        }
    }

    /// Lets the writer append as fast as it can and kills it after `records` acknowledged records;
    /// returns all records that it has acknowledged.
    pub(crate) fn kill_after(mut self, records: usize) -> Vec<(u64, String)> {
        writeln!(self.input, "flood").expect("the writer reads its input");
        let mut acknowledged = Vec::new();
        let mut line = String::new();
        while self.output.read_line(&mut line).expect("the writer's output is readable") > 0 {
            if line.ends_with('\n')
                && let Some(answer) = line.trim_end().strip_prefix("> durable ")
            {
                let (seq, digest) = answer.split_once(' ').expect("a number and a hash");
                acknowledged.push((seq.parse().expect("a number"), digest.to_owned()));
            }
            if acknowledged.len() == records {
                self.child.kill().expect("the writer runs");
            }
            line.clear();
        }
        acknowledged
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child process of the tests if [`FOLDER`] is set; otherwise a test that starts one.
#[test]
fn a_process_writes_for_another() {
    if let Some(folder) = env::var_os(FOLDER) {
        return write(Path::new(&folder));
    }
    let folder = TempDir::new().expect("a folder");
    let mut writer = Writer::start(folder.path(), None);
    assert!(writer.send("a reason").starts_with("durable "));
    assert_eq!(writer.send("flushed"), "flushed");
    let kept = fs::read_to_string(folder.path().join("journal.ndjson")).expect("a journal");
    assert!(kept.contains("\"a reason\""), "{kept}");
}

fn write(folder: &Path) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (journal, _) = Journal::open(folder, "dl-home", at(0)).expect("the journal opens");
    println!("\n> ready");
    let mut lines = std::io::stdin().lines();
    while let Some(Ok(line)) = lines.next() {
        match line.as_str() {
            "flushed" => {
                let mut state = journal.subscribe();
                runtime
                    .block_on(state.wait_for(|state| state.waiting == 0))
                    .expect("the journal is open");
                println!("> flushed");
            }
            "problem" => {
                let state = journal.state();
                let (problem, advice) = (state.problem.unwrap_or("none".to_owned()), state.advice);
                println!("> {problem} {}", advice.unwrap_or_default());
            }
            "flood" => runtime.block_on(flood(&journal)),
            text => {
                let entry = Entry::AgentStopped { reason: text.to_owned() };
                print(runtime.block_on(journal.append(entry, at(1))));
            }
        }
    }
}

/// Appends records of all sizes without end, several at once.
async fn flood(journal: &Journal) {
    for number in 0_usize.. {
        let appending: Vec<_> = (0..=number % 4)
            .map(|part| {
                let reason = "x".repeat(number * 7_919 % 20_000 + part);
                journal.append(Entry::AgentStopped { reason }, at(number as u64))
            })
            .collect();
        for one in appending {
            print(one.await);
        }
    }
}

fn print(appended: Appended) {
    match appended {
        Appended::Durable { seq, digest } => println!("> durable {seq} {digest}"),
        Appended::Waiting => println!("> waiting"),
        Appended::Dropped => println!("> dropped"),
    }
}
