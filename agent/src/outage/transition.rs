//! Changes to incidents and gaps.

use super::{Gap, Incident, Segment};
use crate::clock::Stamp;

/// One change. The journal stores it before any other component receives it.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// An incident has opened.
    Opened(Incident),
    /// An open incident continues with another cause or scope.
    Changed(Incident),
    /// An intermediate state for the journal. A flapping connection has failed or returned again
    /// (recorded at intervals, not each time); or monitoring stops now, or was interrupted, and the
    /// incident is recorded up to the last evidence.
    Progressed(Incident),
    /// An incident has closed.
    Closed(Incident),
    /// An unmonitored period has ended.
    GapEnded(Gap),
}

impl Transition {
    /// Corrects the wall clocks of stamps of this boot by the clock of `now`, so that users do not see
    /// times of a wrong clock.
    #[must_use]
    pub fn corrected(self, now: &Stamp) -> Self {
        match self {
            Self::Opened(incident) => Self::Opened(incident.corrected(now)),
            Self::Changed(incident) => Self::Changed(incident.corrected(now)),
            Self::Progressed(incident) => Self::Progressed(incident.corrected(now)),
            Self::Closed(incident) => Self::Closed(incident.corrected(now)),
            Self::GapEnded(gap) => Self::GapEnded(Gap {
                started: gap.started.corrected(now),
                ended: gap.ended.corrected(now),
                ..gap
            }),
        }
    }
}

impl Incident {
    fn corrected(mut self, now: &Stamp) -> Self {
        self.started = self.started.corrected(now);
        self.last_ok = self.last_ok.map(|stamp| stamp.corrected(now));
        self.ended = self.ended.map(|stamp| stamp.corrected(now));
        for Segment { from, to, .. } in &mut self.segments {
            (*from, *to) = (from.corrected(now), to.corrected(now));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use jiff::Timestamp;

    use super::*;
    use crate::{
        clock::BootId,
        outage::{Cause, GapCause, IncidentId, Party, Scope},
    };

    #[test]
    fn wall_clocks_of_this_boot_are_corrected() {
        let boot: BootId = "00000000-0000-0000-0000-000000000001".parse().expect("a boot id");
        let stamp = |boot, boot_ms, wall: &str| Stamp {
            boot,
            boot_ms,
            wall: wall.parse().expect("a time"),
        };
        let started = stamp(boot, 10_000, "1970-01-01T00:00:10Z");
        let ended = stamp(boot, 250_000, "2027-01-01T09:30:10Z");
        let incident = Incident {
            id: IncidentId::new(started, &mut Rng::with_seed(1)),
            scope: Scope::Internet,
            cause: Cause::Isp,
            party: Some(Party::Provider),
            started,
            last_ok: None,
            ended: Some(ended),
            downtime_ms: 240_000,
            one_family_ms: 0,
            failures: 1,
            segments: vec![Segment {
                scope: Scope::Internet,
                cause: Cause::Isp,
                from: started,
                to: ended,
            }],
            evidence: Vec::new(),
        };
        let wall = |text: &str| text.parse::<Timestamp>().expect("a time");
        let Transition::Closed(shown) = Transition::Closed(incident).corrected(&ended) else {
            panic!("the kind must not change")
        };
        assert_eq!(shown.started.wall, wall("2027-01-01T09:26:10Z"));
        assert_eq!(shown.segments[0].from.wall, wall("2027-01-01T09:26:10Z"));
        assert_eq!((shown.started.boot_ms, shown.ended), (10_000, Some(ended)));
        // Stamps of another boot cannot be corrected.
        let before = stamp(BootId::UNKNOWN, 5_000, "2026-12-31T10:00:00Z");
        let id = IncidentId::new(started, &mut Rng::with_seed(2));
        let cause = GapCause::PowerLost;
        let gap =
            Gap { id, cause, started: before, ended: started, uncertain_s: 120, reason: None };
        let Transition::GapEnded(shown) = Transition::GapEnded(gap).corrected(&ended) else {
            panic!("the kind must not change")
        };
        assert_eq!(shown.started, before);
        assert_eq!(shown.ended.wall, wall("2027-01-01T09:26:10Z"));
    }
}
