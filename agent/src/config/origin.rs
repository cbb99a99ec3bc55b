//! Where a value came from.

use std::{fmt, path::PathBuf};

/// The place that a value was given at. The order is that of precedence, then of lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingOrigin {
    /// Nobody gave a value.
    Default,
    /// Nobody gave a value; the name of this machine stands in.
    HostName,
    /// The configuration file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line of the key, from 1 on; none when the whole file is meant.
        line: Option<usize>,
    },
    /// The `.env` of the current folder.
    DotEnv {
        /// Its path.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// The variable that the line sets.
        variable: String,
    },
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
    /// A credential that systemd hands over (`LoadCredential=`).
    Credential(PathBuf),
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::HostName => formatter.write_str("the name of this machine"),
            Self::File { path, line: Some(line) } => {
                write!(formatter, "{}, line {line}", path.display())
            }
            Self::File { path, line: None } => path.display().fmt(formatter),
            Self::DotEnv { path, line, variable } => {
                write!(formatter, "{}, line {line} ({variable})", path.display())
            }
            Self::Variable(name) => write!(formatter, "variable {name}"),
            Self::Flag(flag) => write!(formatter, "flag {flag}"),
            Self::Credential(path) => write!(formatter, "systemd credential {}", path.display()),
        }
    }
}
