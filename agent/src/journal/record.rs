//! One line of the record.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    clock::{Stamp, StepSource},
    outage::{Gap, Incident, IncidentId, NetworkFacts},
    summary::Summary,
};

/// The version of the format that this program writes.
pub const FORMAT: u32 = 1;
/// The largest number that a record has: what fills twelve digits. A device that writes ten records a
/// second gets there in 3,000 years, so a larger one was not written by an agent.
pub(super) const LARGEST_SEQ: u64 = 999_999_999_999;

/// A SHA-256 hash in 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The hash that stands before the first record of a chain: 64 zeros.
    pub fn none() -> Self {
        Self("0".repeat(64))
    }

    /// The hash of a line, its line feed not included.
    pub fn of(line: &[u8]) -> Self {
        use fmt::Write;
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(line) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One line of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number: 1 for the very first record, then one more each. A new chain goes on counting
    /// behind what is known of the one before it, so that a number means one record of a folder.
    pub seq: u64,
    /// The hash of the line before it; 64 zeros at the start of a chain.
    pub prev: Digest,
    /// When it was written.
    #[serde(flatten)]
    pub at: Stamp,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// The first record of a chain.
    ChainStarted {
        /// The version of the format, [`FORMAT`].
        format: u32,
        /// The device's name.
        device: String,
        /// Why there is a new chain although there was one, as a sentence.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The names of the files that were set aside for it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        set_aside: Vec<String>,
        /// The newest record before it that was not damaged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Predecessor>,
    },
    /// The agent has started.
    AgentStarted {
        /// Its version.
        version: String,
        /// The device's name.
        device: String,
    },
    /// The agent stops in order.
    AgentStopped {
        /// What asked it to, such as `SIGTERM`.
        reason: String,
    },
    /// Somebody has paused the agent.
    Paused {
        /// When the pause ends by itself.
        until: Stamp,
    },
    /// An incident has opened.
    IncidentOpened {
        /// The incident, with its evidence.
        incident: Incident,
    },
    /// An open incident goes on with another cause, or was noted again; without its evidence.
    IncidentChanged {
        /// The incident as it is now.
        incident: Incident,
    },
    /// An incident has closed.
    IncidentClosed {
        /// The whole incident.
        incident: Incident,
    },
    /// An unmonitored period has ended.
    Gap {
        /// The gap.
        gap: Gap,
    },
    /// Something was learned of a network: all that is known of it now.
    Network {
        /// What is known.
        network: NetworkFacts,
    },
    /// The wall clock was found to be wrong, or was set.
    ClockStepped {
        /// By how much it moved, in milliseconds.
        by_ms: i64,
        /// How that is known.
        source: StepSource,
    },
    /// What an hour was like.
    Hour {
        /// Its figures.
        summary: Summary,
    },
    /// Records were lost because the journal could not be written for so long that memory was full.
    RecordsDropped {
        /// How many.
        count: u64,
        /// When the first of them happened; the last one happened when this record was made.
        since: Stamp,
    },
    /// Something that a newer agent writes and this version does not know. It is never written.
    #[serde(skip)]
    Unknown(UnknownRecord),
}

/// The record that a chain was begun after. It tells ever after what stood there then, although the
/// chain itself does not go back that far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}

/// What is known of a record that only a newer version understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRecord {
    /// Its kind.
    pub kind: String,
    /// The word in it that is not known, where the kind is.
    pub word: Option<String>,
    /// The incident that it tells of.
    pub incident: Option<IncidentId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two lines that the format's documentation shows.
    fn example() -> Vec<&'static str> {
        let documentation = include_str!("../journal.rs").lines();
        documentation
            .filter_map(|line| line.strip_prefix("//! "))
            .filter(|line| line.starts_with("{\"seq\""))
            .collect()
    }

    #[test]
    fn the_documented_lines_are_what_is_written() {
        let lines = example();
        assert_eq!(lines.len(), 2);
        for line in &lines {
            let record: Record = serde_json::from_str(line).expect("it is a record");
            assert_eq!(serde_json::to_string(&record).expect("it is JSON"), *line);
        }
    }

    #[test]
    fn the_documented_hash_is_that_of_the_documented_line() {
        let lines = example();
        let second: Record = serde_json::from_str(lines[1]).expect("it is a record");
        assert_eq!(Digest::of(lines[0].as_bytes()), second.prev);
        assert!(include_str!("../journal.rs").contains(&format!("`{}`", second.prev)));
    }
}
