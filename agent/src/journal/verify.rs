//! Whether the whole record is as it was written.

use std::path::Path;

use ispmon_wire::JournalHead;

use super::{
    files,
    reader::{JournalReadError, JournalReader, sign_of_life},
    record::Entry,
    unknown::UnknownRecords,
    walls::WallClockOffsets,
};
use crate::{clock::Stamp, outage::NetworkFacts};

/// How many things that are wrong are named, beside the first one.
const MOST_NAMED: usize = 19;

/// What came of reading the whole record.
#[derive(Debug, Default)]
pub struct Verified {
    /// How many records are as they were written.
    pub records: u64,
    /// When the first and the last of them were written.
    pub span: Option<(Stamp, Stamp)>,
    /// The newest record.
    pub head: Option<JournalHead>,
    /// How many chains begin in what was read.
    pub chains: u64,
    /// Why the newest of them began, when there was one before.
    pub newest_reason: Option<String>,
    /// What the clocks of the boots showed.
    pub walls: WallClockOffsets,
    /// What was learned of networks, the latest last.
    pub networks: Vec<NetworkFacts>,
    /// Records that only a newer version understands.
    pub unknown: UnknownRecords,
    /// The first thing that is wrong.
    pub first_problem: Option<JournalReadError>,
    /// The next ones, up to a few.
    pub further_problems: Vec<JournalReadError>,
    /// How many things are wrong.
    pub problems: u64,
}

impl Verified {
    fn note(&mut self, problem: JournalReadError) {
        self.problems += 1;
        if self.first_problem.is_none() {
            self.first_problem = Some(problem);
        } else if self.further_problems.len() < MOST_NAMED {
            self.further_problems.push(problem);
        }
    }
}

/// Reads every line in a folder and compares it with the one before, and the last one with the sign of
/// life.
///
/// # Errors
/// [`JournalReadError`] of opening the journal: there is none, or it cannot be read at all.
pub fn verify(folder: &Path) -> Result<Verified, JournalReadError> {
    let mut verified = Verified::default();
    // It names durable records alone, so whatever it knows must come after it was read.
    let written = sign_of_life(folder).map_or(0, |alive| alive.seq);
    let mut reader = JournalReader::open(folder)?;
    // Only of so many files the oldest are deleted.
    let is_complete = reader.files() < files::FILES;
    for read in reader.by_ref() {
        let located = match read {
            Ok(located) => located,
            Err(problem) => {
                verified.note(problem);
                continue;
            }
        };
        let record = located.record;
        if verified.records == 0
            && verified.problems == 0
            && is_complete
            && !matches!(record.entry, Entry::ChainStarted { .. })
        {
            verified.note(JournalReadError::Beginning { first: record.seq });
        }
        verified.walls.learn(&record.at);
        verified.records += 1;
        let first = verified.span.map_or(record.at, |(first, _)| first);
        verified.span = Some((first, record.at));
        verified.head = Some(JournalHead { seq: record.seq, head: located.digest.to_string() });
        match record.entry {
            Entry::ChainStarted { reason, .. } => {
                verified.chains += 1;
                verified.newest_reason = reason;
            }
            Entry::Network { network } => network.remember_in(&mut verified.networks),
            Entry::Unknown(unknown) => verified.unknown.count(&unknown),
            _ => {}
        }
    }
    let found = reader.newest();
    if written > found {
        verified.note(JournalReadError::Missing { written, found });
    }
    for name in set_aside(folder) {
        verified.note(JournalReadError::SetAside { name });
    }
    Ok(verified)
}

/// The files that stood in the journal's place and are none.
fn set_aside(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| files::is_set_aside(name)).collect();
    names.sort_unstable();
    names
}
