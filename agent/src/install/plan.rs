//! The steps of an installation or removal, as a value.

mod account;
mod configuration;
mod files;
mod installation;
mod removal;

use std::{borrow::Cow, fmt, path::PathBuf};

use super::layout::Platform;

pub use installation::{InstallRequest, plan_installation};
pub use removal::{RemovalRequest, plan_removal};

/// What to change, in order, and what needs no change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps. When one fails, those before it are undone in reverse order.
    pub steps: Vec<InstallStep>,
    /// One phrase for each thing that needs no change.
    pub unchanged: Vec<String>,
    /// One sentence for each thing that the user should know.
    pub notes: Vec<String>,
    /// The user account that the steps remove for good.
    pub removed_user: Option<&'static str>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, InstallStep::OnRollback(_)))
    }

    /// Everything that is gone for good afterwards: paths, and the user.
    pub fn losses(&self) -> Vec<String> {
        let path = |step: &InstallStep| match step {
            InstallStep::Remove { path } | InstallStep::Discard { path } => {
                Some(path.display().to_string())
            }
            InstallStep::RemoveFolder { path } => {
                Some(format!("{}, if it is empty then", path.display()))
            }
            _ => None,
        };
        let user = self.removed_user.map(|user| format!("the user {user}"));
        self.steps.iter().filter_map(path).chain(user).collect()
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallStep {
    /// Creates a folder and its missing parents. Undo: removes those that the step created.
    Folder {
        /// Its path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        owner: FileOwner,
    },
    /// Changes the owner of a folder and the files in it. Undo: restores the previous owners.
    ChangeOwner {
        /// Its path.
        path: PathBuf,
        /// The new owner.
        owner: FileOwner,
    },
    /// Writes a file, atomically replacing an existing one. Undo: restores the previous file.
    File {
        /// Its path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        owner: FileOwner,
        /// Its content.
        content: Content,
        /// Whether it replaces an existing file or link.
        replaces: bool,
    },
    /// Removes a file. Undo: restores it.
    Remove {
        /// Its path.
        path: PathBuf,
    },
    /// Removes a folder if it is empty when all other steps have succeeded.
    RemoveFolder {
        /// Its path.
        path: PathBuf,
    },
    /// Removes a folder with everything in it, after every step has succeeded; it cannot be undone.
    Discard {
        /// Its path.
        path: PathBuf,
    },
    /// Runs a command.
    Run {
        /// The command.
        command: CommandLine,
        /// The commands that undo it, also after it has failed half-way.
        undo: Vec<CommandLine>,
        /// How to react when it fails.
        failure: OnFailure,
    },
    /// Does nothing now. When a later step fails, this action runs in the rollback, at the position of this
    /// step.
    OnRollback(UndoStep),
}

impl InstallStep {
    /// Runs a command that needs no undoing.
    fn run(command: CommandLine, failure: OnFailure) -> Self {
        Self::Run { command, undo: Vec::new(), failure }
    }

    /// Runs a command in the rollback, and reports its failure.
    fn undo(command: CommandLine) -> Self {
        Self::OnRollback(UndoStep::Run { command, reports_failure: true })
    }
}

/// An action that runs only in a rollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UndoStep {
    /// Runs a command.
    Run {
        /// The command.
        command: CommandLine,
        /// Whether its failure is reported to the user.
        reports_failure: bool,
    },
    /// Removes a folder that the service created while it was being started.
    Discard(PathBuf),
}

/// The reaction to a command that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Roll back.
    RollBack,
    /// Roll back, also when the service does not run after the command, and show its output: the command
    /// starts it.
    RollBackStart(Platform),
    /// Report it to the user and continue.
    Report,
    /// Ignore it: there was nothing to do for the command.
    Ignore,
}

/// The owner of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileOwner {
    /// root.
    Root,
    /// The service's user and group.
    Service {
        /// The name of the user and of its group.
        name: &'static str,
        /// The user id.
        uid: u32,
        /// The group id.
        gid: u32,
    },
}

impl fmt::Display for FileOwner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => formatter.write_str("root"),
            Self::Service { name, .. } => formatter.write_str(name),
        }
    }
}

/// The content to write to a file.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// A text that may be shown.
    Text(Cow<'static, str>),
    /// A text that must not be shown.
    Secret(String),
    /// A copy of the running program.
    Program {
        /// Its path.
        from: PathBuf,
        /// Its size in bytes.
        bytes: u64,
    },
}

/// Never prints a secret.
impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(formatter, "Text({text:?})"),
            Self::Secret(_) => formatter.write_str("Secret(…)"),
            Self::Program { from, .. } => write!(formatter, "Program({from:?})"),
        }
    }
}

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The name of the program, which is searched for in `PATH`.
    pub program: &'static str,
    /// The arguments.
    pub arguments: Vec<String>,
}

impl CommandLine {
    /// The command line of `program` with these arguments.
    pub fn new<T: Into<String>>(
        program: &'static str,
        arguments: impl IntoIterator<Item = T>,
    ) -> Self {
        Self { program, arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// A systemctl command.
    pub fn systemctl(arguments: &[&str]) -> Self {
        Self::new("systemctl", arguments.iter().copied())
    }

    /// A launchctl command.
    pub fn launchctl(arguments: &[&str]) -> Self {
        Self::new("launchctl", arguments.iter().copied())
    }
}

/// As typed into a shell.
impl fmt::Display for CommandLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.program)?;
        for argument in &self.arguments {
            write!(formatter, " {}", quoted(argument))?;
        }
        Ok(())
    }
}

/// An argument as typed into a shell.
pub fn quoted(argument: &str) -> Cow<'_, str> {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-=:@%+,".contains(character);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.into();
    }
    format!("'{}'", argument.replace('\'', r"'\''")).into()
}

/// As the verb phrase of a sentence, such as `replace /etc/ispmon/agent.toml`.
impl fmt::Display for InstallStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, .. } => write!(formatter, "create the folder {}", path.display()),
            Self::ChangeOwner { path, owner } => {
                write!(formatter, "give {} and the files in it to {owner}", path.display())
            }
            Self::File { path, replaces: false, .. } => {
                write!(formatter, "create {}", path.display())
            }
            Self::File { path, replaces: true, .. } => {
                write!(formatter, "replace {}", path.display())
            }
            Self::Remove { path } | Self::OnRollback(UndoStep::Discard(path)) => {
                write!(formatter, "remove {}", path.display())
            }
            Self::RemoveFolder { path } => {
                write!(formatter, "remove the folder {} if it is empty", path.display())
            }
            Self::Discard { path } => {
                write!(formatter, "remove {} and all that is in it", path.display())
            }
            Self::Run { command, .. } | Self::OnRollback(UndoStep::Run { command, .. }) => {
                write!(formatter, "run {command}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
