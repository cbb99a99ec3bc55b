//! Reads small regular files from paths that another user may control.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::fs::{Mode, OFlags};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegularFileError {
    /// There is no such file.
    #[error("it does not exist")]
    Absent,
    /// The user that the agent runs as may not read it.
    #[error("the user that the agent runs as may not read it")]
    Forbidden,
    /// The operating system reports another error.
    #[error("it cannot be read")]
    Io(#[source] io::Error),
    /// It is a folder, a device, a socket or a pipe.
    #[error("it is not a regular file")]
    NotRegular,
    /// It is longer than any valid file.
    #[error("it is longer than {0} bytes")]
    TooLong(u64),
    /// It is not UTF-8 text.
    #[error("it is not UTF-8 text")]
    NotText,
}

impl RegularFileError {
    /// The complete reason, including the operating system's.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Io(source) => format!("{self} ({source})"),
            _ => self.to_string(),
        }
    }
}

impl From<io::Error> for RegularFileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Absent,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            _ => Self::Io(error),
        }
    }
}

/// An open regular file, so that the checks apply to the file that is read.
pub(super) struct RegularFile {
    file: File,
    /// Its owner, mode and size.
    pub(super) metadata: Metadata,
}

impl RegularFile {
    /// Opens a file without blocking on a pipe.
    pub(super) fn open(path: &Path) -> Result<Self, RegularFileError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?;
        let file = File::from(file);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(RegularFileError::NotRegular);
        }
        Ok(Self { file, metadata })
    }

    /// Whether every user of the machine can read it.
    pub(super) fn is_public(&self) -> bool {
        self.metadata.mode() & 0o004 != 0
    }

    /// Reads a whole text of at most `most` bytes.
    pub(super) fn read(self, most: u64) -> Result<String, RegularFileError> {
        let mut bytes = Vec::new();
        self.file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(RegularFileError::TooLong(most));
        }
        String::from_utf8(bytes).map_err(|_| RegularFileError::NotText)
    }
}
