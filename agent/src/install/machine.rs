//! The system that is changed: its files and its programs.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::plan::CommandLine;

/// The folders of administration programs. `su` without a dash keeps the `PATH` of an ordinary user, which
/// does not contain them on Debian.
const ADMINISTRATION_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// The system to install on: this one, or in tests one below a folder.
#[derive(Clone, Debug)]
pub struct TargetSystem {
    /// The prefix of every path.
    root: PathBuf,
    /// The `PATH` to search for programs.
    search_path: OsString,
    /// The user and group id of root; in tests, those of the caller.
    pub(super) administrator: (u32, u32),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program does not exist.
    #[error("there is no program {0} in PATH")]
    Absent(&'static str),
    /// The program cannot be started.
    #[error("{0} cannot be started")]
    Start(&'static str, #[source] io::Error),
    /// The program ended with a failure.
    #[error("it ended with {status}{}", output_suffix(.text))]
    Failed {
        /// Its exit status.
        status: std::process::ExitStatus,
        /// Its output, on one line.
        text: String,
    },
}

impl CommandError {
    /// Whether the program ended with this exit status.
    pub fn has_exit_code(&self, code: i32) -> bool {
        matches!(self, Self::Failed { status, .. } if status.code() == Some(code))
    }
}

/// Appends the administration folders to a `PATH` that does not contain them.
fn with_administration_folders(path: Option<OsString>) -> OsString {
    let given = path.filter(|path| !path.is_empty());
    let mut path = given.unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    for folder in ADMINISTRATION_FOLDERS {
        if !env::split_paths(&path).any(|own| own == Path::new(folder)) {
            path.push(":");
            path.push(folder);
        }
    }
    path
}

fn output_suffix(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl TargetSystem {
    /// The system that this program runs on.
    pub fn this() -> Self {
        let programs = with_administration_folders(env::var_os("PATH"));
        Self { root: PathBuf::from("/"), search_path: programs, administrator: (0, 0) }
    }

    /// A system whose files lie below `root` and belong to the caller instead of root, with its programs in
    /// the folders of the `PATH` `programs`.
    pub fn below(root: &Path, programs: impl Into<OsString>) -> Self {
        let user = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        Self { root: root.to_owned(), search_path: programs.into(), administrator: (user, group) }
    }

    /// The real path of a path in this system.
    pub fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Opens the running program, even if the file was replaced or removed in the meantime.
    pub(super) fn open_program(path: &Path) -> io::Result<File> {
        File::open(path).or_else(|error| File::open("/proc/self/exe").map_err(|_| error))
    }

    /// Runs a command to its end and returns its standard output.
    ///
    /// # Errors
    /// All [`CommandError`]s.
    pub fn run(&self, command: &CommandLine) -> Result<String, CommandError> {
        let Output { status, stdout, stderr } = self.output(command)?;
        let stdout = String::from_utf8_lossy(&stdout);
        if status.success() {
            return Ok(stdout.into_owned());
        }
        let stderr = String::from_utf8_lossy(&stderr);
        let lines = stderr.lines().chain(stdout.lines()).map(str::trim);
        // systemctl prints the links that it creates even when it fails and removes them again.
        let is_reason = |line: &&str| !line.is_empty() && !line.starts_with("Created symlink");
        let text = lines.filter(is_reason).collect::<Vec<_>>().join(" ");
        Err(CommandError::Failed { status, text: text.trim_end_matches('.').to_owned() })
    }

    fn output(&self, command: &CommandLine) -> Result<Output, CommandError> {
        let mut process = Command::new(command.program);
        // The output is parsed here and shown to the user, so it must be in English.
        process.args(&command.arguments).stdin(Stdio::null()).env("LC_ALL", "C");
        // Ctrl-C must reach only this program, which rolls back by running further commands.
        process.process_group(0);
        process.env("SYSTEMD_COLORS", "0").env("SYSTEMD_PAGER", "");
        process.env("PATH", &self.search_path);
        process.output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CommandError::Absent(command.program),
            _ => CommandError::Start(command.program, error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administration_programs_are_found_with_any_path() {
        for (path, searched) in [
            (Some("/usr/local/bin:/usr/bin:/bin"), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"),
            (Some("/sbin:/usr/sbin:/usr/bin"), "/sbin:/usr/sbin:/usr/bin"),
            (None, "/usr/bin:/bin:/usr/sbin:/sbin"),
        ] {
            assert_eq!(with_administration_folders(path.map(OsString::from)), searched);
        }
    }

    #[test]
    fn a_command_runs_in_its_own_process_group() {
        let folder = tempfile::tempdir().expect("a folder");
        let machine = TargetSystem::below(folder.path(), "/usr/bin:/bin");
        let print = CommandLine::new("sh", ["-c", "ps -o pgid= -p $$; echo $$"]);
        let answer = machine.run(&print).expect("it runs");
        let ids: Vec<_> = answer.split_whitespace().collect();
        assert!(ids.len() == 2 && ids[0] == ids[1], "{answer}");
    }
}
