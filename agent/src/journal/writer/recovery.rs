//! Reads the files at start, and plans what to do about them.

use std::io::{self, ErrorKind, Read};

use super::{CurrentFile, CurrentFileAction, Predecessor};
use crate::{
    clock::Stamp,
    journal::{
        alive::{self, Alive},
        chain::{NotedHash, RecordPosition},
        files,
        flaw::{Damage, Flaw, LineLocation, Located},
        records::{FolderFiles, JournalItem, Records},
        recovered::{Recovered, RecoveredBuilder, is_same_device},
        storage::Storage,
    },
};

/// The largest number of notes about damage that are logged; `journal verify` names all of it.
const MOST_NOTES: usize = 8;

/// The plan for the first append.
pub(super) struct RecoveryPlan {
    /// The newest record; `None` when a new chain must start.
    pub(super) head: Option<RecordPosition>,
    /// The highest number known to be in use, 0 for none.
    pub(super) newest: u64,
    pub(super) action: CurrentFileAction,
    /// Why a new chain must start although there was one.
    pub(super) reason: Option<String>,
    /// The record that a new chain names as its predecessor.
    pub(super) after: Option<Predecessor>,
    pub(super) file: Option<CurrentFile>,
}

/// The files of a folder, read through the writer's storage.
struct InStorage<'a, S>(&'a S);

impl<'a, S: Storage> FolderFiles for InStorage<'a, S> {
    type File = Box<dyn Read + 'a>;

    fn open(&self, name: &str) -> io::Result<Self::File> {
        self.0.read(name)
    }

    fn reopen(&self, name: &str, _: &Self::File) -> io::Result<Self::File> {
        self.0.read(name)
    }
}

/// The results of reading a folder.
#[derive(Default)]
struct Scan {
    history: RecoveredBuilder,
    head: Option<(RecordPosition, LineLocation)>,
    /// The number of the first record in the current file that could be read.
    first_seq: Option<u64>,
    /// The first problem of the current file.
    problem: Option<FileProblem>,
    notes: Vec<String>,
}

/// A problem of the current file.
enum FileProblem {
    /// It is not a regular file.
    Irregular(String),
    /// A newer version wrote it.
    Newer,
    /// A line is damaged.
    Damaged(u64, Flaw),
    /// It cannot be read to its end.
    Unreadable(io::Error),
}

/// The full files, oldest first.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn full_files(storage: &impl Storage) -> io::Result<Vec<String>> {
    let full = files::full_files(&storage.names()?);
    let records = Records::new(InStorage(storage), full, None, None);
    Ok(records.names())
}

/// Reads the folder without changing anything. `known` is the newest record that the writer
/// acknowledged; without it, the alive file is used.
///
/// # Errors
/// The folder or the current file cannot be read, for a reason that may be temporary.
pub(super) fn recover(
    storage: &impl Storage,
    device: &str,
    known: Option<NotedHash>,
    now: Stamp,
) -> io::Result<(RecoveryPlan, Recovered)> {
    let names = storage.names()?;
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let alive = has(files::ALIVE).then(|| read_alive(storage)).flatten();
    let noted = known.or_else(|| alive.clone().map(Alive::noted_hash));
    let mut scan = Scan::default();
    let current = match has(files::CURRENT).then(|| storage.read(files::CURRENT)) {
        None => None,
        Some(Ok(file)) => Some(file),
        Some(Err(error)) if error.kind() == ErrorKind::InvalidData => {
            scan.problem = Some(FileProblem::Irregular(error.to_string()));
            None
        }
        Some(Err(error)) => return Err(error),
    };
    let full = files::full_files(&names);
    let mut records = Records::new(InStorage(storage), full, current, noted.clone());
    for item in records.by_ref() {
        scan.take(item);
    }
    let found = scan.plan(&records, noted.map_or(0, |noted| noted.seq), device);
    if let Some(reason) = &found.reason {
        scan.note(format!("The journal starts a new chain: {reason}."));
    }
    let recovered = scan.history.finish(device, alive, now, scan.notes);
    Ok((found, recovered))
}

fn read_alive(storage: &impl Storage) -> Option<Alive> {
    let mut bytes = Vec::new();
    let most = alive::BYTES as u64 + 1;
    storage.read(files::ALIVE).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Alive::from_bytes(&bytes)
}

