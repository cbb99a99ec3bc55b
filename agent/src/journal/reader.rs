//! Reading the record: while an agent writes it, without its lock, without root.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    alive::{self, Alive},
    files,
    flaw::{Damage, Located},
    records::{FolderFiles, JournalItem, Records},
};
use crate::{clock::Stamp, state_dir::file};

/// Why there is no record to return.
#[derive(Debug, thiserror::Error)]
pub enum JournalReadError {
    /// The folder holds no journal, or does not exist.
    #[error("there is no journal in {}", folder.display())]
    Absent {
        /// The folder.
        folder: PathBuf,
    },
    /// A file or the folder cannot be read.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The newest records are gone: the sign of life knows of them.
    #[error("the newest records are missing: {written} were written, and the last here is {found}")]
    Missing {
        /// The number of the newest record that was durable.
        written: u64,
        /// The number of the newest record that is here, 0 without any.
        found: u64,
    },
    /// The oldest records are gone, although there is room for more files.
    #[error("the records before record {first} are missing")]
    Beginning {
        /// The number of the first record that is here.
        first: u64,
    },
    /// Something else stood in the place of the journal and was kept.
    #[error(
        "{name} is no journal, but stood in the place of one; delete it when you do not need it"
    )]
    SetAside {
        /// The file's name.
        name: String,
    },
    /// A line is damaged. The records behind it are still returned.
    #[error("the journal is damaged")]
    Damaged(#[source] Damage),
}

/// All records of a folder that are believed, oldest first, one at a time. A line that is contradicted
/// is damage and nothing else: see the chapter on the chain in the format.
///
/// Memory does not depend on the size of the journal. A last line that is not complete is being
/// written, or was torn, and is left out. After [`JournalReadError::Damaged`] the next record follows; after
/// [`JournalReadError::Io`] the next file.
pub struct JournalReader {
    folder: PathBuf,
    records: Records<ForeignFolder>,
    after: u64,
}

/// The files of a folder that somebody else may write to.
struct ForeignFolder(PathBuf);

/// A file that several read without disturbing one another.
struct SharedFile {
    file: Arc<File>,
    offset: u64,
}

impl Read for SharedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(buffer, self.offset)?;
        self.offset += length as u64;
        Ok(length)
    }
}

impl FolderFiles for ForeignFolder {
    type File = SharedFile;

    fn open(&self, name: &str) -> io::Result<SharedFile> {
        Ok(SharedFile { file: Arc::new(file::open(&self.0.join(name))?), offset: 0 })
    }

    fn again(&self, _: &str, file: &SharedFile) -> io::Result<SharedFile> {
        Ok(SharedFile { file: Arc::clone(&file.file), offset: 0 })
    }
}

impl JournalReader {
    /// Opens the journal in a folder.
    ///
    /// # Errors
    /// [`JournalReadError::Absent`], or [`JournalReadError::Io`] when folder or current file cannot be read.
    pub fn open(folder: &Path) -> Result<Self, JournalReadError> {
        let failed = |path: &Path, source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => JournalReadError::Absent { folder: folder.to_owned() },
            _ => JournalReadError::Io { path: path.to_owned(), source },
        };
        // It names durable records alone, so whatever it knows must stand in the files.
        let witness = sign_of_life(folder).map(Alive::witness);
        let files = ForeignFolder(folder.to_owned());
        // In this order: what is rolled between the two steps is found by its identity.
        let mut irregular = None;
        let current = match files.open(files::CURRENT) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                irregular = Some(error);
                None
            }
            Err(error) => return Err(failed(&folder.join(files::CURRENT), error)),
        };
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let opened = current.as_ref().and_then(|open| open.file.metadata().ok()).map(identity);
        let mut full = Vec::new();
        for entry in folder.read_dir().map_err(|error| failed(folder, error))? {
            let entry = entry.map_err(|error| failed(folder, error))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if files::first_seq(&name).is_some()
                && (opened.is_none() || entry.metadata().ok().map(identity) != opened)
            {
                full.push(name);
            }
        }
        if full.is_empty() && current.is_none() && irregular.is_none() {
            return Err(JournalReadError::Absent { folder: folder.to_owned() });
        }
        let mut records = Records::new(files, full, current, witness);
        if let Some(error) = irregular {
            records.note_unreadable(files::CURRENT, error);
        }
        Ok(Self { folder: folder.to_owned(), records, after: 0 })
    }

    /// Leaves out the records up to this number; files that hold no others are not read.
    #[must_use]
    pub fn after(mut self, seq: u64) -> Self {
        self.after = seq;
        self.records.skip_to(seq);
        self
    }

    /// The highest number in use, as far as it was read, of damaged records too.
    pub(super) fn newest(&self) -> u64 {
        self.records.newest()
    }

    /// How many files are to be read.
    pub(super) fn files(&self) -> usize {
        self.records.files()
    }
}

/// When the agent that writes to a folder was last known to run; `None` when nothing was noted yet. It
/// is noted each minute.
pub fn last_alive(folder: &Path) -> Option<Stamp> {
    sign_of_life(folder).map(|alive| alive.at)
}

pub(super) fn sign_of_life(folder: &Path) -> Option<Alive> {
    let mut bytes = Vec::new();
    let file = file::open(&folder.join(files::ALIVE)).ok()?;
    file.take(alive::BYTES as u64 + 1).read_to_end(&mut bytes).ok()?;
    Alive::from_bytes(&bytes)
}

impl Iterator for JournalReader {
    type Item = Result<Located, JournalReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            return Some(match self.records.next()? {
                JournalItem::Record(located) if located.record.seq <= self.after => continue,
                JournalItem::Record(located) => Ok(*located),
                JournalItem::Damage(damage) => Err(JournalReadError::Damaged(damage)),
                JournalItem::Unreadable(name, source) => {
                    Err(JournalReadError::Io { path: self.folder.join(&*name), source })
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
