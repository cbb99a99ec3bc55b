//! The function key that clients need, and where it comes from.

use std::{
    env, fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use uuid::Uuid;

/// The environment variable that may contain the key.
pub const VARIABLE: &str = "ISPMON_LAB_KEY";

/// The function key, and a file from which an agent can read it.
#[derive(Debug)]
pub struct Key {
    value: String,
    source: KeySource,
    file: KeyFile,
}

/// The origin of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The command line.
    Argument,
    /// The file named on the command line.
    File,
    /// The environment variable.
    Environment,
    /// Generated at random.
    Random,
}

#[derive(Debug)]
enum KeyFile {
    Given(PathBuf),
    /// Removed when the lab exits.
    Temporary(NamedTempFile),
}

/// Why there is no usable key.
#[derive(Debug, thiserror::Error)]
pub enum LabKeyError {
    /// The key file could not be read.
    #[error("cannot read the key file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// The key file for the agent could not be created.
    #[error("cannot make a key file for the agent in {folder}")]
    Write {
        /// The folder.
        folder: PathBuf,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// The key cannot be sent in a header.
    #[error("the function key in {origin} cannot be used: {reason}")]
    Unusable {
        /// The file or the variable.
        origin: String,
        /// The reason.
        reason: String,
    },
}

impl Key {
    /// Returns the key from the command line, the file named there, the variable, or a new one.
    pub fn choose(argument: Option<&str>, file: Option<&Path>) -> Result<Self, LabKeyError> {
        if let Some(path) = file {
            let text = fs::read_to_string(path)
                .map_err(|source| LabKeyError::Read { path: path.to_path_buf(), source })?;
            let key = usable(&path.display().to_string(), &text)?;
            let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
            return Ok(Self { value: key, source: KeySource::File, file: KeyFile::Given(path) });
        }
        let (key, source) = match (argument, env::var(VARIABLE)) {
            (Some(key), _) => (key.to_owned(), KeySource::Argument),
            (None, Ok(key)) => (usable(VARIABLE, &key)?, KeySource::Environment),
            (None, Err(_)) => (Uuid::new_v4().simple().to_string(), KeySource::Random),
        };
        let file = KeyFile::Temporary(write(&key)?);
        Ok(Self { value: key, source, file })
    }

    /// The key.
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// The origin of the key.
    pub const fn source(&self) -> KeySource {
        self.source
    }

    /// A file with the key, for the agent.
    pub fn file(&self) -> &Path {
        match &self.file {
            KeyFile::Given(path) => path,
            KeyFile::Temporary(file) => file.path(),
        }
    }
}

/// Refuses characters that a header cannot carry.
pub fn check(key: &str) -> Result<String, String> {
    let key = key.trim();
    if key.is_empty() {
        return Err("it is empty".to_owned());
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it contains something else than visible ASCII characters".to_owned());
    }
    Ok(key.to_owned())
}

fn usable(origin: &str, key: &str) -> Result<String, LabKeyError> {
    check(key).map_err(|reason| LabKeyError::Unusable { origin: origin.to_owned(), reason })
}

/// Creates a file that only this user can read, which is `tempfile`'s default mode.
fn write(key: &str) -> Result<NamedTempFile, LabKeyError> {
    let folder = env::temp_dir();
    let written = tempfile::Builder::new()
        .prefix("ispmon-lab-")
        .suffix(".key")
        .tempfile_in(&folder)
        .and_then(|mut file| file.write_all(key.as_bytes()).map(|()| file));
    written.map_err(|source| LabKeyError::Write { folder, source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_read_from_file_or_argument_or_generated() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        fs::write(&path, "from-file\n").expect("a file");
        let key = Key::choose(None, Some(&path)).expect("a key");
        assert_eq!((key.expose(), key.source()), ("from-file", KeySource::File));

        let key = Key::choose(Some("argument"), None).expect("a key");
        assert_eq!((key.expose(), key.source()), ("argument", KeySource::Argument));
        assert_eq!(fs::read_to_string(key.file()).expect("a file"), "argument");
        let mode = fs::metadata(key.file()).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let temporary = key.file().to_path_buf();
        drop(key);
        assert!(!temporary.exists());
    }

    #[test]
    fn a_key_invalid_in_a_header_is_refused_with_its_origin() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        for content in ["", " \n", "two words", "ü"] {
            fs::write(&path, content).expect("a file");
            let error = Key::choose(None, Some(&path)).expect_err(content).to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
        let missing = folder.path().join("missing");
        let error = Key::choose(None, Some(&missing)).expect_err("no file").to_string();
        assert!(error.contains("missing"), "{error}");
    }
}
