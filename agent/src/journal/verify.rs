//! Checks the whole journal for damage and missing records.

use std::path::Path;

use ispmon_wire::JournalHead;

use super::{
    clock_offsets::WallClockOffsets,
    files,
    reader::{JournalReadError, JournalReader, read_alive_file},
    record::Entry,
    unknown::UnknownRecords,
};
use crate::{clock::Stamp, outage::NetworkFacts};

/// How many problems are named after the first one.
const MOST_NAMED: usize = 19;

/// The result of checking the whole journal.
#[derive(Debug, Default)]
pub struct Verified {
    /// How many records were accepted.
    pub records: u64,
    /// When the first and the last of them were written.
    pub span: Option<(Stamp, Stamp)>,
    /// The newest record.
    pub head: Option<JournalHead>,
    /// How many chains begin in what was read.
    pub chains: u64,
    /// Why the newest of them began, if there was one before.
    pub newest_reason: Option<String>,
    /// The clock offsets of the boots.
    pub walls: WallClockOffsets,
    /// The facts that the agent learned about networks, the latest last.
    pub networks: Vec<NetworkFacts>,
    /// Records that only a newer version understands.
    pub unknown: UnknownRecords,
    /// The first problem.
    pub first_problem: Option<JournalReadError>,
    /// The next problems, at most 19.
    pub further_problems: Vec<JournalReadError>,
    /// The number of all problems.
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

/// Reads every line in a folder and checks it against the line before, and the last one against the
/// alive file.
///
/// # Errors
/// [`JournalReadError`] of opening the journal: it does not exist, or cannot be read at all.
pub fn verify(folder: &Path) -> Result<Verified, JournalReadError> {
    let mut verified = Verified::default();
    // Read before the files: it names only durable records, so each must be in the files opened
    // later.
    let written = read_alive_file(folder).map_or(0, |alive| alive.seq);
    let mut reader = JournalReader::open(folder)?;
    // With fewer files than that, none has been deleted to make room.
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
            verified.note(JournalReadError::MissingBeginning { first: record.seq });
        }
        verified.walls.update(&record.at);
        verified.records += 1;
        let first = verified.span.map_or(record.at, |(first, _)| first);
        verified.span = Some((first, record.at));
        verified.head = Some(JournalHead { seq: record.seq, head: located.digest.to_string() });
        match record.entry {
            Entry::ChainStarted { reason, .. } => {
                verified.chains += 1;
                verified.newest_reason = reason;
            }
            Entry::Network { network } => network.add_to(&mut verified.networks),
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

/// The files that had the journal's name and are not journals.
fn set_aside(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| files::is_set_aside(name)).collect();
    names.sort_unstable();
    names
}
