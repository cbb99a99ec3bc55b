//! The function key: read from its own file or from a systemd credential.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    regular_file::{RegularFile, RegularFileError},
    settings::FunctionKey,
};

/// The maximum size of a key file, in bytes. Keys created by Azure have 56 characters, and users may set
/// longer ones.
const MAX_BYTES: u64 = 4096;

/// Quotation marks that users and programs put around a text.
const QUOTES: [char; 8] = ['"', '\'', '`', '“', '”', '„', '‘', '’'];

/// The key file of the packaged service, passed to it through `LoadCredential=`. Commands that use the
/// configuration beside it read their key from there too, if they may.
pub const SERVICE_KEY_FILE: &str = "/etc/ispmon/heartbeat.key";

/// The name of systemd's credential, as in `LoadCredential=heartbeat-key:/etc/ispmon/heartbeat.key`.
const CREDENTIAL: &str = "heartbeat-key";

/// Why a key is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    /// The file cannot be read.
    #[error("cannot be used: {}", .0.reason())]
    Unreadable(RegularFileError),
    /// Other users can read or replace the key. The command that makes it private depends on who needs it.
    #[error("is open to other users (its mode is {mode:o})")]
    Open { mode: u32, owner: u32 },
    /// The key is in quotation marks, as it would be in a configuration file.
    #[error("has quotation marks around the key; leave them out, the file holds the key alone")]
    Quoted,
    /// It contains white space, or characters that no request header may contain.
    #[error(
        "holds more than a key: only letters, digits and marks without spaces, on one line, make \
         a key"
    )]
    BadCharacter,
}

impl KeyError {
    /// Whether the key exists, but this user may not read it.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Unreadable(RegularFileError::Forbidden(_)))
    }

    /// Whether something else has the file's name.
    pub(super) fn is_not_regular(&self) -> bool {
        matches!(self, Self::Unreadable(RegularFileError::NotRegular))
    }

    /// Whether the file does not exist.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Unreadable(RegularFileError::Absent))
    }
}

/// Reads the key file. An empty file means that there is no key.
pub(super) fn read_file(path: &Path) -> Result<Option<FunctionKey>, KeyError> {
    let file = RegularFile::open(path).map_err(KeyError::Unreadable)?;
    let mode = file.metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Open { mode, owner: file.metadata.uid() });
    }
    key(file)
}

/// Reads the credential in this folder of systemd, if there is one.
///
/// Its mode is not checked: systemd grants the service access with an access control list, which shows up
/// as group read permission, and protects the folder instead (systemd.exec(5), Credentials).
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

/// A key in the service's file that systemd has not passed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StaleCredential {
    /// The file was changed after systemd had read it.
    #[error(
        "The function key in {} was changed after the service had started, which goes on with the older \
         one; restart it: sudo systemctl restart ispmon-agent", .0.display()
    )]
    Changed(PathBuf),
    /// systemd has passed an empty credential, and the service may not read the file itself.
    #[error(
        "systemd has handed over an empty function key, although {file} holds one, so the function will refuse the \
         heartbeats. Restart the service: sudo systemctl restart ispmon-agent. Where systemd can load no \
         credentials, as in some containers, let the service read the file: sudo chown ispmon {file}", file = .0.display()
    )]
    NotLoaded(PathBuf),
    /// Something else has the file's name.
    #[error(
        "{} is not a regular file, so it holds no function key; replace it by a file that holds the key, and \
         restart the service: sudo systemctl restart ispmon-agent", .0.display()
    )]
    NotRegular(PathBuf),
}

/// Compares systemd's credential with the file that it was loaded from, as far as times and sizes allow for
/// a user who may not read that file.
pub(super) fn stale_credential(
    credential: &Path,
    has_key: bool,
    file: &Path,
) -> Option<StaleCredential> {
    let (loaded, now) = (fs::metadata(credential).ok()?, fs::metadata(file).ok()?);
    if !now.is_file() {
        return Some(StaleCredential::NotRegular(file.to_owned()));
    }
    // A file with only a line break contains no key.
    let holds_key = now.len() > 1;
    if !has_key {
        return holds_key.then(|| StaleCredential::NotLoaded(file.to_owned()));
    }
    let is_newer = now.modified().ok()? > loaded.modified().ok()?;
    // A file that was moved here keeps its old time. Without a key in it, systemd may load another file.
    let is_other = holds_key && now.len() != loaded.len();
    (is_newer || is_other).then(|| StaleCredential::Changed(file.to_owned()))
}

/// Reads the text of a key file, even if other users may read it too.
pub(super) fn read_text(path: &Path) -> Result<String, RegularFileError> {
    RegularFile::open(path)?.read(MAX_BYTES)
}

fn key(file: RegularFile) -> Result<Option<FunctionKey>, KeyError> {
    parse(&file.read(MAX_BYTES).map_err(KeyError::Unreadable)?)
}

/// Parses the text of a key file.
pub(super) fn parse(text: &str) -> Result<Option<FunctionKey>, KeyError> {
    // Some editors write a byte order mark at the start, which is not part of the text.
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
