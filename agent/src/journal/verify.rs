//! Whether the whole record is as it was written.

use std::path::Path;

use ispmon_wire::JournalHead;

use super::{
    reader::{ReadError, Reader, sign_of_life},
    record::Entry,
    walls::Walls,
};
use crate::clock::Stamp;

/// What came of reading the whole record.
#[derive(Debug, Default)]
pub struct Verified {
    /// How many records were read.
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
    pub walls: Walls,
    /// The first thing that is wrong.
    pub first_problem: Option<ReadError>,
    /// How many things are wrong.
    pub problems: u64,
}

/// Reads every line in a folder and compares it with the one before, and the last one with the sign of
/// life.
///
/// # Errors
/// [`ReadError`] of opening the journal: there is none, or it cannot be read at all.
pub fn verify(folder: &Path) -> Result<Verified, ReadError> {
    let mut verified = Verified::default();
    // It names durable records alone, so whatever it knows must come after it was read.
    let written = sign_of_life(folder).map_or(0, |alive| alive.seq);
    for read in Reader::open(folder)? {
        let located = match read {
            Ok(located) => located,
            Err(problem) => {
                verified.problems += 1;
                verified.first_problem.get_or_insert(problem);
                continue;
            }
        };
        let record = located.record;
        verified.walls.learn(&record.at);
        verified.records += 1;
        let first = verified.span.map_or(record.at, |(first, _)| first);
        verified.span = Some((first, record.at));
        verified.head = Some(JournalHead { seq: record.seq, head: located.digest.to_string() });
        if let Entry::ChainStarted { reason, .. } = record.entry {
            verified.chains += 1;
            verified.newest_reason = reason;
        }
    }
    let found = verified.head.as_ref().map_or(0, |head| head.seq);
    if written > found {
        verified.problems += 1;
        verified.first_problem.get_or_insert(ReadError::Missing { written, found });
    }
    Ok(verified)
}
