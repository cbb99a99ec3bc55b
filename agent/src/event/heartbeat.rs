//! Heartbeats: deliveries, failures, and whether the cloud expects this device.

use std::{error::Error, fmt, net::IpAddr, time::Duration};

use tracing::Level;

use super::{
    EventKind, Fields, LogEvent,
    phrase::{Counted, FurtherSentence},
};
use crate::{duration::Readable, error_chain::ErrorChain, heartbeat::HeartbeatOutcome};

pub(super) const KINDS: &[&EventKind] = &[
    BOOT_UNKNOWN,
    FIRST_DELIVERED,
    DELIVERED,
    FAILED,
    FAILED_AGAIN,
    DELIVERED_AGAIN,
    NOT_EXPECTED,
    EXPECTED_AFTER_ALL,
];

const BOOT_UNKNOWN: &EventKind = &EventKind::new(
    "boot_unknown",
    "383cbf3aada948d6bc805f0901cecdc7",
    Level::WARN,
)
.explained(
    "The id of this boot cannot be read",
    "Heartbeats cannot say whether the agent or the machine was restarted. Everything else works.",
);

/// Heartbeats carry no boot id, so the cloud cannot tell a restart of the machine from one of the agent.
pub struct BootIdUnknown<'a> {
    /// The reason.
    pub error: &'a dyn Error,
}

impl LogEvent for BootIdUnknown<'_> {
    fn kind(&self) -> &'static EventKind {
        BOOT_UNKNOWN
    }
}

impl fmt::Display for BootIdUnknown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Heartbeats are sent without the boot's id: {}.", ErrorChain(self.error))
    }
}

const FIRST_DELIVERED: &EventKind =
    &EventKind::new("first_delivered", "4ea1e15b3303448cbb8350d9b1f6081c", Level::INFO);

/// The first heartbeat of this configuration was delivered.
pub struct FirstHeartbeatDelivered<'a> {
    /// The heartbeat URL, without secrets.
    pub url: &'a dyn fmt::Display,
    /// The client address that the cloud saw, if the response contains it.
    pub client_address: Option<IpAddr>,
    /// The duration of the request.
    pub took: Duration,
}

impl LogEvent for FirstHeartbeatDelivered<'_> {
    fn kind(&self) -> &'static EventKind {
        FIRST_DELIVERED
    }
}

impl fmt::Display for FirstHeartbeatDelivered<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, client_address, took } = self;
        write!(formatter, "The first heartbeat reached {url} in {}", Readable(*took))?;
        match client_address {
            Some(address) => write!(formatter, "; the cloud saw it come from {address}."),
            None => formatter.write_str("."),
        }
    }
}

const DELIVERED: &EventKind =
    &EventKind::new("delivered", "3afb8686677e4d808cc260b16b2b1bd7", Level::DEBUG);

/// A heartbeat was delivered, and so was the previous one.
pub struct HeartbeatDelivered<'a> {
    /// Its outcome.
    pub outcome: &'a HeartbeatOutcome,
}

impl LogEvent for HeartbeatDelivered<'_> {
    fn kind(&self) -> &'static EventKind {
        DELIVERED
    }
}

impl fmt::Display for HeartbeatDelivered<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.outcome.fmt(formatter)
    }
}

const FAILED: &EventKind = &EventKind::new("failed", "0dcc8ed585234adf819abc778483d130", Level::WARN)
    .explained(
        "A heartbeat has failed",
        "The cloud did not accept a heartbeat of this device. If that lasts, it raises the alarm. The message says \
         what failed and when the next attempt is; `ispmon-agent doctor` looks for the reason.",
    );

/// A heartbeat failed; the first failure of its kind since the last success.
pub struct HeartbeatFailed<'a> {
    /// Its outcome.
    pub outcome: &'a HeartbeatOutcome,
    /// The time until the next attempt.
    pub wait: Duration,
}

impl LogEvent for HeartbeatFailed<'_> {
    fn kind(&self) -> &'static EventKind {
        FAILED
    }
}

impl fmt::Display for HeartbeatFailed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outcome, wait } = self;
        write!(
            formatter,
            "{outcome}{} Next attempt in {}; further failures of this kind are logged at level debug.",
            FurtherSentence(outcome.advice()),
            Readable(*wait)
        )
    }
}

const FAILED_AGAIN: &EventKind =
    &EventKind::new("failed_again", "38031fe257b34305b59b90b7a2c1575e", Level::DEBUG);

/// A heartbeat failed; not the first failure of its kind since the last success.
pub struct HeartbeatFailedAgain<'a> {
    /// Its outcome.
    pub outcome: &'a HeartbeatOutcome,
    /// The number of failures since the last success.
    pub failures: u64,
    /// The time until the next attempt.
    pub wait: Duration,
}

impl LogEvent for HeartbeatFailedAgain<'_> {
    fn kind(&self) -> &'static EventKind {
        FAILED_AGAIN
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_count", self.failures);
    }
}

impl fmt::Display for HeartbeatFailedAgain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outcome, failures, wait } = self;
        write!(
            formatter,
            "{outcome} Failure {failures} in a row. Next attempt in {}.",
            Readable(*wait)
        )
    }
}

const DELIVERED_AGAIN: &EventKind =
    &EventKind::new("delivered_again", "d260b2666ac849fbb7a40dd02d3d3c8f", Level::INFO).explained(
        "Heartbeats work again",
        "@ISPMON_COUNT@ attempts had failed since the last heartbeat that was delivered.",
    );

/// A heartbeat was delivered after failures.
pub struct HeartbeatsRecovered {
    /// The number of failures in between.
    pub failures: u64,
    /// The time since the first of these failures.
    pub after: Duration,
}

impl LogEvent for HeartbeatsRecovered {
    fn kind(&self) -> &'static EventKind {
        DELIVERED_AGAIN
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_count", self.failures);
    }
}

impl fmt::Display for HeartbeatsRecovered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempts = Counted(self.failures, "failed attempt");
        write!(formatter, "Heartbeats work again after {attempts} in {}.", Readable(self.after))
    }
}

const NOT_EXPECTED: &EventKind =
    &EventKind::new("not_expected", "be67e751684d41e1a559dc20f154530b", Level::WARN).explained(
        "No alert rule monitors this device",
        "The cloud takes the heartbeats of @ISPMON_DEVICE@, but expects no device of that name: no mail would come \
         if it fell silent.\n\n\
         Correct `device` in /etc/ispmon/agent.toml, or add the name to the devices that the cloud was deployed \
         with.",
    );

/// No alert rule expects a device of this name.
pub struct DeviceNotExpected<'a> {
    /// The device's name.
    pub device: &'a str,
}

impl LogEvent for DeviceNotExpected<'_> {
    fn kind(&self) -> &'static EventKind {
        NOT_EXPECTED
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_device", self.device);
    }
}

impl fmt::Display for DeviceNotExpected<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "The cloud does not expect a device named {}, so no mail would come if it fell silent. Correct \
             `device`, or add this name to the devices that the cloud was deployed with.",
            self.device
        )
    }
}

const EXPECTED_AFTER_ALL: &EventKind =
    &EventKind::new("expected_after_all", "22c1504e88f044d6b60a02fd5a8a2557", Level::INFO);

/// An alert rule expects this device now.
pub struct DeviceExpected<'a> {
    /// The device's name.
    pub device: &'a str,
}

impl LogEvent for DeviceExpected<'_> {
    fn kind(&self) -> &'static EventKind {
        EXPECTED_AFTER_ALL
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_device", self.device);
    }
}

impl fmt::Display for DeviceExpected<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "The cloud expects a device named {} now.", self.device)
    }
}
