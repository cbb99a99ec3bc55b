//! What is to be done, as a value.

mod account;
mod configuration;
mod files;
mod installation;
mod removal;

use std::{borrow::Cow, fmt, path::PathBuf};

use super::layout::Platform;

pub use installation::{Installation, installation};
pub use removal::{Removal, removal};

/// What is to be done, in order, and what need not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps. When one fails, those before it are undone, the last first.
    pub steps: Vec<InstallStep>,
    /// What is as it should be: a phrase each.
    pub unchanged: Vec<String>,
    /// What else the user should know: a sentence each.
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, InstallStep::Undo(_)))
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallStep {
    /// Makes a folder, and those above it that are missing. To undo it, those that it made are removed.
    Folder {
        /// Its path.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Its owner.
        owner: FileOwner,
    },
    /// Gives a folder and the files in it to somebody else. To undo it, their owners get them back.
    Give {
        /// Its path.
        path: PathBuf,
        /// Who gets it.
        owner: FileOwner,
    },
    /// Puts a file there, in the place of the one that is there, as a whole. To undo it, that one returns.
    File {
        /// Its path.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Its owner.
        owner: FileOwner,
        /// What it holds.
        content: Content,
        /// Whether there is something in its place.
        replaces: bool,
    },
    /// Removes a file. To undo it, the file returns.
    Remove {
        /// Its path.
        path: PathBuf,
    },
    /// Removes a folder that is empty by then, and leaves it if it is not.
    RemoveFolder {
        /// Its path.
        path: PathBuf,
    },
    /// Removes a folder with all that is in it, when every step has succeeded: this cannot be undone.
    Discard {
        /// Its path.
        path: PathBuf,
    },
    /// Runs a program.
    Run {
        /// What is run.
        command: CommandLine,
        /// What is run to undo it, also when it failed half way.
        undo: Vec<CommandLine>,
        /// What its failure means.
        failure: OnFailure,
    },
    /// Does nothing, unless a later step fails: then this is done when that step and those between are undone.
    Undo(UndoStep),
}

impl InstallStep {
    /// Runs a program if a later step fails; that it fails then is worth a word.
    fn undo(command: CommandLine) -> Self {
        Self::Undo(UndoStep::Run { command, is_needed: true })
    }
}

/// What is only done to undo other steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UndoStep {
    /// Runs a program; its failure is not reported when it is one that may fail.
    Run {
        /// What is run.
        command: CommandLine,
        /// Whether its failure is worth a word.
        is_needed: bool,
    },
    /// Removes a folder that the service made while it was being started.
    Discard(PathBuf),
}

/// What the failure of a command means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// All is undone.
    Undo,
    /// All is undone, also when the service does not run afterwards, and what it wrote is shown: the command
    /// starts it.
    UndoStart(Platform),
    /// The user reads of it, and all goes on.
    Report,
    /// It does not matter: there was nothing to do for it.
    Ignore,
}

/// Who owns a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileOwner {
    /// The administrator.
    Root,
    /// The service's user and group.
    Service {
        /// The user's name, which is the group's too.
        name: &'static str,
        /// The user's id.
        uid: u32,
        /// The group's id.
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

/// What a file is to hold.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// A text that everybody may see.
    Text(Cow<'static, str>),
    /// A text that nobody is shown.
    Secret(String),
    /// The program that is running now.
    Program {
        /// Its path.
        from: PathBuf,
        /// Its size.
        bytes: u64,
    },
}

/// A secret stays one.
impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(formatter, "Text({text:?})"),
            Self::Secret(_) => formatter.write_str("Secret(…)"),
            Self::Program { from, .. } => write!(formatter, "Program({from:?})"),
        }
    }
}

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The program's name, which is looked for in `PATH`.
    pub program: &'static str,
    /// What follows it.
    pub arguments: Vec<String>,
}

impl CommandLine {
    /// A program with these arguments.
    pub fn new<T: Into<String>>(
        program: &'static str,
        arguments: impl IntoIterator<Item = T>,
    ) -> Self {
        Self { program, arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// A command of systemd.
    pub fn systemctl(arguments: &[&str]) -> Self {
        Self::new("systemctl", arguments.iter().copied())
    }

    /// A command of launchd.
    pub fn launchctl(arguments: &[&str]) -> Self {
        Self::new("launchctl", arguments.iter().copied())
    }
}

/// As it would be typed into a shell.
impl fmt::Display for CommandLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.program)?;
        for argument in &self.arguments {
            write!(formatter, " {}", quoted(argument))?;
        }
        Ok(())
    }
}

/// An argument as it would be typed into a shell.
pub fn quoted(argument: &str) -> Cow<'_, str> {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-=:@%+,".contains(character);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.into();
    }
    format!("'{}'", argument.replace('\'', r"'\''")).into()
}

/// As a sentence about it begins.
impl fmt::Display for InstallStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, .. } => write!(formatter, "create the folder {}", path.display()),
            Self::Give { path, owner } => {
                write!(formatter, "give {} and the files in it to {owner}", path.display())
            }
            Self::File { path, replaces: false, .. } => {
                write!(formatter, "create {}", path.display())
            }
            Self::File { path, replaces: true, .. } => {
                write!(formatter, "replace {}", path.display())
            }
            Self::Remove { path } | Self::Undo(UndoStep::Discard(path)) => {
                write!(formatter, "remove {}", path.display())
            }
            Self::RemoveFolder { path } => {
                write!(formatter, "remove the folder {} if it is empty", path.display())
            }
            Self::Discard { path } => {
                write!(formatter, "remove {} and all that is in it", path.display())
            }
            Self::Run { command, .. } | Self::Undo(UndoStep::Run { command, .. }) => {
                write!(formatter, "run {command}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
