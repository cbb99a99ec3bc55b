//! What the journal needs of a file system.
//!
//! The trait is the seam at which tests tear writes, lose what was not synced and fill the disk.

mod folder;

use std::{
    io::{self, Read},
    path::PathBuf,
};

pub(super) use folder::StateFolder;

use super::alive;

/// What became of the current file since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Current {
    /// It is in its place, and this long.
    InPlace(u64),
    /// Nothing is in its place.
    Missing,
    /// Something else is in its place.
    Replaced,
}

/// Why a folder cannot be claimed.
#[derive(Debug)]
pub(super) enum ClaimError {
    /// Another agent has it.
    Taken {
        /// The lock file.
        lock: PathBuf,
        /// The other agent's process id, when the file says so.
        holder: Option<u32>,
    },
    /// The operating system refuses.
    Io(io::Error),
}

/// One state folder. Names are file names within it; *current* is [`super::files::CURRENT`].
pub(super) trait Storage {
    /// Makes sure that the folder exists and that this process alone writes to it. When folder or lock
    /// vanished since the last claim, they are made anew.
    fn claim(&mut self) -> Result<(), ClaimError>;
    /// The names of everything in it.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Opens a regular file for reading; something else is [`io::ErrorKind::InvalidData`].
    fn read(&self, name: &str) -> io::Result<Box<dyn Read + '_>>;
    /// Opens the current file for writing, and makes it when `new`.
    fn open_current(&mut self, new: bool) -> io::Result<()>;
    /// Lets go of the current file.
    fn close_current(&mut self);
    /// Looks whether the open current file is still in its place, and how long it is.
    fn current(&self) -> io::Result<Current>;
    /// Writes all of these bytes to the open current file.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the open current file.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Makes the content of the open current file durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Makes names durable.
    fn sync_folder(&mut self) -> io::Result<()>;
    /// Gives a file another name, in place of whatever has that name.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Overwrites the sign of life, without making it durable.
    fn write_alive(&mut self, bytes: &[u8; alive::BYTES]) -> io::Result<()>;
}
