//! The handler as a process, started like the Functions host starts it.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU16, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    PATIENCE,
    http::{Client, bare},
};

/// The handler's binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_ispmon-function");

/// A running handler. Dropping it kills the process.
pub(crate) struct Process {
    child: Child,
    pub(crate) port: u16,
    stdout: Option<ChildStdout>,
    lines: Option<Receiver<String>>,
}

impl Process {
    /// Starts the handler and reads its stdout like the host.
    pub(crate) fn start() -> Self {
        Self::start_with(&[]).reading()
    }

    /// Starts the handler with additional environment variables, without reading its stdout.
    pub(crate) fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::start_command(|| {
            let mut command = Command::new(BINARY);
            command.env_clear().envs(variables.iter().copied());
            command
        })
    }

    /// Starts a command that becomes the handler and waits until it is ready.
    pub(crate) fn start_command(command: impl Fn() -> Command) -> Self {
        // Another process may take the port before the handler listens on it.
        (0..20)
            .find_map(|_| Self::start_on(free_port(), &mut command(), Stdio::piped()))
            .expect("the handler becomes ready")
    }

    /// Starts a command that becomes the handler on a port; `None` if it exits instead.
    pub(crate) fn start_on(port: u16, command: &mut Command, stdout: Stdio) -> Option<Self> {
        let mut child = command
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the handler starts");
        let stdout = child.stdout.take();
        let mut process = Self { child, port, stdout, lines: None };
        process.wait_until_ready().then_some(process)
    }

    /// Starts reading stdout.
    pub(crate) fn reading(mut self) -> Self {
        let stdout = self.stdout.take().expect("stdout is not read yet");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = String::from_utf8(line.expect("a line")).expect("a line of text");
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        self.lines = Some(lines);
        self
    }

    /// The handler's stdout, for a test that reads it itself.
    pub(crate) fn take_stdout(&mut self) -> ChildStdout {
        self.stdout.take().expect("stdout is not read yet")
    }

    /// The next line on stdout.
    pub(crate) fn line(&self) -> Value {
        let line = self.lines().recv_timeout(PATIENCE).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Asserts that every line written so far has been taken by [`Self::line`].
    ///
    /// It sends a heartbeat as a marker: lines are in order, so its line must be the next one.
    pub(crate) fn assert_no_more_lines(&self) {
        let answer =
            super::http::once(self.port, &super::http::post("/api/ping", r#"{"device":"mark"}"#));
        assert_eq!(answer.status, 200);
        assert_eq!(
            self.line(),
            serde_json::json!({"event": "heartbeat", "device": "mark", "key": "d:mark"})
        );
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.port)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("an id");
        kill_process(id, signal).expect("a signal sent");
    }

    /// Waits for the exit and returns the status, the rest of stdout and all of stderr.
    pub(crate) fn wait(mut self) -> (ExitStatus, Vec<String>, String) {
        let status = wait(&mut self.child);
        let mut rest = Vec::new();
        if self.lines.is_some() {
            loop {
                match self.lines().recv_timeout(PATIENCE) {
                    Ok(line) => rest.push(line),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => panic!("stdout stays open"),
                }
            }
        }
        let mut errors = String::new();
        let stderr = self.child.stderr.as_mut().expect("a pipe");
        stderr.read_to_string(&mut errors).expect("text on stderr");
        (status, rest, errors)
    }

    /// Kills the handler like the host does when it stops, and checks that it was still running and had
    /// written nothing to stderr.
    pub(crate) fn end(mut self) {
        assert_eq!(self.child.try_wait().expect("a status"), None, "the handler has exited");
        self.signal(Signal::KILL);
        let (status, _, errors) = self.wait();
        assert_eq!((status.signal(), errors.as_str()), (Some(9), ""));
    }

    /// Resident memory in bytes; `None` if the system does not report it.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        // Without the mapped pages of the program itself, which are loaded on first use.
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    }

    fn lines(&self) -> &Receiver<String> {
        self.lines.as_ref().expect("stdout is read")
    }

    fn wait_until_ready(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().expect("a status").is_some() {
                return false;
            }
            if let Ok(mut client) = Client::try_connect(self.port) {
                return client.exchange(&bare("GET", "/")).status == 200;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have exited by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asserts that resident memory has grown by less than 2 MiB.
#[track_caller]
pub(crate) fn assert_flat(before: Option<u64>, after: Option<u64>) {
    let (Some(before), Some(after)) = (before, after) else {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: this system does not report a process's resident memory\n"),
        );
        return;
    };
    println!("resident memory: {before} bytes before, {after} bytes after");
    assert!(after.saturating_sub(before) < 2 * 1024 * 1024, "{before} to {after}");
}

/// Runs the handler until it exits by itself; returns its status, stdout and stderr.
pub(crate) fn run<'a>(
    variables: impl IntoIterator<Item = (&'a str, OsString)>,
) -> (ExitStatus, String, String) {
    run_command(Command::new(BINARY).env_clear().envs(variables))
}

/// Runs a command until it exits by itself; returns its status, stdout and stderr.
pub(crate) fn run_command(command: &mut Command) -> (ExitStatus, String, String) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let status = wait(&mut child);
    let text = |pipe: Option<&mut dyn Read>| {
        let mut text = String::new();
        pipe.expect("a pipe").read_to_string(&mut text).expect("text");
        text
    };
    let stdout = text(child.stdout.as_mut().map(|pipe| pipe as &mut dyn Read));
    (status, stdout, text(child.stderr.as_mut().map(|pipe| pipe as &mut dyn Read)))
}

/// A free port on loopback that no other test of this process is given.
///
/// It is below the ephemeral port range, so no outgoing connection takes it before the handler listens.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id() as u16 % 10_000;
    loop {
        let port = 10_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// The environment variables of a start on a port, as a list for [`run`].
pub(crate) fn port_variable(port: impl AsRef<OsStr>) -> [(&'static str, OsString); 1] {
    [("FUNCTIONS_CUSTOMHANDLER_PORT", port.as_ref().to_owned())]
}

fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("a status") {
            return status;
        }
        thread::sleep(Duration::from_millis(2));
    }
    // Kills it, so that no test leaves a process behind.
    let _ = child.kill();
    let _ = child.wait();
    panic!("the handler does not exit");
}
