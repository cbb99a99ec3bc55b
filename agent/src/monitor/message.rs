//! Messages to the monitor, its settings and its dependencies.

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

/// A message from another task to the monitor.
#[derive(Debug)]
pub enum MonitorMessage {
    /// A heartbeat has just ended.
    Heartbeat {
        /// When it was started, as time since boot.
        started: Duration,
        /// Its outcome.
        outcome: HeartbeatOutcome,
    },
    /// Stop monitoring until [`MonitorMessage::Resume`].
    Pause {
        /// When the pause ends by itself.
        until: Stamp,
        /// Notified when the journal has stored the pause, or cannot.
        noted: oneshot::Sender<()>,
    },
    /// End the pause.
    Resume,
    /// The machine is probably about to sleep.
    Sleep,
    /// The machine has woken.
    Wake,
    /// Use new settings.
    Change(Box<MonitorSettings>),
    /// The state of the hand-over has changed.
    HandOver {
        /// How many closed incidents and gaps wait for it.
        waiting: u64,
        /// Why it fails, if it does.
        problem: Option<HandOverProblem>,
    },
    /// The agent stops.
    Stop {
        /// Why it stops, such as the name of the signal.
        reason: &'static str,
        /// Notified when the journal has stored the stop, or cannot.
        done: oneshot::Sender<()>,
    },
}

/// The settings of the monitor.
#[derive(Clone, Debug)]
pub struct MonitorSettings {
    /// The device's name.
    pub device: String,
    /// The targets and timing of the probes.
    pub probe: ProbeSettings,
    /// The URL of the heartbeats without secrets, and the host whose name they look up; `None` in local
    /// mode.
    pub heartbeat: Option<(String, Option<String>)>,
    /// The time between two heartbeats.
    pub interval: Duration,
}

/// Dependencies of the monitor.
#[derive(Debug)]
pub struct MonitorDeps {
    /// The clocks.
    pub clock: Clock,
    /// The resolver for heartbeats and probes.
    pub resolver: Arc<Resolver>,
    /// The journal.
    pub journal: Journal,
    /// The state recovered from the journal.
    pub recovered: Recovered,
    /// The writer of the status file; `None` if there is none.
    pub publisher: Option<Publisher>,
    /// The service manager, which is sent the status too.
    pub manager: ServiceManager,
    /// The folder of the journal.
    pub state_dir: PathBuf,
    /// Notified when connectivity is back.
    pub connectivity_restored: Arc<Notify>,
    /// Notified when there is something new to hand over.
    pub hand_over_due: Arc<Notify>,
}

/// Counters that the heartbeats share with the monitor.
#[derive(Clone, Debug)]
pub struct SharedTally(Arc<Mutex<Tally>>);

impl SharedTally {
    /// Wraps the counters.
    pub(super) fn new(tally: Tally) -> Self {
        Self(Arc::new(Mutex::new(tally)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The quality since the last call, for the next heartbeat.
    pub fn take_link_quality(&self) -> Option<LinkQuality> {
        self.lock().take_link_quality()
    }
}
