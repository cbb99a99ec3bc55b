//! Reading the record: while an agent writes it, without its lock, without root.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    alive::{self, Alive},
    chain::{Chain, Flaw, Followed},
    files,
    lines::{Line, Lines},
    record::{Digest, Record},
};
use crate::clock::Stamp;

/// A record and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// The record.
    pub record: Record,
    /// The hash of its line.
    pub digest: Digest,
    /// Where the line is.
    pub place: Place,
}

/// Where a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name within the folder.
    pub file: Arc<str>,
    /// The line's number, from 1.
    pub line: u64,
}

/// A line that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}, line {}{}: {flaw}", place.file, place.line, seq.map(|seq| format!(" (record {seq})")).unwrap_or_default())]
pub struct Damage {
    /// Where it is.
    pub place: Place,
    /// The number of the record, where it can be read.
    pub seq: Option<u64>,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// Why there is no record to return.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
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
    /// A line is damaged. The records behind it are still returned.
    #[error("the journal is damaged")]
    Damaged(#[source] Damage),
}

/// All records of a folder, oldest first, one at a time.
///
/// Memory does not depend on the size of the journal. A last line that is not complete is being
/// written, or was torn, and is left out. After [`ReadError::Damaged`] the next record follows; after
/// [`ReadError::Io`] the next file.
pub struct Reader {
    folder: PathBuf,
    waiting: VecDeque<Source>,
    open: Option<Open>,
    chain: Chain,
    /// Place and number of the record that was read last.
    last: Option<(Place, u64)>,
    /// The record whose damage was returned instead of it.
    ready: Option<Located>,
    after: u64,
}

struct Source {
    name: Arc<str>,
    first_seq: Option<u64>,
    /// The current file is opened at once: it may get another name at any time.
    file: Option<File>,
}

struct Open {
    name: Arc<str>,
    is_current: bool,
    lines: Lines<File>,
}

impl Reader {
    /// Opens the journal in a folder.
    ///
    /// # Errors
    /// [`ReadError::Absent`], or [`ReadError::Io`] when folder or current file cannot be read.
    pub fn open(folder: &Path) -> Result<Self, ReadError> {
        let failed = |path: &Path, source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ReadError::Absent { folder: folder.to_owned() },
            _ => ReadError::Io { path: path.to_owned(), source },
        };
        // In this order: what is rolled between the two steps is found by its identity.
        let path = folder.join(files::CURRENT);
        let current = match File::open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&path, error)),
        };
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let opened = current.as_ref().and_then(|file| file.metadata().ok()).map(identity);
        let mut names = Vec::new();
        for entry in folder.read_dir().map_err(|error| failed(folder, error))? {
            let entry = entry.map_err(|error| failed(folder, error))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if files::first_seq(&name).is_some()
                && (opened.is_none() || entry.metadata().ok().map(identity) != opened)
            {
                names.push(name);
            }
        }
        let rolled = files::rolled_files(&names).into_iter().map(|(first_seq, name)| Source {
            name: name.into(),
            first_seq: Some(first_seq),
            file: None,
        });
        let current = current.map(|file| Source {
            name: files::CURRENT.into(),
            first_seq: None,
            file: Some(file),
        });
        let waiting: VecDeque<Source> = rolled.chain(current).collect();
        if waiting.is_empty() {
            return Err(ReadError::Absent { folder: folder.to_owned() });
        }
        Ok(Self {
            folder: folder.to_owned(),
            waiting,
            open: None,
            chain: Chain::default(),
            last: None,
            ready: None,
            after: 0,
        })
    }

    /// Leaves out the records up to this number; files that hold no others are not read.
    #[must_use]
    pub fn after(mut self, seq: u64) -> Self {
        self.after = seq;
        while self
            .waiting
            .get(1)
            .and_then(|next| next.first_seq)
            .is_some_and(|first_seq| first_seq <= seq.saturating_add(1))
        {
            self.waiting.pop_front();
        }
        self
    }

    /// Opens the next file; `None` behind the last one.
    fn open_next(&mut self) -> Option<Result<Open, ReadError>> {
        loop {
            let Source { name, file, .. } = self.waiting.pop_front()?;
            let is_current = file.is_some();
            let path = self.folder.join(&*name);
            let file = match file.map_or_else(|| File::open(&path), Ok) {
                Ok(file) => file,
                // The agent has meanwhile made room by deleting the oldest file.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.chain.forget();
                    continue;
                }
                Err(source) => return Some(Err(ReadError::Io { path, source })),
            };
            return Some(Ok(Open { name, is_current, lines: Lines::new(file) }));
        }
    }

    /// Reads the next line of the open file; `None` at its end.
    fn next_line(&mut self) -> Option<Result<Located, ReadError>> {
        let Open { name, is_current, lines } = self.open.as_mut()?;
        let first_of_file = lines.number == 0;
        let followed = match lines.next() {
            Ok(None) => return None,
            Ok(Some(Line::Torn)) if *is_current => return None,
            Ok(Some(Line::Whole(line))) => self.chain.follow(line, first_of_file),
            Ok(Some(Line::Torn)) => Err(Flaw::Torn),
            Ok(Some(Line::TooLong)) => Err(Flaw::TooLong),
            Err(source) => {
                let path = self.folder.join(&**name);
                self.open = None;
                self.chain.forget();
                return Some(Err(ReadError::Io { path, source }));
            }
        };
        let place = Place { file: Arc::clone(name), line: lines.number };
        if matches!(followed, Err(Flaw::Torn | Flaw::TooLong)) {
            self.chain.forget();
        }
        Some(self.locate(followed, place))
    }

    fn locate(
        &mut self,
        followed: Result<Followed, Flaw>,
        place: Place,
    ) -> Result<Located, ReadError> {
        let (followed, seq) = match followed {
            Ok(followed) => {
                let seq = followed.record.seq;
                (followed, seq)
            }
            Err(flaw) => return Err(ReadError::Damaged(Damage { place, seq: None, flaw })),
        };
        let Followed { record, digest, flaw } = followed;
        let last = self.last.replace((place.clone(), seq));
        let located = Located { record, digest, place };
        let Some(flaw) = flaw else { return Ok(located) };
        let (place, seq) = match (&flaw, last) {
            (Flaw::Changed { .. }, Some(last)) => last,
            _ => (located.place.clone(), seq),
        };
        self.ready = Some(located);
        Err(ReadError::Damaged(Damage { place, seq: Some(seq), flaw }))
    }
}

/// When the agent that writes to a folder was last known to run; `None` when nothing was noted yet. It
/// is noted each minute.
pub fn last_alive(folder: &Path) -> Option<Stamp> {
    sign_of_life(folder).map(|alive| alive.at)
}

pub(super) fn sign_of_life(folder: &Path) -> Option<Alive> {
    let mut bytes = Vec::new();
    let file = File::open(folder.join(files::ALIVE)).ok()?;
    file.take(alive::BYTES as u64 + 1).read_to_end(&mut bytes).ok()?;
    Alive::from_bytes(&bytes)
}

impl Iterator for Reader {
    type Item = Result<Located, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let after = self.after;
            if let Some(located) = self.ready.take_if(|located| located.record.seq > after) {
                return Some(Ok(located));
            }
            if self.open.is_none() {
                match self.open_next()? {
                    Ok(open) => self.open = Some(open),
                    Err(error) => return Some(Err(error)),
                }
            }
            match self.next_line() {
                Some(Ok(located)) if located.record.seq <= after => {}
                Some(read) => return Some(read),
                None => self.open = None,
            }
        }
    }
}

#[cfg(test)]
mod tests;
