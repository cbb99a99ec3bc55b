//! A machine of its own for each test: a folder for the record, one for what runs, and programs that
//! know nothing else.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use ispmon_agent::{
    clock::Stamp,
    status::{ConnectivityStatus, Status},
};
use tempfile::TempDir;

/// The user and group that a test without rights runs programs as.
const NOBODY: u32 = 65_534;

/// Folders of a machine.
pub(crate) struct Place {
    root: TempDir,
}

/// What a run of the program came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let place = Self { root };
        fs::create_dir(place.state_dir()).expect("a folder for the record");
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// The folder of the record, and of everything else where no service manager has one.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.path().join("state")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.state_dir().join("control.sock")
    }

    /// The status of an agent that keeps its record here: of this very process, just now.
    pub(crate) fn status(&self) -> Status {
        let (now, hour) = (Stamp::now(), Duration::from_hours(1));
        let status = Status::starting("dl-home", &self.state_dir(), now, hour);
        Status { condition: ConnectivityStatus::Up, ..status }
    }

    /// Writes a status file into a folder.
    pub(crate) fn put(folder: &Path, status: &Status) {
        let json = serde_json::to_vec(status).expect("it is JSON");
        fs::write(folder.join("status.json"), json).expect("it is written");
    }

    /// `ispmon-agent ARGUMENT… --state-dir …` with nothing of this process' environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_ispmon-agent")), arguments)
    }

    fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg("--state-dir").arg(self.state_dir());
        command.current_dir(self.path()).env_clear().env("HOME", self.path()).env("TZ", "UTC");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(self.command(arguments))
    }

    /// Runs the program as somebody without any rights; nothing when this process may not.
    pub(crate) fn run_as_nobody(&self, arguments: &[&str]) -> Option<Ran> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        // The folder of the build may be closed to others.
        let copy = self.path().join("ispmon-agent");
        if !copy.exists() {
            // By another process: a program that is started by another test at this moment would
            // inherit the copy open for writing, and nobody could run it ("text file busy").
            let mut cp = Command::new("cp");
            cp.arg(env!("CARGO_BIN_EXE_ispmon-agent")).arg(&copy);
            assert!(cp.status().expect("cp starts").success(), "a copy of the program");
        }
        let mut command = self.command_of(&copy, arguments);
        command.uid(NOBODY).gid(NOBODY);
        Some(run(command))
    }

    /// A text with the test's own folder named as such.
    pub(crate) fn anonymous(&self, text: &str) -> String {
        text.replace(&self.path().display().to_string(), "[place]")
    }
}

/// Runs a program to its end.
pub(crate) fn run(mut command: Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("the program writes text");
    Ran { code: status.code(), output: text(stdout), errors: text(stderr) }
}

/// Says on a line of its own why a test was skipped, past the harness that hides what tests print.
pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
