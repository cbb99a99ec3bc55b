//! Start, stop, pause and sleep, and their announcements to the cloud.

use std::{error::Error, fmt, time::Duration};

use jiff::tz::TimeZone;
use tracing::Level;

use super::{EventKind, Fields, LogEvent};
use crate::{
    clock::Stamp, duration::Readable, error_chain::ErrorChain, heartbeat::HeartbeatOutcome,
};

pub(super) const KINDS: &[&EventKind] = &[
    STARTED,
    STARTED_LOCALLY,
    STOPPING,
    SILENCE_ANNOUNCED,
    STOP_ANNOUNCED,
    SILENCE_NOT_ANNOUNCED,
    CONTROL_UNAVAILABLE,
    PAUSED,
    RESUMED,
    SLEEP_ANNOUNCED,
    SLEEP_NOT_ANNOUNCED,
];

const VERSION: &str = env!("CARGO_PKG_VERSION");

const STARTED: &EventKind = &EventKind::new("started", "fae622cb553e4f2cb157636ae77ded0d", Level::INFO)
    .explained(
        "The agent has started",
        "The agent monitors the internet connection and sends heartbeats. When they stop, the cloud mails the owner.",
    );

/// The agent has started and sends heartbeats to the cloud.
pub struct AgentStarted<'a> {
    /// The device's name.
    pub device: &'a str,
    /// The heartbeat URL, without secrets.
    pub url: &'a dyn fmt::Display,
    /// The time between two heartbeats.
    pub interval: Duration,
}

impl LogEvent for AgentStarted<'_> {
    fn kind(&self) -> &'static EventKind {
        STARTED
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_device", self.device);
    }
}

impl fmt::Display for AgentStarted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, url, interval } = self;
        let interval = Readable(*interval);
        write!(
            formatter,
            "ispmon-agent {VERSION} sends a heartbeat for {device} to {url} every {interval}."
        )
    }
}

const STARTED_LOCALLY: &EventKind =
    &EventKind::new("started_locally", "cc55492f689f4ac99573000dd6014f00", Level::INFO).explained(
        "The agent has started without a heartbeat URL",
        "The agent monitors the internet connection and keeps its journal, but no heartbeat URL is set, so no mail \
         is sent when the connection fails.\n\n\
         Set `heartbeat.url` in /etc/ispmon/agent.toml to change that.",
    );

/// The agent has started in local mode: no heartbeat URL is set.
pub struct AgentStartedLocally<'a> {
    /// The device's name.
    pub device: &'a str,
}

impl LogEvent for AgentStartedLocally<'_> {
    fn kind(&self) -> &'static EventKind {
        STARTED_LOCALLY
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_device", self.device);
    }
}

impl fmt::Display for AgentStartedLocally<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "ispmon-agent {VERSION} monitors {} locally: no heartbeat URL is set, so no mail will come when the \
             connection fails. Set `heartbeat.url` to change that.",
            self.device
        )
    }
}

const STOPPING: &EventKind =
    &EventKind::new("stopping", "8cb03ece966b47cca517d21cde560a16", Level::INFO);

/// A signal requested a stop.
pub struct AgentStopping<'a> {
    /// The name of the signal.
    pub signal: &'a str,
}

impl LogEvent for AgentStopping<'_> {
    fn kind(&self) -> &'static EventKind {
        STOPPING
    }
}

impl fmt::Display for AgentStopping<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: the agent stops.", self.signal)
    }
}

const SILENCE_ANNOUNCED: &EventKind =
    &EventKind::new("silence_announced", "22512445b4094c2886509f9c1a494ade", Level::INFO).explained(
        "The cloud knows that this device stops",
        "The agent was stopped cleanly. The cloud raises no alarm for @ISPMON_QUIET_S@ seconds; after that it does. \
         The setting is `heartbeat.quiet_after_stop`.",
    );

/// The cloud has accepted the announced silence of a stop.
pub struct SilenceAnnounced<'a> {
    /// The device's name.
    pub device: &'a str,
    /// How long the device may be silent without an alarm.
    pub quiet: Duration,
}

impl LogEvent for SilenceAnnounced<'_> {
    fn kind(&self) -> &'static EventKind {
        SILENCE_ANNOUNCED
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_device", self.device);
        fields.set("ispmon_quiet_s", self.quiet.as_secs());
    }
}

impl fmt::Display for SilenceAnnounced<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, quiet } = self;
        write!(
            formatter,
            "The cloud knows that {device} stops, and raises no alarm for {}.",
            Readable(*quiet)
        )
    }
}

const STOP_ANNOUNCED: &EventKind =
    &EventKind::new("stop_announced", "f23ed52b5a8b49a58a0eb040ebaed04c", Level::INFO).explained(
        "The cloud knows that this device stops, and raises the alarm as usual",
        "`heartbeat.quiet_after_stop` is 0, so a stop of the agent is not an announced silence.",
    );

/// The cloud has accepted the announcement of a stop without a silence: `heartbeat.quiet_after_stop` is 0.
pub struct StopAnnounced;

impl LogEvent for StopAnnounced {
    fn kind(&self) -> &'static EventKind {
        STOP_ANNOUNCED
    }
}

impl fmt::Display for StopAnnounced {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "The cloud knows of this stop, but raises the alarm as usual: `heartbeat.quiet_after_stop` is 0.",
        )
    }
}

