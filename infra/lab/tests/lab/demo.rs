//! The demo as a user runs it: the binary, its output and its exit code.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A demo takes 45 s; after this time it has hung.
const HANG: Duration = Duration::from_mins(3);

/// A running demo. Dropping it kills the demo and everything it started.
struct Demo {
    child: Child,
    lines: Receiver<String>,
    temporary: TempDir,
}

/// Exit status, output and temporary folder of a demo that has ended.
struct Ended {
    status: ExitStatus,
    stdout: Vec<String>,
    stderr: String,
    temporary: TempDir,
}

impl Demo {
    fn start() -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_ispmon-lab"))
            .arg("demo")
            .env("TMPDIR", temporary.path())
            // A proxy must not capture loopback traffic.
            .env("http_proxy", "http://127.0.0.1:9")
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the lab starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, temporary }
    }

    /// Reads until a line contains `text`.
    fn wait_for(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(HANG) else {
                panic!("no line contains {text:?}; there were\n{}", seen.join("\n"));
            };
            if line.contains(text) {
                return line;
            }
            seen.push(line);
        }
    }

    /// The process of this name that the demo started.
    fn part(&self, name: &str) -> Pid {
        children(self.child.id())
            .into_iter()
            .find(|child| program(*child).is_some_and(|program| program.ends_with(name)))
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .unwrap_or_else(|| panic!("the demo has no child named {name}"))
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        kill_process(id, signal).expect("the demo is running");
    }

    /// Waits for the exit and collects all output.
    fn end(mut self) -> Ended {
        let mut stdout = Vec::new();
        loop {
            match self.lines.recv_timeout(HANG) {
                Ok(line) => stdout.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("the demo hangs after\n{}", stdout.join("\n"))
                }
            }
        }
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().expect("piped");
        pipe.read_to_string(&mut stderr).expect("plain text");
        let status = self.child.wait().expect("the demo exits");
        let temporary = std::mem::replace(
            &mut self.temporary,
            tempfile::tempdir().expect("a temporary folder"),
        );
        Ended { status, stdout, stderr, temporary }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Its children are looked up before it dies: afterwards they have another parent.
        let children = children(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for child in children.into_iter().filter_map(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(child, Signal::KILL);
        }
    }
}

/// The ids of the running processes that `parent` has started.
fn children(parent: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|id| parent_of(*id) == Some(parent))
        .collect()
}

/// The second field after the program's name in `stat` is the parent (proc(5)).
fn parent_of(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// The name under which a process was started.
fn program(id: u32) -> Option<String> {
    let line = fs::read(format!("/proc/{id}/cmdline")).ok()?;
    String::from_utf8(line.split(|byte| *byte == 0).next()?.to_vec()).ok()
}

fn is_linux() -> bool {
    let linux = Path::new("/proc/self/stat").exists();
    if !linux {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!(
                "SKIPPED: the demo's processes are found in /proc, which this system does not have\n"
            ),
        );
    }
    linux
}

fn position(lines: &[String], text: &str) -> usize {
    lines
        .iter()
        .position(|line| line.contains(text))
        .unwrap_or_else(|| panic!("no line contains {text:?}:\n{}", lines.join("\n")))
}

fn is_empty(folder: &TempDir) -> bool {
    fs::read_dir(folder.path()).expect("a folder").next().is_none()
}

#[test]
fn the_demo_shows_all_steps_and_cleans_up() {
    let ended = Demo::start().end();
    let story = ended.stdout.join("\n");
    assert!(ended.status.success(), "{}\n{story}\n{}", ended.status, ended.stderr);
    assert_eq!(ended.stderr, "");
    let order = [
        "Cutting the connection between agent and cloud",
        "The connection is cut",
        "MAIL     ispmon: Fired: silence of dl-home",
        "MAIL     ispmon: still silent: dl-home for 1",
        "The connection is restored",
        "MAIL     ispmon: outage of dl-home",
        "MAIL     ispmon: Resolved: silence of dl-home",
        "ok   the first heartbeat can be queried",
        "ok   no further mail",
    ]
    .map(|text| position(&ended.stdout, text));
    assert!(order.is_sorted(), "{order:?}\n{story}");
    assert_eq!(story.matches("MAIL ").count(), 4, "{story}");
    assert!(is_empty(&ended.temporary), "the temporary folder is gone");
}

#[test]
fn the_demo_fails_at_once_when_the_function_dies() {
    if !is_linux() {
        return;
    }
    let demo = Demo::start();
    demo.wait_for("heartbeat 3");
    kill_process(demo.part("ispmon-function"), Signal::KILL).expect("the function is running");
    let ended = demo.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("the function has ended"), "{}", ended.stderr);
    assert!(
        !ended.stdout.join("\n").contains("MAIL "),
        "it does not wait for mails that cannot come"
    );
    assert!(is_empty(&ended.temporary));
}

#[test]
fn the_demo_fails_at_once_when_the_agent_dies() {
    if !is_linux() {
        return;
    }
    let demo = Demo::start();
    demo.wait_for("The connection is cut");
    kill_process(demo.part("ispmon-agent"), Signal::KILL).expect("the agent is running");
    let ended = demo.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("the agent has ended"), "{}", ended.stderr);
    assert!(ended.stdout.iter().any(|line| line.contains("--   the alert mail")));
    assert!(is_empty(&ended.temporary));
}

#[test]
fn a_signal_stops_the_demo_and_all_its_children() {
    if !is_linux() {
        return;
    }
    for (signal, name) in
        [(Signal::INT, "Ctrl-C"), (Signal::TERM, "SIGTERM"), (Signal::HUP, "SIGHUP")]
    {
        let demo = Demo::start();
        demo.wait_for("heartbeat 1");
        let parts = [demo.part("ispmon-function"), demo.part("ispmon-agent")];
        demo.signal(signal);
        let ended = demo.end();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
        for part in parts {
            let left = program(part.as_raw_pid().cast_unsigned());
            assert!(left.is_none_or(|program| !program.contains("ispmon-")), "{part:?} still runs");
        }
        assert!(is_empty(&ended.temporary));
    }
}

/// Only Linux kills a process when its parent dies.
#[cfg(target_os = "linux")]
#[test]
fn no_child_outlives_a_killed_demo() {
    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        process::{PidfdFlags, pidfd_open},
    };

    let demo = Demo::start();
    demo.wait_for("heartbeat 1");
    let parts = [demo.part("ispmon-function"), demo.part("ispmon-agent")]
        .map(|part| pidfd_open(part, PidfdFlags::empty()).expect("the part is running"));
    demo.signal(Signal::KILL);
    let hang = Timespec::try_from(HANG).expect("minutes");
    for part in &parts {
        // A pidfd becomes readable when its process exits.
        let mut ends = [PollFd::new(part, PollFlags::IN)];
        assert_eq!(poll(&mut ends, Some(&hang)), Ok(1), "the part is still running");
    }
}
