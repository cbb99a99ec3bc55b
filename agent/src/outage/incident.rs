//! One failure, from its start to its end.

use std::{fmt, time::Duration};

use fastrand::Rng;
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use uuid::{Builder, Uuid};

use super::{Cause, Party, Scope};
use crate::{clock::Stamp, probe::Observation};

/// Identifies an incident or a gap; globally unique. A UUIDv7, so ids sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(pub Uuid);

impl IncidentId {
    /// Makes an id for something that was detected at `now`.
    pub fn new(now: Stamp, random: &mut Rng) -> Self {
        let milliseconds = u64::try_from(now.wall.as_millisecond()).unwrap_or(0);
        let mut bytes = [0; 10];
        random.fill(&mut bytes);
        Self(Builder::from_unix_timestamp_millis(milliseconds, &bytes).into_uuid())
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// One failure. While it is open, `ended` is `None` and its last segment extends to the newest
/// evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// The unique id of the incident.
    pub id: IncidentId,
    /// What it concerns.
    pub scope: Scope,
    /// The headline: the cause that has lasted longest so far; `unstable` if the connection flaps.
    pub cause: Cause,
    /// Whose part failed, if the evidence shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
    /// When it began: the send time of the first failed probe.
    pub started: Stamp,
    /// The last good answer before it; the true start lies between this and `started`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ok: Option<Stamp>,
    /// When it ended: the first good answer, or the last monitored moment if it ended during a gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Stamp>,
    /// How long the internet was down, in milliseconds: segments of scope `internet` with a downtime
    /// cause, without gaps.
    pub downtime_ms: u64,
    /// How long exactly one address family was down, in milliseconds: segments of scope `ipv4` or
    /// `ipv6` with a downtime cause.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub one_family_ms: u64,
    /// How often the connection failed: 1, or more if it flaps.
    pub failures: u32,
    /// What failed when, in chronological order; the only holes are gaps.
    pub segments: Vec<Segment>,
    /// The probes and results for which it opened.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "observations_that_are_known"
    )]
    pub evidence: Vec<Observation>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Skips observations of a kind that only a newer version knows, so that the incident itself can still
/// be read.
fn observations_that_are_known<'de, D>(deserializer: D) -> Result<Vec<Observation>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum KnownOrUnknown {
        Known(Observation),
        Unknown(IgnoredAny),
    }
    let items = Vec::<KnownOrUnknown>::deserialize(deserializer)?.into_iter();
    Ok(items
        .filter_map(|item| match item {
            KnownOrUnknown::Known(observation) => Some(observation),
            KnownOrUnknown::Unknown(_) => None,
        })
        .collect())
}

impl Incident {
    /// How long the internet was down.
    pub fn downtime(&self) -> Duration {
        Duration::from_millis(self.downtime_ms)
    }

    /// How long exactly one address family was down.
    pub fn one_family_downtime(&self) -> Duration {
        Duration::from_millis(self.one_family_ms)
    }

    /// Extends the last segment until `to`, a later stamp of the same boot.
    pub fn extend_to(&mut self, to: Stamp) {
        let Some(last) = self.segments.last_mut().filter(|last| to.is_at_or_after(last.to)) else {
            return;
        };
        let more = to.boot_ms - last.to.boot_ms;
        last.to = to;
        if last.cause.is_downtime() {
            match last.scope {
                Scope::Internet => self.downtime_ms += more,
                Scope::Ipv4 | Scope::Ipv6 => self.one_family_ms += more,
                Scope::Heartbeat | Scope::Quality => {}
            }
        }
    }

    /// The part of the downtime whose segments were merged; only the sum still contains it.
    pub fn merged_downtime(&self) -> Duration {
        self.downtime().saturating_sub(self.seen_down(|scope| scope == Scope::Internet))
    }

    /// The same for the downtime of one family.
    pub fn merged_one_family(&self) -> Duration {
        let seen = self.seen_down(|scope| matches!(scope, Scope::Ipv4 | Scope::Ipv6));
        self.one_family_downtime().saturating_sub(seen)
    }

    fn seen_down(&self, is_counted: impl Fn(Scope) -> bool) -> Duration {
        let down = self.segments.iter().filter(|segment| segment.cause.is_downtime());
        down.filter(|segment| is_counted(segment.scope)).map(Segment::length).sum()
    }
}

/// A part of an incident with one scope and one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// What it concerned.
    pub scope: Scope,
    /// What failed.
    pub cause: Cause,
    /// When it began.
    pub from: Stamp,
    /// When it ended, in the same boot.
    pub to: Stamp,
}

impl Segment {
    /// Whether the internet was down.
    pub fn is_downtime(&self) -> bool {
        self.scope == Scope::Internet && self.cause.is_downtime()
    }

    /// Whether exactly one address family was down.
    pub fn is_one_family(&self) -> bool {
        matches!(self.scope, Scope::Ipv4 | Scope::Ipv6) && self.cause.is_downtime()
    }

    /// Its length by boot time, which never jumps.
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.to.boot_ms.saturating_sub(self.from.boot_ms))
    }
}
