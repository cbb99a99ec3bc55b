//! The past as the journal records it.

use std::time::Duration;

use super::{Downtime, Interval, PastIncident};
use crate::{
    journal::UnknownRecords,
    outage::{GapCause, IncidentId, Scope},
    probe::{Family, PerFamily},
    summary::Summary,
};

/// An hourly summary in corrected times.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedHour {
    /// The hour.
    pub time: Interval,
    /// Its statistics.
    pub summary: Summary,
}

/// An unmonitored period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmonitored {
    /// Its id; `None` for a gap between two records that no record names.
    pub id: Option<IncidentId>,
    /// Its cause; `None` if no record gives one.
    pub cause: Option<GapCause>,
    /// When it started and ended.
    pub time: Interval,
    /// The uncertainty of its start, in seconds.
    pub uncertain_s: u32,
    /// What prevented a running agent from probing, if a record gives it.
    pub reason: Option<String>,
    /// Whether it has not ended: the agent is stopped or paused, or no longer runs.
    pub is_open: bool,
}

impl Unmonitored {
    /// A gap that no record names.
    pub(super) fn unnamed(cause: Option<GapCause>, time: Interval) -> Self {
        Self { id: None, cause, time, uncertain_s: 0, reason: None, is_open: false }
    }
}

/// The past as recorded in the journal, in corrected times.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The device's name in the newest record.
    pub device: Option<String>,
    /// From the first record to the last known moment, which is `now` if the agent no longer runs;
    /// `None` for an empty journal.
    pub span: Option<Interval>,
    /// All incidents, ordered by start.
    pub incidents: Vec<PastIncident>,
    /// All gaps, ordered by start.
    pub gaps: Vec<Unmonitored>,
    /// All hourly summaries, in order.
    pub hours: Vec<RecordedHour>,
    /// The number of records read.
    pub records: u64,
    /// Records that only a newer version understands: their content is missing in the other fields.
    pub unknown: UnknownRecords,
    /// The periods of all gaps, in order and without overlap.
    pub(super) unmonitored: Vec<Interval>,
}

impl History {
    /// The unmonitored periods, in order and without overlap.
    pub fn unmonitored(&self) -> &[Interval] {
        &self.unmonitored
    }

    /// The incidents that overlap a period.
    pub fn incidents_in(&self, period: Interval) -> impl Iterator<Item = &PastIncident> {
        self.incidents.iter().filter(move |incident| incident.time.touches(&period))
    }

    /// The gaps that overlap a period.
    pub fn gaps_in(&self, period: Interval) -> impl Iterator<Item = &Unmonitored> {
        self.gaps.iter().filter(move |gap| gap.time.touches(&period))
    }

    /// The failures of the internet in an incident.
    ///
    /// An incident is one failure, attributed to its party as listed. An unstable one is as many
    /// failures as it had down periods between good ones, each attributed by the cause that lasted
    /// longest in it: a router that sometimes fails on an unstable connection is not the provider's
    /// fault.
    pub fn failures(&self, incident: &PastIncident) -> Vec<Downtime> {
        incident.failures_of(Scope::Internet, &self.unmonitored)
    }

    /// The failures of this family alone in an incident, counted in the same way.
    pub fn family_failures(&self, incident: &PastIncident, family: Family) -> Vec<Downtime> {
        incident.failures_of(family.into(), &self.unmonitored)
    }

    /// The downtime of the internet in an incident: the segments of that scope with a downtime cause,
    /// without the unmonitored periods.
    pub fn downtime(&self, incident: &PastIncident) -> Duration {
        incident.downtime_of(Scope::Internet, &self.unmonitored)
    }

    /// The downtime of each family alone in an incident, while the other one worked. Not part of
    /// [`downtime`](Self::downtime).
    pub fn family_downtime(&self, incident: &PastIncident) -> PerFamily<Duration> {
        PerFamily::from_fn(|family| incident.downtime_of(family.into(), &self.unmonitored))
    }
}
