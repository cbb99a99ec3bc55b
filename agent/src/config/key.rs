//! The function key: a file of its own, or a credential from systemd.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    regular_file::{RegularFile, RegularFileError},
    settings::FunctionKey,
};

/// The most bytes of a file with a key. The keys that Azure makes have 56 characters, and people
/// may set longer ones of their own.
const MOST_BYTES: u64 = 4096;

/// What people and programs put around a text.
const QUOTES: [char; 8] = ['"', '\'', '`', '“', '”', '„', '‘', '’'];

/// The file that the service of the packages has its key from, by `LoadCredential=`. Every command that uses the
/// configuration beside it has the key from there too, if it may read it.
pub const SERVICE_KEY_FILE: &str = "/etc/ispmon/heartbeat.key";

/// The name of systemd's credential, as in `LoadCredential=heartbeat-key:/etc/ispmon/heartbeat.key`.
const CREDENTIAL: &str = "heartbeat-key";

/// Why a key is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    /// The file cannot be read.
    #[error("cannot be used: {}", .0.reason())]
    Unreadable(RegularFileError),
    /// Other users can read or replace the key.
    #[error(
        "is open to other users (its mode is {mode:o}); make it private with: chmod 600 {path}"
    )]
    Open { mode: u32, path: String },
    /// Quotation marks stand around the key, as they would in a configuration file.
    #[error("has quotation marks around the key; leave them out, the file holds the key alone")]
    Quoted,
    /// It holds what no request header can carry, or more than one word.
    #[error(
        "holds more than a key: only letters, digits and marks without spaces, on one line, make \
         a key"
    )]
    BadCharacter,
}

impl KeyError {
    /// Whether there is a key, but not for this user.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Unreadable(RegularFileError::Forbidden))
    }

    /// Whether there is no such file.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Unreadable(RegularFileError::Absent))
    }
}

/// Reads the key file. An empty one means that there is no key.
pub(super) fn read_file(path: &Path) -> Result<Option<FunctionKey>, KeyError> {
    let file = RegularFile::open(path).map_err(KeyError::Unreadable)?;
    let mode = file.metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Open { mode, path: path.display().to_string() });
    }
    key(file)
}

/// Reads the credential that systemd laid into this folder, if there is one.
///
/// Its mode is not looked at: systemd grants the service access by an access control list, which
/// shows as a group that can read, and protects the folder instead (systemd.exec(5), Credentials).
pub(super) fn read_credential(
    folder: &Path,
) -> Option<(PathBuf, Result<Option<FunctionKey>, KeyError>)> {
    let path = folder.join(CREDENTIAL);
    match RegularFile::open(&path) {
        Ok(file) => Some((path, key(file))),
        Err(RegularFileError::Absent) => None,
        Err(error) => Some((path, Err(KeyError::Unreadable(error)))),
    }
}

/// A key in the service's file that systemd has not handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LeftBehind {
    /// The file was written after systemd had read it.
    #[error(
        "The function key in {} was changed after the service had started, which goes on with the older \
         one; restart it: sudo systemctl restart ispmon-agent", .0.display()
    )]
    Changed(PathBuf),
    /// systemd has handed over an empty credential, and the service may not read the file itself.
    #[error(
        "systemd has handed over an empty function key, although {file} holds one, so the function will refuse the \
         heartbeats. Restart the service: sudo systemctl restart ispmon-agent. Where systemd can load no \
         credentials, as in some containers, let the service read the file: sudo chown ispmon {file}", file = .0.display()
    )]
    NotLoaded(PathBuf),
}

/// What systemd's credential lacks of the file that it was loaded from, as far as times and sizes tell a user who
/// may not read that file.
pub(super) fn left_behind(credential: &Path, has_key: bool, file: &Path) -> Option<LeftBehind> {
    let (loaded, now) = (fs::metadata(credential).ok()?, fs::metadata(file).ok()?);
    // A file with nothing but the end of a line holds no key.
    if now.len() <= 1 {
        return None;
    }
    if !has_key {
        return Some(LeftBehind::NotLoaded(file.to_owned()));
    }
    (now.modified().ok()? > loaded.modified().ok()?).then(|| LeftBehind::Changed(file.to_owned()))
}

/// Reads the text of a key file, whoever else may read it.
pub(super) fn read_text(path: &Path) -> Result<String, RegularFileError> {
    RegularFile::open(path)?.read(MOST_BYTES)
}

fn key(file: RegularFile) -> Result<Option<FunctionKey>, KeyError> {
    of_text(&file.read(MOST_BYTES).map_err(KeyError::Unreadable)?)
}

/// The key that a key file with this text holds.
pub(super) fn of_text(text: &str) -> Result<Option<FunctionKey>, KeyError> {
    // Some editors begin a file with a byte order mark, which is none of its text.
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(None);
    }
    if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
        return Err(KeyError::Quoted);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(KeyError::BadCharacter);
    }
    Ok(Some(FunctionKey::new(text.to_owned())))
}
