//! The origin of a value.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Where a value was set. The order is that of precedence, then of lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum SettingOrigin {
    /// The built-in default.
    Default,
    /// The host name of this machine, because no name is set.
    HostName,
    /// The configuration file.
    File {
        /// Its path.
        #[serde(with = "any_path")]
        path: PathBuf,
        /// The line of the key, from 1 on; `None` for the file as a whole.
        line: Option<usize>,
    },
    /// The `.env` of the current folder.
    DotEnv {
        /// Its path.
        #[serde(with = "any_path")]
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// The variable that the line sets.
        variable: String,
    },
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
    /// A credential that systemd hands over (`LoadCredential=`).
    Credential(#[serde(with = "any_path")] PathBuf),
}

impl SettingOrigin {
    /// A file as a whole.
    pub(super) fn file(path: &Path) -> Self {
        Self::File { path: path.to_owned(), line: None }
    }
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

/// Serialises any path: serde's own form of a path is a text, which some paths are not.
mod any_path {
    use std::{
        ffi::OsString,
        path::{Path, PathBuf},
    };

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        OsString::deserialize(from).map(PathBuf::from)
    }
}