impl Scan {
    fn note(&mut self, note: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(note);
        }
    }

    fn take(&mut self, item: JournalItem) {
        match item {
            JournalItem::Record(located) => {
                let seq = located.record.seq;
                if located.place.file.as_ref() == files::CURRENT {
                    self.first_seq.get_or_insert(seq);
                }
                let Located { record, digest, place } = *located;
                self.head = Some(((seq, digest), place));
                self.history.apply(record);
            }
            JournalItem::Damage(Damage { place, seq, flaw }) => {
                if place.file.as_ref() != files::CURRENT {
                    self.note(format!("{} is damaged at line {}: {flaw}.", place.file, place.line));
                } else if self.problem.is_none() {
                    self.problem = Some(match flaw {
                        Flaw::NewerFormat(_) if place.line == 1 => FileProblem::Newer,
                        flaw => FileProblem::Damaged(place.line, flaw),
                    });
                }
                if let Some(seq) = seq.filter(|_| place.file.as_ref() == files::CURRENT) {
                    // A file with even a damaged record is a journal.
                    self.first_seq.get_or_insert(seq);
                }
            }
            JournalItem::Unreadable(name, error) if name.as_ref() == files::CURRENT => {
                self.problem.get_or_insert(FileProblem::Unreadable(error));
            }
            JournalItem::Unreadable(name, error) => {
                self.note(format!("{name} cannot be read: {error}."));
            }
        }
    }

    /// Decides how to continue.
    fn plan<S: FolderFiles>(&self, records: &Records<S>, known: u64, device: &str) -> RecoveryPlan {
        let newest = records.newest().max(known);
        let head = self.head.as_ref().map(|(position, _)| position.clone());
        let after = head.clone().map(|(seq, hash)| Predecessor { seq, hash });
        let name = files::CURRENT;
        let end = records.current_end();
        let file = end.map(|end| CurrentFile {
            length: end.length,
            first_seq: self.first_seq,
            opened: false,
            must_cut: end.is_torn,
            must_sync: true,
        });
        let new_chain = |action, reason: String| RecoveryPlan {
            head: None,
            newest,
            // A file without any record is used as it is.
            file: file.filter(|_| action == CurrentFileAction::Clear),
            action,
            reason: Some(reason),
            after: after.clone(),
        };
        let roll = match (end, self.first_seq) {
            (Some(end), Some(first_seq)) => {
                CurrentFileAction::Roll { first_seq, cut: end.is_torn.then_some(end.length) }
            }
            // It holds only the beginning of a line that was never acknowledged.
            (Some(end), None) if end.length == 0 => CurrentFileAction::Clear,
            (Some(_), None) => CurrentFileAction::SetAside,
            (None, _) => CurrentFileAction::Clear,
        };
        match &self.problem {
            Some(FileProblem::Irregular(what)) => {
                return new_chain(
                    CurrentFileAction::SetAside,
                    format!("{name} was not a journal: {what}"),
                );
            }
            Some(FileProblem::Newer) => {
                let action = CurrentFileAction::Roll { first_seq: newest.max(1), cut: None };
                return new_chain(action, format!("{name} was written by a newer version"));
            }
            Some(FileProblem::Damaged(..)) if roll == CurrentFileAction::SetAside => {
                return new_chain(roll, format!("{name} was not a journal"));
            }
            Some(FileProblem::Damaged(line, flaw)) => {
                return new_chain(roll, format!("{name} was damaged at line {line}: {flaw}"));
            }
            Some(FileProblem::Unreadable(error)) => {
                return new_chain(roll, format!("{name} could not be read to its end: {error}"));
            }
            None => {}
        }
        let head_seq = head.as_ref().map_or(0, |(seq, _)| *seq);
        if known > head_seq {
            let from = head_seq + 1;
            return new_chain(roll, format!("records {from} to {known} were missing"));
        }
        if let Some(other) = &self.history.device
            && !is_same_device(other, device)
        {
            return new_chain(roll, format!("the records before are of the device {other}"));
        }
        let is_whole = self.head.as_ref().map(|(_, place)| place) == records.last_line();
        if !is_whole && self.first_seq.is_none() {
            let reason = "the end of the file before it was damaged".to_owned();
            return new_chain(roll, reason);
        }
        RecoveryPlan {
            head,
            newest,
            action: CurrentFileAction::Clear,
            reason: None,
            after: None,
            file,
        }
    }
}
