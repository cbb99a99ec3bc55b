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

/// What the agent knows at one moment.
///
/// The names are a contract with programs that read the file: fields are added, never renamed, and a
/// reader ignores those that it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version, such as `0.1.0`.
    pub version: String,
    /// The device's name.
    pub device: String,
    /// The agent's process.
    pub pid: u32,
    /// When the agent started.
    pub started: Stamp,
    /// When this was written; its boot id is that of the agent's boot.
    pub written: Stamp,
    /// How soon the agent writes again at the latest, in milliseconds: after this time without a new
    /// file it hangs, or is gone.
    pub fresh_ms: u64,
    /// The folder of the record, which tells apart the agents of one machine.
    pub state_dir: PathBuf,
    /// How the internet is.
    pub condition: ConnectivityStatus,
    /// Why nobody can tell how the internet is, as half a sentence: this device can ask nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind: Option<String>,
    /// When the pause ends by itself, while the agent is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Stamp>,
    /// How the internet is by each address family.
    #[serde(default)]
    pub families: Vec<FamilyStatus>,
    /// What is wrong now.
    #[serde(default)]
    pub incidents: Vec<IncidentStatus>,
    /// What became of the heartbeats; nothing when none are sent, because no URL is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<HeartbeatStatus>,
    /// The address that the cloud saw this device come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wan_address: Option<IpAddr>,
    /// How many failures since the start were too short to be incidents.
    #[serde(default)]
    pub blips: u64,
    /// How good the line was lately; nothing before the first probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityStatus>,
    /// Where the record stands.
    #[serde(default)]
    pub journal: JournalStatus,
    /// How many closed incidents and gaps wait to be handed to the cloud.
    #[serde(default)]
    pub hand_over_pending: u64,
    /// Why the cloud did not take them when it was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_over_problem: Option<HandOverProblem>,
    /// What is known about this device's clock.
    #[serde(default)]
    pub clock: ClockStatus,
}

impl Status {
    /// What this process knows of itself at the moment `started`, and nothing yet of the line. It
    /// promises to write again within `fresh_for`.
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

    /// How soon the agent writes again at the latest.
    pub fn fresh_for(&self) -> Duration {
        Duration::from_millis(self.fresh_ms)
    }
}

/// How the internet is, as a whole or by one address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectivityStatus {
    /// It works.
    Up,
    /// A probe or heartbeat has failed, and whether that means anything is being found out.
    Doubt,
    /// It does not work.
    Down,
    /// This device has no route of this address family, so there is nothing to judge.
    Unused,
    /// Somebody paused the agent.
    Paused,
    /// The agent has stopped in order.
    Stopped,
    /// Not known yet: the agent has just started, or the device has just woken or been connected.
    /// A newer agent's words are not known to this one either.
    #[default]
    #[serde(other)]
    Unknown,
}

impl ConnectivityStatus {
    /// The condition of the whole line while these incidents are open: what the newest probes say is
    /// no reason to call a line good whose outage has not ended.
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

    /// The same of one address family, which an outage of the whole internet says nothing about: names may
    /// fail, or a login page stand before a line that works.
    #[must_use]
    pub fn of_family_with_incidents(self, family: Family, incidents: &[IncidentStatus]) -> Self {
        let fails = incidents.iter().any(|incident| incident.failing == Some(family.into()));
        if fails && self != Self::Unused { Self::Down } else { self }
    }
}

/// How the internet is by one address family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FamilyStatus {
    /// The address family.
    pub family: Family,
    /// How the internet is by it.
    pub condition: ConnectivityStatus,
    /// The last good answer by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ok: Option<Stamp>,
    /// How this device is connected, as far as it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkStatus>,
}

/// How this device is connected by one address family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// `routed`, `no_route`, `no_address`, `no_carrier`, `prohibited` or `unknown`.
    pub state: String,
    /// The interface that packets leave by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The address that they leave from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The router that they are handed to.
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

/// An incident that is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentStatus {
    /// Identifies it.
    pub id: IncidentId,
    /// What it concerns: the internet when that was down at any time in it.
    pub scope: Scope,
    /// What failed for most of it.
    pub cause: Cause,
    /// Whose part failed, where the evidence tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
    /// The cause with what is known about it, as a phrase for people; of an unstable line, what fails
    /// at present.
    pub reason: String,
    /// When it began.
    pub started: Stamp,
    /// What fails at this moment: less than `scope` where one address family has returned; nothing in the good times of an unstable line, nor where the line is
    /// merely bad or only heartbeats fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Scope>,
    /// How often the line failed in it: more than once where it is unstable.
    pub failures: u32,
    /// Whether its record is on the disk; if not, it waits in memory.
    pub durable: bool,
}

impl IncidentStatus {
    /// What the file says of an incident whose record is on the disk, or is not yet.
    pub fn new(incident: &Incident, durable: bool) -> Self {
        let Incident { id, scope, cause, party, started, failures, .. } = *incident;
        let reason = outage::sentence::cause(incident);
        let current = incident.segments.last().filter(|segment| segment.cause.is_downtime());
        let failing = current.map(|segment| segment.scope);
        Self { id, scope, cause, party, reason, started, failing, failures, durable }
    }
}

/// What became of the heartbeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatStatus {
    /// Where they go, without secrets.
    pub url: String,
    /// The newest one whose outcome is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastHeartbeat>,
    /// When one was delivered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivered: Option<Stamp>,
    /// Whether an alert rule in the cloud watches this device, when the cloud said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<bool>,
}

/// One heartbeat and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastHeartbeat {
    /// When its outcome was known.
    pub at: Stamp,
    /// Whether it was delivered.
    pub delivered: bool,
    /// What came of it, as a sentence without secrets.
    pub sentence: String,
    /// What a person can do about it, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl LastHeartbeat {
    /// What the file says of a heartbeat whose outcome was known at this moment.
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
    /// What came of it, as the end of a sentence, without secrets.
    pub reason: String,
    /// What a person can do about it, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How good the line was lately.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityStatus {
    /// Over how many seconds.
    pub over_s: u64,
    /// How many scheduled probes were sent.
    pub probes: u64,
    /// How many of them were not answered within a second.
    pub lost: u64,
    /// The median round-trip time of the others, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// The 95th percentile of it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
}

/// Where the record stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalStatus {
    /// The number of the newest record on the disk.
    pub seq: u64,
    /// The hash of that record, 64 hexadecimal digits; empty when there is none.
    #[serde(default)]
    pub head: String,
    /// How many records wait in memory, because they cannot be written.
    #[serde(default)]
    pub waiting: u64,
    /// Why, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What a person can do about it, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// What is known about this device's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStatus {
    /// Whether its time can be true: it is not before this program was built, and no answer to a
    /// heartbeat has contradicted it.
    pub plausible: bool,
    /// By how many milliseconds the times that are shown differ from it: above 0 when it is slow.
    #[serde(default)]
    pub correction_ms: i64,
}

impl Default for ClockStatus {
    fn default() -> Self {
        Self { plausible: true, correction_ms: 0 }
    }
}
