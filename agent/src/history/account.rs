//! Downtime added up over a time: per party, and over what was watched of it.

use std::time::Duration;

use super::{Downtime, History, Interval, PastIncident, Ratio};
use crate::{
    outage::{Cause, Party, Scope},
    probe::Family,
};

/// Failures added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DowntimeFigures {
    /// How long the internet was down.
    pub downtime: Duration,
    /// How often.
    pub count: u32,
    /// How long at most at a stretch of one failure.
    pub longest: Duration,
    /// The failures that are over, and how long they lasted in all.
    over: u32,
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

    /// How long it took on average until the internet was back; `None` when nothing failed, or what
    /// failed is not back yet.
    pub fn mean_time_to_repair(&self) -> Option<Duration> {
        self.over_for.checked_div(self.over)
    }
}

/// Incidents that are listed but are no downtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unaccounted {
    /// Times of a bad line: loss or slowness.
    pub degraded: u32,
    /// Times at which heartbeats did not arrive although the internet worked.
    pub heartbeat: u32,
}

/// What a time was like, added up.
///
/// An incident counts in every time that it touches, with that part of its downtime that lies there:
/// an outage across the end of a month counts in both months, and their downtimes add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The time, as far as the record reaches.
    pub period: Interval,
    /// How much of it was watched.
    pub observed: Duration,
    /// Failures of the provider's part.
    pub provider: DowntimeFigures,
    /// Failures of the user's own part.
    pub yours: DowntimeFigures,
    /// Failures of somebody else's part.
    pub other: DowntimeFigures,
    /// All of the three.
    pub total: DowntimeFigures,
    /// Times at which IPv4 alone was down; not part of the others, because most of the internet could
    /// still be reached.
    pub ipv4: DowntimeFigures,
    /// Times at which IPv6 alone was down; not part of the others for the same reason.
    pub ipv6: DowntimeFigures,
    /// What is no downtime.
    pub unaccounted: Unaccounted,
}

impl Account {
    /// The parties in the order in which they are shown: the provider's first.
    pub const PARTIES: [Party; 3] = [Party::Provider, Party::Yours, Party::Other];

    /// Adds up what happened in `period`, as far as the record reaches.
    pub fn of(history: &History, period: Interval) -> Self {
        let period = history
            .span
            .map_or(Interval::new(period.from, period.from), |span| span.within(&period));
        let mut account = Self {
            period,
            observed: Interval::total(&period.without(history.unmonitored())),
            provider: DowntimeFigures::default(),
            yours: DowntimeFigures::default(),
            other: DowntimeFigures::default(),
            total: DowntimeFigures::default(),
            ipv4: DowntimeFigures::default(),
            ipv6: DowntimeFigures::default(),
            unaccounted: Unaccounted::default(),
        };
        for incident in history.incidents_in(period) {
            account.add(history, incident);
        }
        account
    }

    fn add(&mut self, history: &History, incident: &PastIncident) {
        match (incident.recorded.scope, incident.recorded.cause) {
            (_, Cause::Degraded) => self.unaccounted.degraded += 1,
            (Scope::Heartbeat, _) => self.unaccounted.heartbeat += 1,
            _ => {}
        }
        for failure in history.failures(incident) {
            let downtime = self.inside(&failure);
            if downtime.is_zero() {
                continue;
            }
            self.party_mut(failure.party).add(downtime, failure.over);
            self.total.add(downtime, failure.over);
        }
        for family in Family::BOTH {
            for failure in history.family_failures(incident, family) {
                let downtime = self.inside(&failure);
                if !downtime.is_zero() {
                    self.family_mut(family).add(downtime, failure.over);
                }
            }
        }
    }

    /// How much of a failure lies in this time.
    fn inside(&self, failure: &Downtime) -> Duration {
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

    /// The times at which this family alone was down.
    pub fn family(&self, family: Family) -> &DowntimeFigures {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }

    /// The failures of one party's part.
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

    /// The share of the time that was watched; `None` when the record has nothing of it.
    pub fn coverage(&self) -> Option<Ratio> {
        Ratio::of(self.observed, self.period.duration())
    }
}
