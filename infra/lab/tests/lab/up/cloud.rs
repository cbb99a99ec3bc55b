//! A running `ispmon-lab up` and its output.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use crate::http::Connection;

/// The function key of these tests.
pub(crate) const KEY: &str = "a-key-for-tests";
/// Timeout for a hanging test.
const DEADLINE: Duration = Duration::from_mins(1);

/// A running lab. Dropping it stops the lab and its function.
pub(crate) struct Cloud {
    child: Option<Child>,
    printed: Arc<Printed>,
    address: SocketAddr,
    temporary: Option<TempDir>,
    home: Option<TempDir>,
}

/// What remains of a lab that has exited.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
    /// Its folder for temporary files.
    pub(crate) temporary: TempDir,
    /// Its working directory.
    pub(crate) home: TempDir,
}

#[derive(Default)]
struct Printed {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

fn command(home: &Path, temporary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ispmon-lab"));
    command.arg("up").args(arguments).current_dir(home).env("TMPDIR", temporary);
    command.env_remove("ISPMON_LAB_KEY");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a lab that must fail at its start.
pub(crate) fn fail(arguments: &[&str]) -> Ended {
    let home = tempfile::tempdir().expect("a folder");
    let temporary = tempfile::tempdir().expect("a folder");
    let output =
        command(home.path(), temporary.path(), arguments).output().expect("the lab starts");
    let stderr = String::from_utf8(output.stderr).expect("text");
    Ended { status: output.status, stderr, temporary, home }
}

impl Cloud {
    /// Starts a lab with [`KEY`].
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        fs::write(home.path().join("key"), KEY).expect("a file");
        Self::launch(home, &[arguments, &["--key-file", "key"]].concat())
    }

    pub(crate) fn start_without_key() -> Self {
        Self::launch(tempfile::tempdir().expect("a folder"), &[])
    }

    fn launch(home: TempDir, arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        let arguments = [arguments, &["--listen", "127.0.0.1:0"]].concat();
        let mut child =
            command(home.path(), temporary.path(), &arguments).spawn().expect("the lab starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let printed = Arc::new(Printed::default());
        let reader = Arc::clone(&printed);
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                reader.lines.lock().expect("no panic").push(line);
                reader.more.notify_all();
            }
        });
        let any = ([127, 0, 0, 1], 0).into();
        let mut cloud = Self {
            child: Some(child),
            printed,
            address: any,
            temporary: Some(temporary),
            home: Some(home),
        };
        let line = cloud.wait_for("heartbeats ");
        let (_, rest) = line.split_once("http://").expect("a URL");
        cloud.address = rest.trim_end_matches("/api/ping").parse().expect("an address");
        cloud
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/ping", self.address)
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Waits until a line contains `text`, and returns it.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_for_lines(text, 1)
    }

    /// Waits until `count` lines contain `text`, and returns the last of them.
    pub(crate) fn wait_for_lines(&self, text: &str, count: usize) -> String {
        let find = |lines: &[String]| {
            lines.iter().filter(|line| line.contains(text)).nth(count - 1).cloned()
        };
        let lines = self.printed.lines.lock().expect("no panic");
        let waited =
            self.printed.more.wait_timeout_while(lines, DEADLINE, |lines| find(lines).is_none());
        let (lines, _) = waited.expect("no panic");
        find(&lines)
            .unwrap_or_else(|| panic!("no {count} lines contain {text:?}:\n{}", lines.join("\n")))
    }

    /// The number of lines that contain `text` so far.
    pub(crate) fn lines_with(&self, text: &str) -> usize {
        let lines = self.printed.lines.lock().expect("no panic");
        lines.iter().filter(|line| line.contains(text)).count()
    }

    /// The output before any event.
    pub(crate) fn guide(&self) -> String {
        self.wait_for("Times are UTC");
        self.printed.lines.lock().expect("no panic").join("\n")
    }

    fn id(&self) -> u32 {
        self.child.as_ref().expect("the lab is running").id()
    }

    /// The function's process, if there is a /proc to find it in.
    pub(crate) fn function(&self) -> Option<Pid> {
        children(self.id()).into_iter().next()
    }

    /// The function's resident memory in kB.
    pub(crate) fn function_memory(&self) -> Option<u64> {
        let process = self.function()?.as_raw_nonzero();
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        // Without the mapped pages of the program itself, which are loaded on first use.
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Sends a signal and waits for the exit.
    pub(crate) fn end(self, signal: Signal) -> Ended {
        send(self.id(), signal);
        self.wait()
    }

    /// Waits for the exit.
    pub(crate) fn wait(mut self) -> Ended {
        let mut child = self.child.take().expect("the lab is running");
        let mut stderr = String::new();
        let mut pipe = child.stderr.take().expect("piped");
        pipe.read_to_string(&mut stderr).expect("text");
        let status = child.wait().expect("the lab exits");
        let (temporary, home) = (self.temporary.take(), self.home.take());
        Ended { status, stderr, temporary: temporary.expect("kept"), home: home.expect("kept") }
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // A lab that gets SIGTERM stops its function, however early that is.
        if let Some(process) = Pid::from_raw(child.id().cast_signed()) {
            let _ = kill_process(process, Signal::TERM);
        }
        for _ in 0..3_000 {
            if let Ok(Some(_)) = child.try_wait() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let children = children(child.id());
        let _ = child.kill();
        let _ = child.wait();
        for process in children {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

fn send(id: u32, signal: Signal) {
    let process = Pid::from_raw(id.cast_signed()).expect("a process id");
    kill_process(process, signal).expect("the process is running");
}

pub(crate) fn is_gone(process: Pid) -> bool {
    test_kill_process(process).is_err()
}

/// The processes that `parent` has started, if /proc lists them.
fn children(parent: u32) -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|id| parent_of(*id) == Some(parent))
        .filter_map(Pid::from_raw)
        .collect()
}

/// The second field after the program's name in `stat` is the parent (proc(5)).
fn parent_of(id: i32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}
