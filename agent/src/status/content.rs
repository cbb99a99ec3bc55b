//! The content of the status file.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    clock::Stamp,
    heartbeat::HeartbeatOutcome,
    outage::{self, Cause, Incident, IncidentId, Party, Scope},
    probe::{Family, LinkAnswer},
};

/// The agent's state at one moment.
///
/// The field names are a contract with programs that read the file: fields are added, never renamed,
/// and readers ignore unknown ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version, such as `0.1.0`.
    pub version: String,
    /// The device's name.
    pub device: String,
    /// The agent's process id.
    pub pid: u32,
    /// When the agent started.
    pub started: Stamp,
    /// When this snapshot was written; its boot id is that of the agent's boot.
    pub written: Stamp,
    /// The agent writes again within this time, in milliseconds; without a newer file after it, the
    /// agent hangs or is gone.
    pub fresh_ms: u64,
    /// The folder of the journal, which distinguishes several agents on one machine.
    pub state_dir: PathBuf,
    /// Connectivity of the whole internet.
    pub condition: ConnectivityStatus,
    /// Why the connectivity cannot be determined, as half a sentence: this device cannot send probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind: Option<String>,
    /// When the pause ends by itself, while the agent is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Stamp>,
    /// Connectivity by address family.
    #[serde(default)]
    pub families: Vec<FamilyStatus>,
    /// The open incidents.
    #[serde(default)]
    pub incidents: Vec<IncidentStatus>,
    /// State of the heartbeats; `None` when none are sent, because no URL is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<HeartbeatStatus>,
    /// This device's public address, as the cloud sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wan_address: Option<IpAddr>,
    /// Number of failures since the start that were too short to be incidents.
    #[serde(default)]
    pub blips: u64,
    /// Recent quality of the connection; `None` before the first probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityStatus>,
    /// State of the journal.
    #[serde(default)]
    pub journal: JournalStatus,
    /// Number of closed incidents and gaps that wait to be handed to the cloud.
    #[serde(default)]
    pub hand_over_pending: u64,
    /// Why the last attempt to hand them over failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_over_problem: Option<HandOverProblem>,
    /// State of this device's clock.
    #[serde(default)]
    pub clock: ClockStatus,
}

impl Status {
    /// The snapshot at the moment `started`, with the connectivity unknown. The next one follows within
    /// `fresh_for`.
    pub fn starting(device: &str, state_dir: &Path, started: Stamp, fresh_for: Duration) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            device: device.to_owned(),
            pid: std::process::id(),
            started,
            written: started,
            fresh_ms: u64::try_from(fresh_for.as_millis()).unwrap_or(u64::MAX),
            state_dir: state_dir.to_owned(),
            condition: ConnectivityStatus::Unknown,
            blind: None,
            paused_until: None,
            families: Vec::new(),
            incidents: Vec::new(),
            heartbeat: None,
            wan_address: None,
            blips: 0,
            quality: None,
            journal: JournalStatus::default(),
            hand_over_pending: 0,
            hand_over_problem: None,
            clock: ClockStatus::default(),
        }
    }

    /// The longest time until the agent writes again.
    pub fn fresh_for(&self) -> Duration {
        Duration::from_millis(self.fresh_ms)
    }
}

/// Connectivity, overall or by one address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectivityStatus {
    /// The internet is reachable.
    Up,
    /// A probe or heartbeat has failed, and it is not yet decided whether that is an outage.
    Doubt,
    /// The internet is not reachable.
    Down,
    /// This device has no route of this address family, so there is nothing to probe.
    Unused,
    /// The user paused the agent.
    Paused,
    /// The agent has stopped cleanly.
    Stopped,
    /// Not known yet: the agent has just started, or the device has just woken or been connected. Also
    /// the value for states that only a newer agent writes.
    #[default]
    #[serde(other)]
    Unknown,
}

impl ConnectivityStatus {
    /// The overall connectivity while these incidents are open: a successful probe does not make it
    /// good before the outage has ended.
    #[must_use]
    pub fn with_incidents(self, incidents: &[IncidentStatus]) -> Self {
        let fails = |scope| incidents.iter().any(|incident| incident.failing == Some(scope));
        let is_down = fails(Scope::Internet) || fails(Scope::Ipv4) && fails(Scope::Ipv6);
        match self {
            Self::Paused | Self::Stopped => self,
            _ if is_down => Self::Down,
            _ => self,
        }
    }

    /// The same for one address family. An outage of the whole internet does not affect it: name
    /// resolution may fail, or a captive portal intercept a connection that works.
    #[must_use]
    pub fn of_family_with_incidents(self, family: Family, incidents: &[IncidentStatus]) -> Self {
        let fails = incidents.iter().any(|incident| incident.failing == Some(family.into()));
        if fails && self != Self::Unused { Self::Down } else { self }
    }
}

