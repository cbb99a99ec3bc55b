//! The agent as a child process in a temporary folder.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::Instant;

/// How long a test waits for an expected event; only a test that hangs reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// How long a test sleeps between two polls.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A temporary folder with a configuration file. The environment of programs that are started in it
/// has little more than a state folder and an anchor on this machine that always accepts.
pub(crate) struct Folder {
    folder: TempDir,
    anchor: SocketAddr,
}

impl Folder {
    /// A folder whose configuration file contains `configuration`.
    pub(crate) fn with(configuration: &str) -> Self {
        let anchor = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let folder = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            anchor: anchor.local_addr().expect("an address"),
        };
        thread::spawn(move || anchor.incoming().for_each(drop));
        folder.configure(configuration);
        folder
    }

    /// Replaces the configuration file.
    pub(crate) fn configure(&self, configuration: &str) {
        fs::write(self.file(), configuration).expect("the configuration is written");
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.path().join("agent.toml")
    }

    /// `ispmon-agent ARGUMENT… --config agent.toml` without this process's environment.
    pub(crate) fn command<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = self.bare_command(arguments);
        command.arg("--config").arg(self.file());
        command
    }

    /// `ispmon-agent ARGUMENT…` without `--config` and without this process's environment.
    pub(crate) fn bare_command<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ispmon-agent"));
        command.args(arguments).env_clear().env("HOME", self.path()).current_dir(self.path());
        command.env("ISPMON_STATE_DIR", self.path().join("state"));
        command.env("ISPMON_PROBE_ANCHORS", self.anchor.to_string());
        command.env("ISPMON_PROBE_PORTAL", "off");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts `ispmon-agent run` and reads its log.
    pub(crate) fn run(&self) -> Agent {
        Agent::spawn(&mut self.command(["run"]))
    }
}

/// A running agent, killed on drop.
pub(crate) struct Agent {
    child: Child,
    log: Option<Receiver<String>>,
    seen: String,
}

impl Agent {
    /// Starts `command` and reads its standard error unless that is redirected.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the agent starts");
        let log = child.stderr.take().map(lines);
        Self { child, log, seen: String::new() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a log line that contains `text` and returns it.
    pub(crate) fn wait_for_log(&mut self, text: &str) -> String {
        let log = self.log.as_ref().expect("the log is read");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push_str(&line);
                    self.seen.push('\n');
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("no {text:?} ({error}) in the log:\n{}", self.seen),
            }
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, signal).expect("the agent runs");
    }

    /// Waits until the agent exits; returns its exit status and the whole log.
    pub(crate) fn wait_for_exit(mut self) -> (ExitStatus, String) {
        let (sender, receiver) = mpsc::channel::<()>();
        let process = rustix::process::Pid::from_child(&self.child);
        let guard = thread::spawn(move || {
            if receiver.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            }
        });
        let status = self.child.wait().expect("the agent exits");
        drop(sender);
        guard.join().expect("the guard thread ends");
        for line in self.log.take().into_iter().flatten() {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
        let log = std::mem::take(&mut self.seen);
        assert_ne!(status.signal(), Some(9), "the agent had to be killed; its log:\n{log}");
        (status, log)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads an output line by line in a thread of its own.
pub(crate) fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
