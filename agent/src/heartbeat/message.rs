//! What a heartbeat says.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ispmon_wire::{AgentInfo, AgentState, Heartbeat, JournalHead, LinkQuality, limits};

/// What a heartbeat says beside the agent's own state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeartbeatExtras {
    /// Where the record stands.
    pub journal: Option<JournalHead>,
    /// What the line was like since the last heartbeat.
    pub link: Option<LinkQuality>,
}

/// Gives each heartbeat what it says beside the agent's own state, at the moment of sending.
pub type ReadExtras = dyn Fn() -> HeartbeatExtras + Send + Sync;

/// The numbers of the heartbeats of one process. Its clones share the count, so that a client that replaces
/// another one goes on where that stopped.
#[derive(Clone, Debug, Default)]
pub struct Sequence(Arc<AtomicU64>);

impl Sequence {
    /// Numbers above `last`.
    pub fn after(last: u64) -> Self {
        Self(Arc::new(AtomicU64::new(last)))
    }

    /// The next number.
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Composes the heartbeats of one configuration, each with the next sequence number, from 1 unless it is given
/// another [`Sequence`].
pub(super) struct Messages {
    device: String,
    boot: String,
    sequence: Sequence,
    extras: Arc<ReadExtras>,
}

impl fmt::Debug for Messages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Messages({})", self.device)
    }
}

impl Messages {
    pub(super) fn new(device: &str, boot: &str) -> Self {
        Self {
            device: device.to_owned(),
            boot: boot.to_owned(),
            sequence: Sequence::default(),
            extras: Arc::new(HeartbeatExtras::default),
        }
    }

    /// Asks `extras` from now on what each heartbeat says beside.
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

    /// The next heartbeat; `quiet` is cut to whole seconds and to what the wire can say, a day.
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
    fn each_heartbeat_has_the_next_number_and_says_what_it_was_told() {
        let messages = Messages::new("dl-home", "b00t");
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
    fn what_is_enclosed_is_asked_for_each_time() {
        let mut messages = Messages::new("dl-home", "");
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
    fn silence_is_announced_for_a_day_at_most() {
        let messages = Messages::new("dl-home", "");
        let heartbeat = messages.next(AgentState::Paused, Duration::MAX);
        assert_eq!(heartbeat.agent.map(|agent| agent.quiet_s), Some(86_400));
    }
}
