//! Whether a line follows the one before it.

use serde::Deserialize;

use super::{
    lines::LONGEST_LINE,
    record::{Digest, Entry, FORMAT, Record},
};
use crate::clock::Stamp;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It is not a JSON object with the fields of every record.
    #[error("this line is not a record")]
    NotARecord,
    /// It is longer than a record can be.
    #[error("this line is longer than {LONGEST_LINE} bytes")]
    TooLong,
    /// The file ends within the line, and it is not the file that is being written.
    #[error("the file ends within this line")]
    Torn,
    /// The number is not the next one.
    #[error("here should be record {expected}, but it is record {found}")]
    Sequence {
        /// The number that should stand here.
        expected: u64,
        /// The number that does.
        found: u64,
    },
    /// The next record names another hash than this record has.
    #[error(
        "this record was changed after record {next} was written: its hash is {found}, record {next} says {expected}"
    )]
    Changed {
        /// The number of the next record.
        next: u64,
        /// The hash that the next record names.
        expected: Digest,
        /// The hash of the line as it is.
        found: Digest,
    },
    /// A chain begins where none can begin: within a file, or with the hash of something before it.
    #[error("a chain begins here, which happens at the start of a file only")]
    Misplaced,
    /// It was written by a newer version whose format this version does not know.
    #[error("this was written in format {0}; this version knows formats up to {FORMAT}")]
    NewerFormat(u32),
}

/// A record that could be read, its hash, and how it breaks the chain if it does.
pub(super) struct Followed {
    pub(super) record: Record,
    pub(super) digest: Digest,
    pub(super) flaw: Option<Flaw>,
}

/// The place in a chain behind the record that was read last.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    /// Number and hash of that record; `None` where nothing is known about what comes next.
    last: Option<(u64, Digest)>,
}

/// What every record has, whatever its kind.
#[derive(Deserialize)]
struct Envelope {
    seq: u64,
    prev: Digest,
    #[serde(flatten)]
    at: Stamp,
    kind: String,
    format: Option<u32>,
}

impl Chain {
    /// Reads a line and compares it with the one before. What comes after a line that cannot be read
    /// is believed, for there is nothing to compare it with.
    ///
    /// # Errors
    /// [`Flaw::NotARecord`] and [`Flaw::NewerFormat`]: there is no record to return.
    pub(super) fn follow(&mut self, line: &[u8], first_of_file: bool) -> Result<Followed, Flaw> {
        let record = match parse(line) {
            Ok(record) => record,
            Err(flaw) => {
                self.last = None;
                return Err(flaw);
            }
        };
        let digest = Digest::of(line);
        let last = self.last.replace((record.seq, digest.clone()));
        let flaw = match (&record.entry, last) {
            (Entry::ChainStarted { .. }, _) if !first_of_file || record.prev != Digest::none() => {
                Some(Flaw::Misplaced)
            }
            (Entry::ChainStarted { .. }, Some((seq, _))) if record.seq <= seq => {
                Some(Flaw::Sequence { expected: seq + 1, found: record.seq })
            }
            (Entry::ChainStarted { .. }, _) | (_, None) => None,
            (_, Some((seq, _))) if record.seq != seq.saturating_add(1) => {
                Some(Flaw::Sequence { expected: seq.saturating_add(1), found: record.seq })
            }
            (_, Some((_, found))) if record.prev != found => {
                Some(Flaw::Changed { next: record.seq, expected: record.prev.clone(), found })
            }
            (_, Some(_)) => None,
        };
        Ok(Followed { record, digest, flaw })
    }

    /// Forgets the last record, because something is missing behind it.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

/// Reads one line. A kind, or a value in a known kind, that only a newer version knows is
/// [`Entry::Unknown`]: the record still has its place in the chain.
fn parse(line: &[u8]) -> Result<Record, Flaw> {
    if let Ok(record) = serde_json::from_slice::<Record>(line) {
        return match record.entry {
            Entry::ChainStarted { format, .. } if format > FORMAT => Err(Flaw::NewerFormat(format)),
            _ => Ok(record),
        };
    }
    let envelope: Envelope = serde_json::from_slice(line).map_err(|_| Flaw::NotARecord)?;
    let Envelope { seq, prev, at, kind, format } = envelope;
    match format {
        Some(format) if kind == "chain_started" && format > FORMAT => {
            Err(Flaw::NewerFormat(format))
        }
        _ => Ok(Record { seq, prev, at, entry: Entry::Unknown }),
    }
}
