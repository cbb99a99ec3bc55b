//! Everything that the agent logs: one type for each log event, with its level, its sentence, its fields and
//! its entry in the message catalog.
//!
//! A change of state is logged at `info`, or at `warn` when the owner may want to act; what happens at every
//! heartbeat is logged at `debug`, so that the log stays quiet while nothing changes.
//!
//! Each file below holds the events of one subject. An event is a struct with the values. The [`EventKind`]
//! above it is its name, id, level and explanation; its Display is the sentence; `add_fields` adds the fields
//! for programs. [`emit`](LogEvent::emit) sends it to the log.

mod catalog;
mod config;
mod fields;
mod hand_over;
mod heartbeat;
mod internal;
mod kind;
mod lifecycle;
mod monitoring;
mod outage;
mod phrase;
mod sink;

use std::fmt;

pub use catalog::catalog;
pub use config::{Advice, ConfigReloaded, ConfigUnchanged, OldConfigKept, ReloadRefused};
pub use fields::Fields;
#[cfg(target_os = "linux")]
pub(crate) use fields::{TARGET, send_to_tracing};
pub use hand_over::{
    IncidentPassedOver, IncidentsHandedOver, IncidentsHandedOverAgain, IncidentsNotHandedOver,
};
pub use heartbeat::{
    BootIdUnknown, DeviceExpected, DeviceNotExpected, FirstHeartbeatDelivered, HeartbeatDelivered,
    HeartbeatFailed, HeartbeatFailedAgain, HeartbeatsRecovered,
};
pub use internal::{AgentPanicked, LogLinesDropped};
pub use kind::{EventKind, Explanation};
pub use lifecycle::{
    AgentPaused, AgentResumed, AgentStarted, AgentStartedLocally, AgentStopping,
    ControlUnavailable, SilenceAnnounced, SilenceNotAnnounced, SleepAnnounced, SleepNotAnnounced,
    StopAnnounced,
};
pub use monitoring::{
    AnchorsBlocked, ClockStepped, JournalNotWritten, JournalWritten, MonitoringBlind,
    StatusNotWritten,
};
pub use outage::IncidentEvent;
pub use sink::{LogSink, set_sink};

/// A log event. Its Display is a sentence for people.
pub trait LogEvent: fmt::Display {
    /// The part that all events of its kind share.
    fn kind(&self) -> &'static EventKind;

    /// Adds the fields for programs, beside its name and `MESSAGE_ID`.
    fn add_fields(&self, _fields: &mut Fields) {}

    /// All fields for programs.
    fn fields(&self) -> Fields {
        let kind = self.kind();
        let mut fields = Fields::default();
        fields.set("message_id", kind.message_id);
        fields.set("ispmon_event", kind.name);
        self.add_fields(&mut fields);
        fields
    }

    /// Sends it to the log of this process; does nothing before the log is started.
    fn emit(&self) {
        sink::emit(self.kind().level, self);
    }
}

/// Every kind of event, file by file. A test finds the kinds that are missing here.
pub const KINDS: &[&[&EventKind]] = &[
    lifecycle::KINDS,
    config::KINDS,
    heartbeat::KINDS,
    monitoring::KINDS,
    outage::KINDS,
    hand_over::KINDS,
    internal::KINDS,
];

/// The files that define events, for the test that every kind is in [`KINDS`].
#[cfg(test)]
const SOURCES: &[&str] = &[
    include_str!("event/config.rs"),
    include_str!("event/hand_over.rs"),
    include_str!("event/heartbeat.rs"),
    include_str!("event/lifecycle.rs"),
    include_str!("event/internal.rs"),
    include_str!("event/monitoring.rs"),
    include_str!("event/outage.rs"),
];

#[cfg(test)]
mod tests;
