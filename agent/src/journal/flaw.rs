//! Kinds of damage to a line, and its location.

use std::sync::Arc;

use super::{
    lines::LONGEST_LINE,
    record::{Digest, FORMAT, LARGEST_SEQ, Record},
};

/// A record and its location.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// The record.
    pub record: Record,
    /// The hash of its line.
    pub digest: Digest,
    /// The location of the line.
    pub place: LineLocation,
}

/// The location of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineLocation {
    /// The file's name within the folder.
    pub file: Arc<str>,
    /// The line's number, from 1.
    pub line: u64,
}

/// A line that differs from what the agent wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}, line {}{}: {flaw}", place.file, place.line, seq.map(|seq| format!(" (record {seq})")).unwrap_or_default())]
pub struct Damage {
    /// Its location.
    pub place: LineLocation,
    /// The number of the record, if it can be read.
    pub seq: Option<u64>,
    /// The kind of damage.
    pub flaw: Flaw,
}

/// Why a line counts as damaged.
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
    /// Its number is larger than any that an agent writes.
    #[error("this record has the number {0}, the largest is {LARGEST_SEQ}")]
    TooLarge(u64),
    /// The number is not the next one.
    #[error("here should be record {expected}, but it is record {found}")]
    Sequence {
        /// The number of the record that belongs here.
        expected: u64,
        /// The number of the record that is here.
        found: u64,
    },
    /// The next record names another hash than this record has.
    #[error(
        "this record was changed after record {next} was written: its hash is {found}, record {next} names {expected}"
    )]
    Changed {
        /// The number of the next record.
        next: u64,
        /// The hash that the next record names.
        expected: Digest,
        /// The hash of the line as it is.
        found: Digest,
    },
    /// The alive file, or the chain that starts after this record, names another hash.
    #[error("this record was changed after it was written: its hash should begin with {expected}")]
    NotedHashDiffers {
        /// The noted hash, or its first digits.
        expected: String,
    },
    /// It names another hash than the record before has, and no other record confirms it.
    #[error("this record does not follow the one before it, which has the hash {found}")]
    Unconnected {
        /// The hash of the record before.
        found: Digest,
    },
    /// Nothing confirms it: it follows no record, and none follows it.
    #[error("no other record confirms this one")]
    Unconfirmed,
    /// The hash that it names was changed; the rest of it matches the hash in the next record.
    #[error("the hash that this record names was changed")]
    HashChanged,
    /// The records before and after it follow each other.
    #[error("this line was added: the records around it follow each other")]
    Added,
    /// It comes after the record that the next chain names as its predecessor.
    #[error("this record was added after the next chain was begun, which follows record {last}")]
    AddedLater {
        /// The number of the last record before that chain.
        last: u64,
    },
    /// It is identical to the line before.
    #[error("this line repeats the one before it")]
    Repeated,
    /// It ends with a carriage return.
    #[error("this line ends with a carriage return, which was not written")]
    CarriageReturn,
    /// A chain begins where none can: within a file, or with a hash in `prev` that is not all
    /// zeros.
    #[error("a chain begins here, which happens at the start of a file only")]
    Misplaced,
    /// Another file begins with the same record.
    #[error("this file repeats the records of {0}")]
    Copy(Arc<str>),
    /// It was written by a newer version whose format this version does not know.
    #[error("this was written in format {0}; this version knows formats up to {FORMAT}")]
    NewerFormat(u32),
}