/// Connectivity by one address family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FamilyStatus {
    /// The address family.
    pub family: Family,
    /// Its connectivity.
    pub condition: ConnectivityStatus,
    /// The last successful probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ok: Option<Stamp>,
    /// How this device is connected; `None` until the first route lookup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkStatus>,
}

/// The route of this device for one address family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// `routed`, `no_route`, `no_address`, `no_carrier`, `prohibited` or `unknown`.
    pub state: String,
    /// The interface of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The source address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Whether the interface is a tunnel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tunnel: bool,
}

impl From<&LinkAnswer> for LinkStatus {
    fn from(link: &LinkAnswer) -> Self {
        let route = link.route();
        Self {
            state: link.as_str().to_owned(),
            interface: route.map(|route| route.interface.clone()),
            source: route.and_then(|route| route.source),
            gateway: route.and_then(|route| route.gateway),
            tunnel: route.is_some_and(|route| route.tunnel),
        }
    }
}

/// An open incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentStatus {
    /// Its unique id.
    pub id: IncidentId,
    /// Its scope: the internet if that was down at any time in it.
    pub scope: Scope,
    /// The cause of most of it.
    pub cause: Cause,
    /// The responsible party, if the evidence shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
    /// The cause with its details, as a phrase for people; while the connection is flapping, the
    /// current cause.
    pub reason: String,
    /// When it began.
    pub started: Stamp,
    /// What is failing now: less than `scope` where one address family has recovered; `None` in the
    /// good phases of flapping, and where only the quality or the heartbeats are affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Scope>,
    /// Number of failures in it: more than one when flapping.
    pub failures: u32,
    /// Whether its newest record is on disk; otherwise it waits in memory.
    pub durable: bool,
}

impl IncidentStatus {
    /// The status of an incident whose newest record is on disk or not.
    pub fn new(incident: &Incident, durable: bool) -> Self {
        let Incident { id, scope, cause, party, started, failures, .. } = *incident;
        let reason = outage::sentence::cause(incident);
        let current = incident.segments.last().filter(|segment| segment.cause.is_downtime());
        let failing = current.map(|segment| segment.scope);
        Self { id, scope, cause, party, reason, started, failing, failures, durable }
    }
}

/// State of the heartbeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatStatus {
    /// Their URL, without secrets.
    pub url: String,
    /// The newest one whose outcome is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastHeartbeat>,
    /// When the last one was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivered: Option<Stamp>,
    /// Whether an alert rule in the cloud monitors this device; `None` until the cloud has reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<bool>,
}

/// One heartbeat and its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastHeartbeat {
    /// When its outcome was known.
    pub at: Stamp,
    /// Whether it was delivered.
    pub delivered: bool,
    /// Its outcome, as a sentence without secrets.
    pub sentence: String,
    /// Advice for the user, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl LastHeartbeat {
    /// The status of a heartbeat whose outcome was known at this moment.
    pub fn new(at: Stamp, outcome: &HeartbeatOutcome) -> Self {
        Self {
            at,
            delivered: matches!(outcome, HeartbeatOutcome::Delivered { .. }),
            sentence: outcome.to_string(),
            advice: outcome.advice().map(str::to_owned),
        }
    }
}

/// Why incidents could not be handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOverProblem {
    /// The failure, as the end of a sentence, without secrets.
    pub reason: String,
    /// Advice for the user, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Recent quality of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityStatus {
    /// Length of the measured period, in seconds.
    pub over_s: u64,
    /// Number of scheduled probes.
    pub probes: u64,
    /// How many of them were not answered within a second.
    pub lost: u64,
    /// Median round-trip time of the others, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// 95th percentile of the round-trip time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
}

/// State of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalStatus {
    /// Sequence number of the newest record on disk.
    pub seq: u64,
    /// Hash of that record, 64 hexadecimal digits; empty without a record.
    #[serde(default)]
    pub head: String,
    /// Number of records that wait in memory because they cannot be written.
    #[serde(default)]
    pub waiting: u64,
    /// Why they cannot be written, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Advice for the user, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// State of this device's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStatus {
    /// Whether the time can be right: it is not before the date of this program's source, and no
    /// heartbeat response has contradicted it.
    pub plausible: bool,
    /// Correction of the displayed times against this clock, in milliseconds: above 0 when it is slow.
    #[serde(default)]
    pub correction_ms: i64,
}

impl Default for ClockStatus {
    fn default() -> Self {
        Self { plausible: true, correction_ms: 0 }
    }
}
