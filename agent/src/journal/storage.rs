//! The file system operations that the journal needs.
//!
//! Tests implement this trait to tear writes, lose unsynced data and fill the disk.

mod folder;

use std::{
    io::{self, Read},
    path::PathBuf,
};

pub(super) use folder::StateFolder;

use super::alive;

/// The state of the current file since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Current {
    /// It still has its name, and is this many bytes long.
    InPlace(u64),
    /// Nothing has its name.
    Missing,
    /// Something else has its name.
    Replaced,
}

/// Why a folder cannot be claimed.
#[derive(Debug)]
pub(super) enum ClaimError {
    /// Another agent holds the lock.
    Taken {
        /// The lock file.
        lock: PathBuf,
        /// The other agent's process id, if the file contains it.
        holder: Option<u32>,
    },
    /// The operating system refused.
    Io(io::Error),
}

/// One state folder. Names are file names within it; *current* is [`super::files::CURRENT`].
pub(super) trait Storage {
    /// Makes sure that the folder exists and that only this process writes to it. If the folder or
    /// the lock vanished since the last claim, it is recreated.
    fn claim(&mut self) -> Result<(), ClaimError>;
    /// The names of all entries in it.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Opens a regular file for reading; anything else is [`io::ErrorKind::InvalidData`].
    fn read(&self, name: &str) -> io::Result<Box<dyn Read + '_>>;
    /// Opens the current file for writing, and creates it if `new`.
    fn open_current(&mut self, new: bool) -> io::Result<()>;
    /// Closes the current file.
    fn close_current(&mut self);
    /// Checks whether the open current file still has its name, and how long it is.
    fn current(&self) -> io::Result<Current>;
    /// Writes all of these bytes to the open current file.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Truncates the open current file.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Makes the content of the open current file durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Makes the names in the folder durable.
    fn sync_folder(&mut self) -> io::Result<()>;
    /// Renames a file, replacing any file of the new name.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Overwrites the alive file without syncing it.
    fn write_alive(&mut self, bytes: &[u8; alive::BYTES]) -> io::Result<()>;
}
