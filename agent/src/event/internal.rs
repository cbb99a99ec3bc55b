//! The agent's own log and its defects.

use std::fmt;

use tracing::Level;

use super::{EventKind, Fields, LogEvent, phrase::Counted};

pub(super) const KINDS: &[&EventKind] = &[LINES_DROPPED, PANICKED];

const LINES_DROPPED: &EventKind =
    &EventKind::new("lines_dropped", "ad6a6cd27d954b82b6bf34347202300e", Level::WARN).explained(
        "Log lines were lost",
        "@ISPMON_COUNT@ lines found no room in the queue because journald, or another reader of the log, did not \
         take them fast enough. The agent's journal is not affected: `ispmon-agent outages`.",
    );

/// Log lines were lost because the queue was full.
pub struct LogLinesDropped {
    /// The number of lines.
    pub count: u64,
}

impl LogEvent for LogLinesDropped {
    fn kind(&self) -> &'static EventKind {
        LINES_DROPPED
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_count", self.count);
    }
}

impl fmt::Display for LogLinesDropped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let were = if self.count == 1 { "was" } else { "were" };
        write!(
            formatter,
            "{} {were} dropped here: the log is not read fast enough.",
            Counted(self.count, "log line")
        )
    }
}

const PANICKED: &EventKind =
    &EventKind::new("panicked", "794c8cb8fb1a41a685cc7e67f96a8e6d", Level::ERROR).explained(
        "A defect of the agent",
        "The agent has met a situation that its authors thought impossible, and ends; systemd starts it again. Please \
         report the message.",
    );

/// The program has a defect and panicked.
pub struct AgentPanicked<'a> {
    /// Message and source location.
    pub what: &'a str,
}

impl LogEvent for AgentPanicked<'_> {
    fn kind(&self) -> &'static EventKind {
        PANICKED
    }
}

impl fmt::Display for AgentPanicked<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "This is a defect of ispmon-agent {}: {}",
            env!("CARGO_PKG_VERSION"),
            self.what
        )
    }
}