const SILENCE_NOT_ANNOUNCED: &EventKind =
    &EventKind::new("silence_not_announced", "a40a18a3b5a64ea29169bb150f0eae81", Level::WARN).explained(
        "The cloud does not know that this device stops",
        "The last heartbeat did not arrive. If the agent stays stopped, the alarm comes as if the connection had \
         failed.",
    );

/// The announcement of a silence did not arrive.
pub struct SilenceNotAnnounced<'a> {
    /// The outcome of the last attempt.
    pub outcome: &'a HeartbeatOutcome,
}

impl LogEvent for SilenceNotAnnounced<'_> {
    fn kind(&self) -> &'static EventKind {
        SILENCE_NOT_ANNOUNCED
    }
}

impl fmt::Display for SilenceNotAnnounced<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "This stop could not be announced to the cloud, which raises the alarm if it lasts: {}",
            self.outcome
        )
    }
}

const CONTROL_UNAVAILABLE: &EventKind =
    &EventKind::new("control_unavailable", "4af650dc824144a5adc30ea8a9950b66", Level::WARN).explained(
        "The agent cannot be paused",
        "The socket by which `ispmon-agent pause` and `ispmon-agent resume` reach the service could not be made. \
         Everything else works.",
    );

/// The control socket could not be opened, so the agent cannot be paused.
pub struct ControlUnavailable<'a> {
    /// The reason.
    pub error: &'a dyn Error,
}

impl LogEvent for ControlUnavailable<'_> {
    fn kind(&self) -> &'static EventKind {
        CONTROL_UNAVAILABLE
    }
}

impl fmt::Display for ControlUnavailable<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "The agent cannot be paused: {}.", ErrorChain(self.error))
    }
}

const PAUSED: &EventKind = &EventKind::new("paused", "bf3dbaa9f64c4bd7959c810e02f5d5da", Level::INFO)
    .explained(
        "The agent is paused",
        "Until then nothing is monitored and no heartbeat is sent; the pause is announced to the cloud. \
         `ispmon-agent resume` ends it earlier.",
    );

/// A user has paused the agent.
pub struct AgentPaused<'a> {
    /// When the pause ends by itself.
    pub until: &'a Stamp,
    /// The user.
    pub caller: &'a dyn fmt::Display,
    /// The time zone of the shown times.
    pub zone: &'a TimeZone,
}

impl LogEvent for AgentPaused<'_> {
    fn kind(&self) -> &'static EventKind {
        PAUSED
    }
}

impl fmt::Display for AgentPaused<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { until, caller, zone } = self;
        let until = until.wall.to_zoned_datetime((*zone).clone());
        let until = until.strftime("%Y-%m-%d %H:%M:%S %:z");
        write!(formatter, "Paused by {caller} until {until}: nothing is monitored or sent.")
    }
}

const RESUMED: &EventKind =
    &EventKind::new("resumed", "9d87c953b2d5477d958c77af38a47263", Level::INFO);

/// The pause is over.
pub struct AgentResumed<'a> {
    /// The user who ended it; `None` when it expired.
    pub caller: Option<&'a dyn fmt::Display>,
}

impl LogEvent for AgentResumed<'_> {
    fn kind(&self) -> &'static EventKind {
        RESUMED
    }
}

impl fmt::Display for AgentResumed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.caller {
            Some(caller) => write!(formatter, "The pause was ended by {caller}."),
            None => formatter.write_str("The pause is over."),
        }
    }
}

const SLEEP_ANNOUNCED: &EventKind = &EventKind::new(
    "sleep_announced",
    "ccf37ac43ab74c69b1e02b451a0bf7db",
    Level::INFO,
)
.explained(
    "The cloud knows that this machine sleeps",
    "The cloud raises no alarm for @ISPMON_QUIET_S@ seconds; after that it does. The setting is \
         `heartbeat.quiet_after_sleep`.",
);

/// The cloud has accepted the announced silence of a suspend.
pub struct SleepAnnounced<'a> {
    /// The device's name.
    pub device: &'a str,
    /// How long the device may be silent without an alarm.
    pub quiet: Duration,
}

impl LogEvent for SleepAnnounced<'_> {
    fn kind(&self) -> &'static EventKind {
        SLEEP_ANNOUNCED
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_device", self.device);
        fields.set("ispmon_quiet_s", self.quiet.as_secs());
    }
}

impl fmt::Display for SleepAnnounced<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, quiet } = self;
        write!(
            formatter,
            "The cloud knows that {device} sleeps, and raises no alarm for {}.",
            Readable(*quiet)
        )
    }
}

const SLEEP_NOT_ANNOUNCED: &EventKind =
    &EventKind::new("sleep_not_announced", "23d29dbad7184eef8d1c96a62f145863", Level::DEBUG);

/// The agent is not notified before a suspend, or cannot delay it.
pub struct SleepNotAnnounced<'a> {
    /// The reason.
    pub error: &'a dyn Error,
}

impl LogEvent for SleepNotAnnounced<'_> {
    fn kind(&self) -> &'static EventKind {
        SLEEP_NOT_ANNOUNCED
    }
}

impl fmt::Display for SleepNotAnnounced<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "This machine's sleep is not announced: {}.", ErrorChain(self.error))
    }
}
