//! Downtime added up over a period, per party, and related to the monitored time.

use std::time::Duration;

use super::{Downtime, History, Interval, PastIncident, Ratio};
use crate::{
    outage::{Party, Scope},
    probe::Family,
};

/// The sum of several downtimes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DowntimeFigures {
    /// How long the internet was down in all.
    pub downtime: Duration,
    /// The number of downtimes.
    pub count: u32,
    /// The longest downtime.
    pub longest: Duration,
    /// The number of downtimes that are over.
    over: u32,
    /// Their total duration.
    over_for: Duration,
}

impl DowntimeFigures {
    fn add(&mut self, downtime: Duration, over: bool) {
        self.downtime += downtime;
        self.count += 1;
        self.longest = self.longest.max(downtime);
        if over {
            self.over += 1;
            self.over_for += downtime;
        }
    }

    /// The mean time until the internet was back; `None` when there was no downtime, or none is
    /// over yet.
    pub fn mean_time_to_repair(&self) -> Option<Duration> {
        self.over_for.checked_div(self.over)
    }
}

/// Incidents that are listed but are not downtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unaccounted {
    /// Incidents of a degraded connection: loss or high latency.
    pub degraded: u32,
    /// Incidents in which heartbeats did not arrive although the internet worked.
    pub heartbeat: u32,
}

/// The sums of a period.
///
/// An incident counts in every period that it touches, with the part of its downtime inside it: an
/// outage across the end of a month counts in both months, and their downtimes add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The period, as far as the journal covers it.
    pub period: Interval,
    /// How much of it was monitored.
    pub observed: Duration,
    /// Failures for which the provider is responsible.
    pub provider: DowntimeFigures,
    /// Failures for which the user is responsible.
    pub yours: DowntimeFigures,
    /// Failures for which another party is responsible.
    pub other: DowntimeFigures,
    /// The sum of the three parties.
    pub total: DowntimeFigures,
    /// Downtime of IPv4 alone; not part of the others, because most of the internet was still
    /// reachable.
    pub ipv4: DowntimeFigures,
    /// Downtime of IPv6 alone; not part of the others for the same reason.
    pub ipv6: DowntimeFigures,
    /// Incidents that are not downtime.
    pub unaccounted: Unaccounted,
}

impl Account {
    /// The parties in display order: the provider first.
    pub const PARTIES: [Party; 3] = [Party::Provider, Party::Yours, Party::Other];

    /// Adds up what happened in `period`, as far as the journal covers it.
    pub fn of(history: &History, period: Interval) -> Self {
        let period = history
            .span
            .map_or(Interval::new(period.from, period.from), |span| span.within(&period));
        let mut account = Self {
            period,
            observed: Interval::total(&period.without(history.unmonitored())),
            ..Self::default()
        };
        for incident in history.incidents_in(period) {
            account.add(history, incident);
        }
        account
    }

    fn add(&mut self, history: &History, incident: &PastIncident) {
        match incident.recorded.scope {
            Scope::Quality => self.unaccounted.degraded += 1,
            Scope::Heartbeat => self.unaccounted.heartbeat += 1,
            Scope::Internet | Scope::Ipv4 | Scope::Ipv6 => {}
        }
        for failure in history.failures(incident) {
            let downtime = self.overlap(&failure);
            if downtime.is_zero() {
                continue;
            }
            self.party_mut(failure.party).add(downtime, failure.has_ended);
            self.total.add(downtime, failure.has_ended);
        }
        for family in Family::BOTH {
            for failure in history.family_failures(incident, family) {
                let downtime = self.overlap(&failure);
                if !downtime.is_zero() {
                    self.family_mut(family).add(downtime, failure.has_ended);
                }
            }
        }
    }

    /// How much of a failure lies in the period.
    fn overlap(&self, failure: &Downtime) -> Duration {
        let inside: Vec<_> = failure.times.iter().map(|time| time.within(&self.period)).collect();
        Interval::total(&inside)
    }

    fn party_mut(&mut self, party: Party) -> &mut DowntimeFigures {
        match party {
            Party::Provider => &mut self.provider,
            Party::Yours => &mut self.yours,
            Party::Other => &mut self.other,
        }
    }

    fn family_mut(&mut self, family: Family) -> &mut DowntimeFigures {
        match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        }
    }

    /// The downtime of this family alone.
    pub fn family(&self, family: Family) -> &DowntimeFigures {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }

    /// The failures for which this party is responsible.
    pub fn party(&self, party: Party) -> &DowntimeFigures {
        match party {
            Party::Provider => &self.provider,
            Party::Yours => &self.yours,
            Party::Other => &self.other,
        }
    }

    /// The share of the monitored time without these failures; `None` when nothing was monitored.
    pub fn availability(&self, figures: &DowntimeFigures) -> Option<Ratio> {
        Ratio::without(figures.downtime, self.observed)
    }

    /// The share of the period that was monitored; `None` when the journal does not cover any of
    /// it.
    pub fn coverage(&self) -> Option<Ratio> {
        Ratio::of(self.observed, self.period.duration())
    }
}
