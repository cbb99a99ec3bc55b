//! Reads small regular files from paths that another user may control.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use crate::file_access::{PathEnd, PathPart, PathWalk, UserRights};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegularFileError {
    /// There is no such file.
    #[error("it does not exist")]
    Absent,
    /// A symbolic link in the path leads to nothing: the file is on a disk that is not mounted, or was moved.
    #[error(
        "{} is a symbolic link to {}, which does not exist; create that, or remove the link",
        link.display(), target.display()
    )]
    DanglingLink {
        /// The link.
        link: PathBuf,
        /// What it leads to.
        target: PathBuf,
    },
    /// Something in the middle of the path is not a folder.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// This user may not read the file, or not enter a folder of its path.
    #[error("{}; run the command with sudo", may_not(.0.as_deref(), "you"))]
    Forbidden(Option<Box<PathPart>>),
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

/// What `who` may not do; `None` where the part of the path that refuses is unknown.
pub(super) fn may_not(refusing: Option<&PathPart>, who: &str) -> String {
    match refusing {
        Some(PathPart { path, is_folder: true, .. }) => {
            format!("{who} may not enter the folder {}", path.display())
        }
        _ => format!("{who} may not read it"),
    }
}

impl RegularFileError {
    /// The complete reason, including the operating system's.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Io(source) => format!("{self} ({source})"),
            _ => self.to_string(),
        }
    }

    /// The reason why the file at `path` was not opened.
    fn at(path: &Path, error: io::Error) -> Self {
        let walk = || std::path::absolute(path).map(|path| PathWalk::of(&path)).ok();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                match walk().map(|walk| walk.end) {
                    Some(PathEnd::Missing { target, link: Some(link) }) => {
                        Self::DanglingLink { link, target }
                    }
                    Some(PathEnd::NotAFolder(path)) => Self::NotAFolder(path),
                    _ => Self::Absent,
                }
            }
            // The superuser is refused only by other means than modes, and sudo would change nothing.
            io::ErrorKind::PermissionDenied if !rustix::process::geteuid().is_root() => {
                let walk = walk();
                let rights = UserRights::of_this_process();
                let refusing = walk.as_ref().and_then(|walk| walk.first_refusal(&rights));
                Self::Forbidden(refusing.cloned().map(Box::new))
            }
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
        let file = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| RegularFileError::at(path, error.into()))?;
        let file = File::from(file);
        let metadata = file.metadata().map_err(RegularFileError::Io)?;
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
        self.file.take(most + 1).read_to_end(&mut bytes).map_err(RegularFileError::Io)?;
        if bytes.len() as u64 > most {
            return Err(RegularFileError::TooLong(most));
        }
        String::from_utf8(bytes).map_err(|_| RegularFileError::NotText)
    }
}
