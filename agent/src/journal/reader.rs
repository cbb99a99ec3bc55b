//! Reads the journal while an agent writes it, without its lock and without root.

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

/// Why the journal, or a part of it, cannot be returned.
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
    /// The newest records are gone: the alive file names a later one.
    #[error("the newest records are missing: {written} were written, and the last here is {found}")]
    Missing {
        /// The number of the newest durable record that the alive file names.
        written: u64,
        /// The number of the newest record in the files, 0 without any.
        found: u64,
    },
    /// The oldest records are gone, although there are too few files for any to have been deleted.
    #[error("the records before record {first} are missing")]
    MissingBeginning {
        /// The number of the first record in the files.
        first: u64,
    },
    /// Something that is not a journal had the journal's name and was kept under another.
    #[error(
        "{name} is not a journal, but had the journal's name; delete it when you do not need it"
    )]
    SetAside {
        /// The file's name.
        name: String,
    },
    /// A line is damaged. The records after it are still returned.
    #[error("the journal is damaged")]
    Damaged(#[source] Damage),
}

/// All accepted records of a folder, oldest first, one at a time. A contradicted line is only
/// reported as damage: see "The chain" in the format.
///
/// Memory does not depend on the size of the journal. An incomplete last line is being written, or
/// was torn, and is skipped. After [`JournalReadError::Damaged`] the next record follows; after
/// [`JournalReadError::Io`] the next file.
pub struct JournalReader {
    folder: PathBuf,
    records: Records<ForeignFolder>,
    after: u64,
}

/// The files of a folder that another process may write to.
struct ForeignFolder(PathBuf);

/// A file that several readers share, each with its own offset.
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

    fn reopen(&self, _: &str, file: &SharedFile) -> io::Result<SharedFile> {
        Ok(SharedFile { file: Arc::clone(&file.file), offset: 0 })
    }
}

impl JournalReader {
    /// Opens the journal in a folder.
    ///
    /// # Errors
    /// [`JournalReadError::Absent`], or [`JournalReadError::Io`] when the folder or the current
    /// file cannot be read.
    pub fn open(folder: &Path) -> Result<Self, JournalReadError> {
        let failed = |path: &Path, source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => JournalReadError::Absent { folder: folder.to_owned() },
            _ => JournalReadError::Io { path: path.to_owned(), source },
        };
        // Read before the files: it names only durable records, so each must be in the files opened
        // later.
        let noted = read_alive_file(folder).map(Alive::noted_hash);
        let files = ForeignFolder(folder.to_owned());
        // In this order: a file that is renamed between the two steps is recognised by its inode.
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
        let mut records = Records::new(files, full, current, noted);
        if let Some(error) = irregular {
            records.note_unreadable(files::CURRENT, error);
        }
        Ok(Self { folder: folder.to_owned(), records, after: 0 })
    }

    /// Skips the records up to this number; files that hold no later ones are not read.
    #[must_use]
    pub fn after(mut self, seq: u64) -> Self {
        self.after = seq;
        self.records.skip_to(seq);
        self
    }

    /// The highest number in use in the lines read so far, damaged records included.
    pub(super) fn newest(&self) -> u64 {
        self.records.newest()
    }

    /// The number of files to read.
    pub(super) fn files(&self) -> usize {
        self.records.files()
    }
}

/// When the agent that writes to a folder was last known to run; `None` when the alive file is
/// missing, unreadable or torn. The agent updates it each minute.
pub fn last_alive(folder: &Path) -> Option<Stamp> {
    read_alive_file(folder).map(|alive| alive.at)
}

pub(super) fn read_alive_file(folder: &Path) -> Option<Alive> {
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
