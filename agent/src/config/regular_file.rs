//! Reading small regular files that somebody else may have put there.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    path::Path,
};

use rustix::fs::{Mode, OFlags};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The operating system refuses.
    #[error("it cannot be {operation}")]
    Io {
        operation: &'static str,
        #[source]
        source: io::Error,
    },
    /// It is a folder, a device, a socket or a pipe.
    #[error("it is not a regular file")]
    NotRegular,
    /// It holds more bytes than anybody could mean.
    #[error("it is longer than {0} bytes")]
    TooLong(u64),
    /// It holds something else than UTF-8 text.
    #[error("it is not UTF-8 text")]
    NotText,
}

impl ReadError {
    /// Whether there is no such file.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Io { operation: "opened", source }
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }

    /// The whole of the reason, the operating system's own included.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Io { source, .. } => format!("{self} ({source})"),
            _ => self.to_string(),
        }
    }
}

/// An open regular file, so that what is checked is what is read.
pub(super) struct RegularFile {
    file: File,
    /// What the operating system knows about it.
    pub(super) metadata: Metadata,
}

impl RegularFile {
    /// Opens a file without waiting for the other end of a pipe.
    pub(super) fn open(path: &Path) -> Result<Self, ReadError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(
            rustix::fs::open(path, flags, Mode::empty())
                .map_err(|error| ReadError::Io { operation: "opened", source: error.into() })?,
        );
        let metadata =
            file.metadata().map_err(|source| ReadError::Io { operation: "examined", source })?;
        if !metadata.is_file() {
            return Err(ReadError::NotRegular);
        }
        Ok(Self { file, metadata })
    }

    /// Reads the whole of a text of at most `most` bytes.
    pub(super) fn read(self, most: u64) -> Result<String, ReadError> {
        let mut bytes = Vec::new();
        self.file
            .take(most + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| ReadError::Io { operation: "read", source })?;
        if bytes.len() as u64 > most {
            return Err(ReadError::TooLong(most));
        }
        String::from_utf8(bytes).map_err(|_| ReadError::NotText)
    }
}
