//! One line of the journal.

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
/// The largest `seq`: it fills twelve digits. At ten records a second a device gets there in 3,000
/// years, so an agent cannot have written a larger one.
pub(super) const LARGEST_SEQ: u64 = 999_999_999_999;

/// A SHA-256 hash in 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The `prev` of the first record of a chain: 64 zeros.
    pub fn none() -> Self {
        Self("0".repeat(64))
    }

    /// The hash of a line without its line feed.
    pub fn of(line: &[u8]) -> Self {
        use fmt::Write;
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(line) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One record of the journal, stored as one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number: 1 for the very first record, then one more each. A new chain continues after the
    /// highest number known from the one before, so a number identifies one record of a folder.
    pub seq: u64,
    /// The hash of the line before; 64 zeros at the start of a chain.
    pub prev: Digest,
    /// When it was written.
    #[serde(flatten)]
    pub at: Stamp,
    /// The event.
    #[serde(flatten)]
    pub entry: Entry,
}

/// The content of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// The first record of a chain.
    ChainStarted {
        /// The version of the format, [`FORMAT`].
        format: u32,
        /// The device's name.
        device: String,
        /// Why a new chain starts although there was one, as a sentence.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The names of the files that were set aside for the new chain.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        set_aside: Vec<String>,
        /// The newest undamaged record before it.
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
    /// The agent stops cleanly.
    AgentStopped {
        /// What requested the stop, such as `SIGTERM`.
        reason: String,
    },
    /// The user has paused the agent.
    Paused {
        /// When the pause ends automatically.
        until: Stamp,
    },
    /// An incident has opened.
    IncidentOpened {
        /// The incident, with its evidence.
        incident: Incident,
    },
    /// An open incident continues with another cause, or progress was recorded; without its
    /// evidence.
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
    /// The agent learned something about a network: all that is known of it now.
    Network {
        /// All known facts.
        network: NetworkFacts,
    },
    /// The wall clock was found to be wrong, or was set.
    ClockStepped {
        /// By how much it moved, in milliseconds.
        by_ms: i64,
        /// How the step was detected.
        source: StepSource,
    },
    /// The summary of an hour.
    Hour {
        /// Its statistics.
        summary: Summary,
    },
    /// Records were lost because the journal could not be written and the queue in memory was full.
    RecordsDropped {
        /// The number of lost records.
        count: u64,
        /// When the first of them happened; the last one happened when this record was made.
        since: Stamp,
    },
    /// A record of a newer agent that this version does not understand. It is never written.
    #[serde(skip)]
    Unknown(UnknownRecord),
}

/// The record that precedes a chain. It preserves that record's number and hash, although the chain
/// itself does not go back that far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}

/// The readable part of a record that only a newer version understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRecord {
    /// Its kind.
    pub kind: String,
    /// The unknown word in it, if the kind is known.
    pub word: Option<String>,
    /// The incident that it concerns.
    pub incident: Option<IncidentId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two example lines in the documentation of the format.
    fn example() -> Vec<&'static str> {
        let documentation = include_str!("../journal.rs").lines();
        documentation
            .filter_map(|line| line.strip_prefix("//! "))
            .filter(|line| line.starts_with("{\"seq\""))
            .collect()
    }

    #[test]
    fn the_documented_lines_match_the_written_ones() {
        let lines = example();
        assert_eq!(lines.len(), 2);
        for line in &lines {
            let record: Record = serde_json::from_str(line).expect("a documented record");
            assert_eq!(serde_json::to_string(&record).expect("a record serialises"), *line);
        }
    }

    #[test]
    fn the_documented_hash_matches_the_documented_line() {
        let lines = example();
        let second: Record = serde_json::from_str(lines[1]).expect("a documented record");
        assert_eq!(Digest::of(lines[0].as_bytes()), second.prev);
        assert!(include_str!("../journal.rs").contains(&format!("`{}`", second.prev)));
    }
}
