//! Reads the JSON files of the app folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

/// Why an app folder is refused.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A file or folder could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// A file cannot be parsed.
    #[error("cannot understand {path}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parse error.
        #[source]
        source: serde_json::Error,
    },
    /// A setting has a value that the real host or this stand-in does not accept.
    #[error("{path}: {reason}")]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting, its value and the expected values.
        reason: String,
    },
}

/// Reads a JSON file.
pub(super) fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, AppError> {
    let bytes =
        fs::read(path).map_err(|source| AppError::Read { path: path.to_path_buf(), source })?;
    serde_json::from_slice(&bytes)
        .map_err(|source| AppError::Parse { path: path.to_path_buf(), source })
}
