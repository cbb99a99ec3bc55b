//! An isolated machine for each test: a folder with a state folder in it, and programs without any other
//! environment.

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

/// The id of the user and group without rights that tests run programs as.
const NOBODY: u32 = 65_534;

/// The folders of one machine.
pub(crate) struct TestMachine {
    root: TempDir,
}

/// Exit code and output of a run of the program.
#[derive(Debug, PartialEq)]
pub(crate) struct CommandOutput {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl TestMachine {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755))
            .expect("the mode can be set");
        let machine = Self { root };
        fs::create_dir(machine.state_dir()).expect("the state folder is created");
        machine
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// The folder of the journal and, without a service manager, of all runtime files.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.path().join("state")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.state_dir().join("control.sock")
    }

    /// A fresh status of an agent with this state folder; its process is this one.
    pub(crate) fn status(&self) -> Status {
        let (now, hour) = (Stamp::now(), Duration::from_hours(1));
        let status = Status::starting("dl-home", &self.state_dir(), now, hour);
        Status { condition: ConnectivityStatus::Up, ..status }
    }

    /// Writes a status file into a folder.
    pub(crate) fn put(folder: &Path, status: &Status) {
        let json = serde_json::to_vec(status).expect("valid JSON");
        fs::write(folder.join("status.json"), json).expect("the file is written");
    }

    /// `ispmon-agent ARGUMENT… --state-dir …` without this process's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_ispmon-agent")), arguments)
    }

    fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg("--state-dir").arg(self.state_dir());
        command.current_dir(self.path()).env_clear().env("HOME", self.path()).env("TZ", "UTC");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> CommandOutput {
        run(self.command(arguments))
    }

    /// Runs the program as a user without any rights; `None` unless this process is root.
    pub(crate) fn run_as_nobody(&self, arguments: &[&str]) -> Option<CommandOutput> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        // Other users may have no access to the build folder.
        let copy = self.path().join("ispmon-agent");
        if !copy.exists() {
            // Copied by another process: a program that another test starts at this moment would
            // inherit the copy open for writing, and running it would fail ("text file busy").
            let mut cp = Command::new("cp");
            cp.arg(env!("CARGO_BIN_EXE_ispmon-agent")).arg(&copy);
            assert!(cp.status().expect("cp starts").success(), "a copy of the program");
        }
        let mut command = self.command_of(&copy, arguments);
        command.uid(NOBODY).gid(NOBODY);
        Some(run(command))
    }

    /// `text` with `[place]` for the path of the machine's folder.
    pub(crate) fn anonymous(&self, text: &str) -> String {
        text.replace(&self.path().display().to_string(), "[place]")
    }
}

/// Runs a program until it exits.
pub(crate) fn run(mut command: Command) -> CommandOutput {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("the program writes text");
    CommandOutput { code: status.code(), output: text(stdout), errors: text(stderr) }
}

/// Prints why a test is skipped, directly to stderr because the harness hides what tests print.
pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
