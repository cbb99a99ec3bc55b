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

/// Where the programs of administrators are. `su` without a dash keeps the `PATH` of an ordinary user, which leaves
/// these folders out on Debian.
const ADMINISTRATION: [&str; 2] = ["/usr/sbin", "/sbin"];

/// A system: this one, or for tests one below a folder.
#[derive(Clone, Debug)]
pub struct TargetSystem {
    /// What stands before every path.
    root: PathBuf,
    /// Where programs are looked for.
    programs: OsString,
    /// The ids of the owner of what is root's.
    pub(super) administrator: (u32, u32),
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It is not there.
    #[error("there is no program {0} in PATH")]
    Absent(&'static str),
    /// It cannot be started.
    #[error("{0} cannot be started")]
    Start(&'static str, #[source] io::Error),
    /// It failed, and this is what it said.
    #[error("it ended with {status}{}", said(.text))]
    Failed {
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it wrote, on one line.
        text: String,
    },
}

impl CommandError {
    /// Whether the program ended with this exit status.
    pub fn is_status(&self, code: i32) -> bool {
        matches!(self, Self::Failed { status, .. } if status.code() == Some(code))
    }
}

/// A `PATH` with the folders of administrators behind its own.
fn with_administration(path: Option<OsString>) -> OsString {
    let given = path.filter(|path| !path.is_empty());
    let mut path = given.unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    for folder in ADMINISTRATION {
        if !env::split_paths(&path).any(|own| own == Path::new(folder)) {
            path.push(":");
            path.push(folder);
        }
    }
    path
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl TargetSystem {
    /// The system that this program runs on.
    pub fn this() -> Self {
        let programs = with_administration(env::var_os("PATH"));
        Self { root: PathBuf::from("/"), programs, administrator: (0, 0) }
    }

    /// A system whose files stand below `root`, where all that is root's is the caller's, with the programs
    /// in the folders that `programs` lists.
    pub fn below(root: &Path, programs: impl Into<OsString>) -> Self {
        let user = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        Self { root: root.to_owned(), programs: programs.into(), administrator: (user, group) }
    }

    /// Where a path of that system is found.
    pub fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Opens a program that runs now, even where it was replaced or removed since.
    pub(super) fn open_program(path: &Path) -> io::Result<File> {
        File::open(path).or_else(|error| File::open("/proc/self/exe").map_err(|_| error))
    }

    /// Runs a program and waits for its end; what it writes is returned.
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
        // What systemctl has done on its way, and is undone again, explains nothing.
        let is_reason = |line: &&str| !line.is_empty() && !line.starts_with("Created symlink");
        let text = lines.filter(is_reason).collect::<Vec<_>>().join(" ");
        Err(CommandError::Failed { status, text: text.trim_end_matches('.').to_owned() })
    }

    fn output(&self, command: &CommandLine) -> Result<Output, CommandError> {
        let mut process = Command::new(command.program);
        // What it says is read here, and shown to people.
        process.args(&command.arguments).stdin(Stdio::null()).env("LC_ALL", "C");
        // Ctrl-C is for this program alone, which undoes what it did with the help of others.
        process.process_group(0);
        process.env("SYSTEMD_COLORS", "0").env("SYSTEMD_PAGER", "");
        process.env("PATH", &self.programs);
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
    fn programs_of_administrators_are_found_whatever_the_path() {
        for (path, searched) in [
            (Some("/usr/local/bin:/usr/bin:/bin"), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"),
            (Some("/sbin:/usr/sbin:/usr/bin"), "/sbin:/usr/sbin:/usr/bin"),
            (None, "/usr/bin:/bin:/usr/sbin:/sbin"),
        ] {
            assert_eq!(with_administration(path.map(OsString::from)), searched);
        }
    }

    #[test]
    fn a_program_is_not_reached_by_what_the_keyboard_sends_to_this_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let machine = TargetSystem::below(folder.path(), "/usr/bin:/bin");
        let print = CommandLine::new("sh", ["-c", "ps -o pgid= -p $$; echo $$"]);
        let answer = machine.run(&print).expect("it runs");
        let ids: Vec<_> = answer.split_whitespace().collect();
        assert!(ids.len() == 2 && ids[0] == ids[1], "{answer}");
    }
}
