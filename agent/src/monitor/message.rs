//! What the monitor is told, and what it works with.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ispmon_wire::LinkQuality;
use tokio::sync::{Notify, oneshot};

use super::Tally;
use crate::{
    clock::{Clock, Stamp},
    config::settings::ProbeSettings,
    heartbeat::HeartbeatOutcome,
    journal::{Journal, Recovered},
    notify::ServiceManager,
    resolver::Resolver,
    status::{HandOverProblem, Publisher},
};

/// What others tell the monitor.
#[derive(Debug)]
pub enum MonitorMessage {
    /// A heartbeat has just ended.
    Heartbeat {
        /// When it was started, as time since boot.
        started: Duration,
        /// What came of it.
        outcome: HeartbeatOutcome,
    },
    /// Watch nothing until `until`, or until [`MonitorMessage::Resume`].
    Pause {
        /// When the pause ends by itself.
        until: Stamp,
        /// Answered when the record knows, or cannot.
        noted: oneshot::Sender<()>,
    },
    /// The pause is over.
    Resume,
    /// The machine goes to sleep, as far as anybody knows.
    Sleep,
    /// The machine has woken up.
    Wake,
    /// There are new settings.
    Change(Box<MonitorSettings>),
    /// Something about the hand-over has changed.
    HandOver {
        /// How many closed incidents and gaps wait for it.
        waiting: u64,
        /// What is wrong with it.
        problem: Option<HandOverProblem>,
    },
    /// The agent leaves; the answer comes when the record knows.
    Stop {
        /// What asked it to.
        reason: &'static str,
        /// Answered when the record is written, or cannot be.
        done: oneshot::Sender<()>,
    },
}

/// What is monitored, and for which device.
#[derive(Clone, Debug)]
pub struct MonitorSettings {
    /// The device's name.
    pub device: String,
    /// Who is asked.
    pub probe: ProbeSettings,
    /// Where heartbeats go, without secrets, and the host that they need; nothing in local mode.
    pub heartbeat: Option<(String, Option<String>)>,
    /// The time between two heartbeats.
    pub interval: Duration,
}

/// What the monitor works with.
#[derive(Debug)]
pub struct MonitorDeps {
    /// The clocks.
    pub clock: Clock,
    /// Who looks names up, for heartbeats and probes.
    pub resolver: Arc<Resolver>,
    /// The record.
    pub journal: Journal,
    /// What the record says about the time before.
    pub recovered: Recovered,
    /// Where the status goes, when it can go anywhere.
    pub publisher: Option<Publisher>,
    /// Who is told how the agent is, beside the readers of the status.
    pub manager: ServiceManager,
    /// The folder of the record.
    pub state_dir: PathBuf,
    /// Told when the line has returned.
    pub returned: Arc<Notify>,
    /// Told when there is something new to hand over.
    pub closed: Arc<Notify>,
}

/// A count that the heartbeats share with the monitor.
#[derive(Clone, Debug)]
pub struct SharedTally(Arc<Mutex<Tally>>);

impl SharedTally {
    /// Shares a count.
    pub(super) fn new(tally: Tally) -> Self {
        Self(Arc::new(Mutex::new(tally)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the line was like since this was asked last.
    pub fn take_link_quality(&self) -> Option<LinkQuality> {
        self.lock().take_link_quality()
    }
}
