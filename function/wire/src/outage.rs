//! `POST /api/outages`: recorded incidents, handed over when connectivity is back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    error::MessageError,
    heartbeat::{JournalHead, require_object},
    lenient, limits, text,
};

/// A batch of closed incidents and gaps of one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutageReport {
    /// The device's name as written, at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The newest record of the agent's journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalHead>,
    /// At most 100 closed incidents or gaps.
    #[serde(default)]
    pub incidents: Vec<ReportedIncident>,
}

/// A closed incident, or a gap: an unmonitored period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedIncident {
    /// Unique and stable; sending the incident again is harmless.
    pub id: Uuid,
    /// Whether something failed or nothing was monitored.
    pub kind: IncidentKind,
    /// What failed, such as `isp` or `dns`; for a gap, why nothing was monitored. At most 64
    /// characters.
    pub cause: String,
    /// The party whose part failed: `yours`, `provider` or `other`. At most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<String>,
    /// The affected part: `internet` when the internet was down at any time during the incident;
    /// `ipv4` or `ipv6` when one address family failed while the other worked; `heartbeat`;
    /// `quality`. Absent for a gap. At most 16 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended, never before it began.
    pub ended: Timestamp,
    /// For how many seconds of it the internet was down; 0 for gaps.
    #[serde(default, deserialize_with = "lenient::count")]
    pub downtime_s: u64,
    /// For how many seconds of it one address family was down while the other worked. Not part of
    /// `downtime_s`. Absent when 0.
    #[serde(default, deserialize_with = "lenient::count", skip_serializing_if = "is_zero")]
    pub one_family_s: u64,
    /// The segments, in order, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<ReportedSegment>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Whether something failed or nothing was monitored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentKind {
    /// Something failed.
    Incident,
    /// Not monitored: neither up nor down.
    Gap,
    /// A kind of a newer agent that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A stretch of an incident with one cause and one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedSegment {
    /// What failed; `up` for the periods in which a flapping connection worked. At most 64
    /// characters.
    pub cause: String,
    /// As [`ReportedIncident::scope`]. Absent when the sender does not report it. At most 16
    /// characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// When it began.
    pub from: Timestamp,
    /// When it ended, never before it began.
    pub to: Timestamp,
}

/// The response to a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// How many incidents were accepted, including those that were sent before.
    pub accepted: usize,
}

impl OutageReport {
    /// Parses and validates a body.
    ///
    /// # Errors
    /// Any [`MessageError`]. A report with one bad incident is refused whole, so that the agent
    /// never counts an incident as handed over that was not.
    pub fn parse(body: &[u8]) -> Result<Self, MessageError> {
        if body.len() > limits::BODY_BYTES {
            return Err(MessageError::TooLong);
        }
        require_object(body)?;
        let report: Self = serde_json::from_slice(body)?;
        if report.incidents.len() > limits::INCIDENTS {
            return Err(MessageError::TooManyIncidents(report.incidents.len()));
        }
        report.incidents.iter().try_for_each(ReportedIncident::check)?;
        Ok(Self {
            device: text::present(report.device.as_deref(), limits::DEVICE_CHARACTERS),
            journal: report.journal.map(JournalHead::cleaned),
            incidents: report.incidents.into_iter().map(ReportedIncident::cleaned).collect(),
        })
    }
}

impl ReportedIncident {
    fn check(&self) -> Result<(), MessageError> {
        let id = self.id;
        if self.segments.len() > limits::SEGMENTS {
            return Err(MessageError::TooManySegments { id, count: self.segments.len() });
        }
        if self.ended < self.started || self.segments.iter().any(|part| part.to < part.from) {
            return Err(MessageError::EndsBeforeStart { id });
        }
        // The agent rounds each of the two up to whole seconds.
        let lasted = self.ended.duration_since(self.started).as_secs().unsigned_abs();
        let tolerance = if self.downtime_s > 0 && self.one_family_s > 0 { 2 } else { 1 };
        if self.downtime_s.saturating_add(self.one_family_s) > lasted + tolerance {
            return Err(MessageError::DowntimeTooLong { id });
        }
        Ok(())
    }

    fn cleaned(self) -> Self {
        let token = |token: &str| text::clean(token, limits::TOKEN_CHARACTERS);
        let scope = |scope: &str| text::clean(scope, limits::SCOPE_CHARACTERS);
        Self {
            cause: token(&self.cause),
            party: self.party.as_deref().map(token),
            scope: self.scope.as_deref().map(scope),
            segments: self
                .segments
                .into_iter()
                .map(|part| ReportedSegment {
                    cause: token(&part.cause),
                    scope: part.scope.as_deref().map(scope),
                    ..part
                })
                .collect(),
            ..self
        }
    }
}
