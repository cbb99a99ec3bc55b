//! Problems of monitoring itself: clock, anchors, local failures, journal and status file.

use std::{error::Error, fmt, path::Path, time::Duration};

use tracing::Level;

use super::{
    EventKind, Fields, LogEvent,
    phrase::{Counted, FurtherSentence},
};
use crate::{clock::StepSource, duration::Readable, error_chain::ErrorChain, probe::LocalFailure};

pub(super) const KINDS: &[&EventKind] =
    &[STATUS_NOT_WRITTEN, CLOCK_STEPPED, ANCHORS_BLOCKED, BLIND, JOURNAL_PROBLEM, JOURNAL_DURABLE];

const STATUS_NOT_WRITTEN: &EventKind =
    &EventKind::new("status_not_written", "b16f533c444e4b309f266fcb6f64fe76", Level::WARN).explained(
        "The status file cannot be written",
        "`ispmon-agent status` shows an old status until it can be. Monitoring and the journal are not affected.",
    );

/// The status file could not be written; logged for the first failure and the first after a success.
pub struct StatusNotWritten<'a> {
    /// The file.
    pub path: &'a Path,
    /// The reason.
    pub error: &'a dyn Error,
}

impl LogEvent for StatusNotWritten<'_> {
    fn kind(&self) -> &'static EventKind {
        STATUS_NOT_WRITTEN
    }
}

impl fmt::Display for StatusNotWritten<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`ispmon-agent status` shows an old status until {} can be written: {}.",
            self.path.display(),
            ErrorChain(self.error)
        )
    }
}

const CLOCK_STEPPED: &EventKind =
    &EventKind::new("clock_stepped", "5a1ca898f3634fce9ca5cdd0c4ccc114", Level::WARN).explained(
        "The wall clock has moved",
        "By @ISPMON_BY_MS@ ms, as detected by: @ISPMON_SOURCE@. \"system\" means that NTP or a person set it, \
         \"heartbeat\" that the answer to a heartbeat has another time than this device. Durations do not depend on \
         it.\n\n\
         If it happens often, check that the clock is set from the network: `timedatectl`.",
    );

/// The wall clock was found to be wrong, or was set.
pub struct ClockStepped {
    /// By how many milliseconds it moved; negative when it moved back.
    pub by_ms: i64,
    /// How the step was detected.
    pub source: StepSource,
}

impl LogEvent for ClockStepped {
    fn kind(&self) -> &'static EventKind {
        CLOCK_STEPPED
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_by_ms", self.by_ms);
        fields.set("ispmon_source", format!("{:?}", self.source).to_ascii_lowercase());
    }
}

impl fmt::Display for ClockStepped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = Readable(Duration::from_millis(self.by_ms.unsigned_abs()));
        let direction = if self.by_ms < 0 { "back" } else { "forward" };
        match self.source {
            StepSource::System => {
                write!(formatter, "The system's clock was set {direction} by {by}.")
            }
            StepSource::Heartbeat => write!(
                formatter,
                "The system's clock is wrong: by the answer to a heartbeat, times are moved {direction} by {by}. \
                 Check that the clock is set from the network (NTP)."
            ),
        }
    }
}

const ANCHORS_BLOCKED: &EventKind =
    &EventKind::new("anchors_blocked", "02cae9edff0c451db0a95420884e44b9", Level::WARN).explained(
        "The anchors cannot be reached from this network",
        "Heartbeats are delivered, but none of the servers that the agent probes has ever answered. Outages are \
         detected only when a heartbeat fails.\n\n\
         Set `probe.anchors` to servers that answer from here.",
    );

/// Heartbeats are delivered, but no anchor has ever answered.
pub struct AnchorsBlocked;

impl LogEvent for AnchorsBlocked {
    fn kind(&self) -> &'static EventKind {
        ANCHORS_BLOCKED
    }
}

impl fmt::Display for AnchorsBlocked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "Heartbeats are delivered, but no anchor has ever answered: this network blocks them. Outages are not \
             detected before a heartbeat fails; set `probe.anchors` to servers that can be reached from here.",
        )
    }
}

const BLIND: &EventKind = &EventKind::new("blind", "5b8d3a1ef0c64d5e9f6c1c9e70f2a4d3", Level::WARN)
    .explained(
        "This device cannot send probes",
        "For ten seconds or longer the agent could not open any connection, for a reason of this device itself: \
         too many open files, no memory for sockets, or no free source port. That says nothing about the internet \
         connection, so nothing is monitored meanwhile. The time is recorded as a gap of cause `blind`, and no \
         outage is claimed for it.\n\n\
         Find the program that uses so much of it; `ispmon-agent doctor` says what is missing.",
    );

/// No probe could be sent for ten seconds, because of a failure of this device itself.
pub struct MonitoringBlind {
    /// The local failure.
    pub reason: LocalFailure,
}

impl LogEvent for MonitoringBlind {
    fn kind(&self) -> &'static EventKind {
        BLIND
    }
}

impl fmt::Display for MonitoringBlind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Nothing can be monitored: {}. {}",
            self.reason.reason(),
            self.reason.action()
        )
    }
}

const JOURNAL_PROBLEM: &EventKind =
    &EventKind::new("journal_problem", "3dcfa6799747494ba9ef8c356b91859b", Level::WARN).explained(
        "The journal cannot be written",
        "@ISPMON_COUNT@ records wait in memory and are written as soon as possible. They are lost if the agent stops \
         before.\n\n\
         Look at the free space and the permissions of the state folder (/var/lib/ispmon); `ispmon-agent doctor` \
         names it.",
    );

/// The journal cannot be written.
pub struct JournalNotWritten<'a> {
    /// The problem, as a sentence.
    pub problem: &'a str,
    /// The action that may solve it, as a sentence.
    pub advice: Option<&'a str>,
    /// The number of records that wait in memory.
    pub waiting: usize,
}

impl LogEvent for JournalNotWritten<'_> {
    fn kind(&self) -> &'static EventKind {
        JOURNAL_PROBLEM
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_count", self.waiting);
    }
}

impl fmt::Display for JournalNotWritten<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { problem, advice, waiting } = self;
        let records = Counted(*waiting as u64, "record");
        let wait = if *waiting == 1 { "waits" } else { "wait" };
        write!(
            formatter,
            "{problem} {records} {wait} in memory until that is solved.{}",
            FurtherSentence(*advice)
        )
    }
}

const JOURNAL_DURABLE: &EventKind =
    &EventKind::new("journal_durable", "e36b934c4d8844bcad2a2201548af722", Level::INFO).explained(
        "The journal can be written again",
        "Everything that waited in memory is in it.",
    );

/// The journal can be written again and holds all records that waited in memory.
pub struct JournalWritten;

impl LogEvent for JournalWritten {
    fn kind(&self) -> &'static EventKind {
        JOURNAL_DURABLE
    }
}

impl fmt::Display for JournalWritten {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("The journal can be written again and holds what waited in memory.")
    }
}
