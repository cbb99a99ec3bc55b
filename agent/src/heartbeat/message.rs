//! The content of a heartbeat.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ispmon_wire::{AgentInfo, AgentState, Heartbeat, JournalHead, LinkQuality, limits};

/// The optional parts of a heartbeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeartbeatExtras {
    /// The head of the journal.
    pub journal: Option<JournalHead>,
    /// The connection's quality since the last heartbeat.
    pub link: Option<LinkQuality>,
}

/// Reads the optional parts of a heartbeat at the moment of sending.
pub type ReadExtras = dyn Fn() -> HeartbeatExtras + Send + Sync;

/// The sequence numbers of one process's heartbeats. Clones share the counter, so that a client that
/// replaces another continues its numbering.
#[derive(Clone, Debug, Default)]
pub struct Sequence(Arc<AtomicU64>);

impl Sequence {
    /// A sequence that starts at `last` + 1.
    pub fn after(last: u64) -> Self {
        Self(Arc::new(AtomicU64::new(last)))
    }

    /// Takes the next number.
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Builds the heartbeats of one configuration, each with the next number of its [`Sequence`], by default
/// one that starts at 1.
pub(super) struct HeartbeatBuilder {
    device: String,
    boot: String,
    sequence: Sequence,
    extras: Arc<ReadExtras>,
}

impl fmt::Debug for HeartbeatBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Messages({})", self.device)
    }
}

impl HeartbeatBuilder {
    pub(super) fn new(device: &str, boot: &str) -> Self {
        Self {
            device: device.to_owned(),
            boot: boot.to_owned(),
            sequence: Sequence::default(),
            extras: Arc::new(HeartbeatExtras::default),
        }
    }

    /// Calls `extras` for each heartbeat from now on.
    pub(super) fn set_extras(&mut self, extras: Arc<ReadExtras>) {
        self.extras = extras;
    }

    /// The device's name.
    pub(super) fn device(&self) -> &str {
        &self.device
    }

    /// Takes the numbers from `sequence` from now on.
    pub(super) fn set_sequence(&mut self, sequence: Sequence) {
        self.sequence = sequence;
    }

    /// The next heartbeat. `quiet` is rounded down to whole seconds and capped at a day, the wire's limit.
    pub(super) fn next(&self, state: AgentState, quiet: Duration) -> Heartbeat {
        let quiet_s = u32::try_from(quiet.as_secs()).unwrap_or(u32::MAX).min(limits::QUIET_SECONDS);
        let HeartbeatExtras { journal, link } = (self.extras)();
        Heartbeat {
            device: Some(self.device.clone()),
            agent: Some(AgentInfo {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                boot: self.boot.clone(),
                seq: self.sequence.next(),
                state,
                quiet_s,
            }),
            journal,
            link,
            note: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_heartbeat_has_the_next_number_and_the_given_state_and_silence() {
        let messages = HeartbeatBuilder::new("dl-home", "b00t");
        messages.next(AgentState::Running, Duration::ZERO);
        let second = messages.next(AgentState::Stopping, Duration::from_millis(1_800_900));
        let json = serde_json::to_value(&second).expect("a heartbeat is JSON");
        assert_eq!(
            json,
            serde_json::json!({
                "device": "dl-home",
                "agent": {
                    "version": env!("CARGO_PKG_VERSION"),
                    "boot": "b00t",
                    "seq": 2,
                    "state": "stopping",
                    "quiet_s": 1_800,
                },
            })
        );
    }

    #[test]
    fn extras_are_read_anew_for_each_heartbeat() {
        let mut messages = HeartbeatBuilder::new("dl-home", "");
        let count = AtomicU64::new(0);
        messages.set_extras(Arc::new(move || HeartbeatExtras {
            journal: Some(JournalHead {
                seq: count.fetch_add(1, Ordering::Relaxed),
                head: "ab".repeat(32),
            }),
            link: None,
        }));
        let seq = || {
            let heartbeat = messages.next(AgentState::Running, Duration::ZERO);
            heartbeat.journal.map(|journal| journal.seq)
        };
        assert_eq!([seq(), seq()], [Some(0), Some(1)]);
    }

    #[test]
    fn an_announced_silence_lasts_a_day_at_most() {
        let messages = HeartbeatBuilder::new("dl-home", "");
        let heartbeat = messages.next(AgentState::Paused, Duration::MAX);
        assert_eq!(heartbeat.agent.map(|agent| agent.quiet_s), Some(86_400));
    }
}
