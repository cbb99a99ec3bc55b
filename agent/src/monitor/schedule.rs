//! Decides which probe is due when: the machine [wants](ProbePlan) periods, the schedule keeps them.
//!
//! 1. One anchor of each family is probed every `interval`; the anchors take turns.
//! 2. Every other probe is sent once in its period, and at once if none was sent for that long.
//! 3. A probe that is still pending is not sent again; only anchor probes and rounds overlap.
//! 4. When a doubt begins, earlier periods are ignored ([`ProbeSchedule::hurry`]).

use std::time::Duration;

use crate::{
    outage::ProbePlan,
    probe::{Family, PerFamily},
};

/// A probe that is due now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueProbe {
    /// Check the next anchor of a family for contact.
    Probe(Family),
    /// Check every anchor of a family for proof.
    Round(Family),
    /// Check one anchor of a family for proof.
    Proof(Family),
    /// Check the router of a family.
    Gateway(Family),
    /// Look up a name with the system's resolver.
    Lookup,
    /// Query every name server directly.
    NameServers,
    /// Request every portal page.
    Portal,
    /// Request one portal page, in turn.
    PortalPage,
}

/// When each probe was last sent, as time since boot.
#[derive(Clone, Debug)]
pub struct ProbeSchedule {
    interval: Duration,
    next_probe: Duration,
    rounds: PerFamily<Option<Duration>>,
    proofs: PerFamily<LastSent>,
    gateways: PerFamily<LastSent>,
    lookup: LastSent,
    name_servers: LastSent,
    portal: LastSent,
    portal_page: LastSent,
    was_urgent: bool,
}

/// When a probe was last sent, and whether its result is pending.
#[derive(Clone, Copy, Debug, Default)]
struct LastSent {
    at: Option<Duration>,
    is_open: bool,
}

impl ProbeSchedule {
    /// A schedule that probes every `interval`, first at `phase` after `now`.
    pub fn new(interval: Duration, phase: Duration, now: Duration) -> Self {
        // A start begins with rounds, so the first separate proof is due a period later.
        let asked = LastSent { at: Some(now), is_open: false };
        Self {
            interval,
            next_probe: now + phase.min(interval),
            rounds: PerFamily::default(),
            proofs: PerFamily::from_fn(|_| asked),
            gateways: PerFamily::default(),
            lookup: LastSent::default(),
            name_servers: LastSent::default(),
            portal: LastSent::default(),
            portal_page: asked,
            was_urgent: false,
        }
    }

    /// The probes due at `now`, which count as sent, and when to call again.
    pub fn due(&mut self, wanted: ProbePlan, now: Duration) -> (Vec<DueProbe>, Duration) {
        let is_urgent = wanted.is_urgent();
        if is_urgent && !self.was_urgent {
            self.hurry();
        }
        self.was_urgent = is_urgent;
        let mut probes = Vec::new();
        self.probes(wanted, now, &mut probes);
        for family in Family::BOTH {
            if is_due(self.rounds[family], wanted.rounds[family], now) {
                self.rounds[family] = Some(now);
                probes.push(DueProbe::Round(family));
            }
        }
        for (asked, period, probe) in self.others(wanted) {
            if asked.take(period, now) {
                probes.push(probe);
            }
        }
        (probes, self.next(wanted))
    }

    /// Notes that a result has arrived, so that the probe may be sent again.
    pub fn answered(&mut self, probe: DueProbe) {
        let others = self.others(ProbePlan::default());
        for (asked, _, _) in others.into_iter().filter(|(_, _, other)| *other == probe) {
            asked.is_open = false;
        }
    }

    /// Makes all probes that decide a doubt due again, so that a new doubt is checked at once.
    pub fn hurry(&mut self) {
        // No `..`: of a new probe, this must say whether it decides a doubt.
        let Self {
            rounds,
            gateways,
            lookup,
            name_servers,
            portal,
            interval: _,
            next_probe: _,
            proofs: _,
            portal_page: _,
            was_urgent: _,
        } = self;
        *rounds = PerFamily::default();
        let gateways = gateways.iter_mut().map(|(_, asked)| asked);
        for asked in gateways.chain([lookup, name_servers, portal]) {
            asked.at = None;
        }
    }

    /// Restarts the schedule after a gap that ended at `now`: missed probes are not sent, and earlier
    /// ones are void.
    pub fn resume(&mut self, now: Duration) {
        *self = Self::new(self.interval, self.interval, now);
    }

    /// All probes except anchor probes and rounds, with their periods in `wanted`.
    fn others(&mut self, wanted: ProbePlan) -> [(&mut LastSent, Option<Duration>, DueProbe); 8] {
        let (proofs, gateways) = (&mut self.proofs, &mut self.gateways);
        // No `..`: a period without a row here would never be kept.
        let ProbePlan {
            probed: _,
            rounds: _,
            proof,
            gateway,
            lookup,
            name_servers,
            portal,
            portal_page,
        } = wanted;
        [
            (&mut proofs.ipv4, proof.ipv4, DueProbe::Proof(Family::Ipv4)),
            (&mut proofs.ipv6, proof.ipv6, DueProbe::Proof(Family::Ipv6)),
            (&mut gateways.ipv4, gateway.ipv4, DueProbe::Gateway(Family::Ipv4)),
            (&mut gateways.ipv6, gateway.ipv6, DueProbe::Gateway(Family::Ipv6)),
            (&mut self.lookup, lookup, DueProbe::Lookup),
            (&mut self.name_servers, name_servers, DueProbe::NameServers),
            (&mut self.portal, portal, DueProbe::Portal),
            (&mut self.portal_page, portal_page, DueProbe::PortalPage),
        ]
    }

    fn probes(&mut self, wanted: ProbePlan, now: Duration, probes: &mut Vec<DueProbe>) {
        if now < self.next_probe {
            return;
        }
        // A late probe keeps the rhythm; missed ones are skipped.
        while self.next_probe <= now {
            self.next_probe += self.interval;
        }
        let families = Family::BOTH.into_iter().filter(|family| wanted.probed[*family]);
        probes.extend(families.map(DueProbe::Probe));
    }

    fn next(&mut self, wanted: ProbePlan) -> Duration {
        let rounds = Family::BOTH.map(|family| (self.rounds[family], wanted.rounds[family]));
        let others = self.others(wanted);
        let others = others.into_iter().filter(|(asked, _, _)| !asked.is_open);
        let due = others.map(|(asked, period, _)| (asked.at, period)).chain(rounds);
        let due: Vec<_> = due.filter_map(|(at, period)| Some(at? + period?)).collect();
        due.into_iter().chain([self.next_probe]).min().unwrap_or(self.next_probe)
    }
}

impl LastSent {
    /// Whether the probe is due at `now`; if so, it counts as sent.
    fn take(&mut self, period: Option<Duration>, now: Duration) -> bool {
        let due = !self.is_open && is_due(self.at, period, now);
        if due {
            *self = Self { at: Some(now), is_open: true };
        }
        due
    }
}

fn is_due(last: Option<Duration>, period: Option<Duration>, now: Duration) -> bool {
    period.is_some_and(|period| last.is_none_or(|last| now >= last + period))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Option<Duration> = Some(Duration::from_secs(1));
    const BOTH: ProbePlan = ProbePlan {
        probed: PerFamily { ipv4: true, ipv6: true },
        rounds: PerFamily { ipv4: None, ipv6: None },
        gateway: PerFamily { ipv4: None, ipv6: None },
        proof: PerFamily { ipv4: None, ipv6: None },
        lookup: None,
        name_servers: None,
        portal: None,
        portal_page: None,
    };
    const DOUBT: ProbePlan = ProbePlan {
        rounds: PerFamily { ipv4: SECOND, ipv6: None },
        gateway: PerFamily { ipv4: SECOND, ipv6: None },
        lookup: Some(Duration::from_secs(2)),
        name_servers: Some(Duration::from_secs(2)),
        portal: Some(Duration::from_secs(2)),
        ..BOTH
    };

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn schedule() -> ProbeSchedule {
        ProbeSchedule::new(at(5_000), at(2_000), at(0))
    }

    /// Runs the schedule until `until`, answering every probe at once, and returns when each was sent.
    fn follow(
        schedule: &mut ProbeSchedule,
        wanted: ProbePlan,
        from: u64,
        until: u64,
    ) -> Vec<(u64, String)> {
        let mut asked = Vec::new();
        let mut now = at(from);
        while now < at(until) {
            let (probes, next) = schedule.due(wanted, now);
            for probe in probes {
                asked.push((now.as_millis() as u64, format!("{probe:?}")));
                schedule.answered(probe);
            }
            assert!(next > now, "the schedule advances");
            now = next;
        }
        asked
    }

    fn times(asked: &[(u64, String)], probe: &str) -> Vec<u64> {
        asked.iter().filter(|(_, name)| name == probe).map(|(at, _)| *at).collect()
    }

    #[test]
    fn without_doubt_only_one_probe_per_family_and_interval_is_sent() {
        let asked = follow(&mut schedule(), BOTH, 0, 13_000);
        assert_eq!(times(&asked, "Probe(Ipv4)"), [2_000, 7_000, 12_000]);
        assert_eq!(times(&asked, "Probe(Ipv6)"), [2_000, 7_000, 12_000]);
        assert_eq!(asked.len(), 6);
    }

    #[test]
    fn separate_proofs_are_sent_once_in_their_period() {
        let proof = PerFamily { ipv4: Some(at(60_000)), ipv6: Some(at(300_000)) };
        let wanted = ProbePlan { proof, lookup: Some(at(60_000)), ..BOTH };
        let asked = follow(&mut schedule(), wanted, 0, 301_000);
        assert_eq!(times(&asked, "Proof(Ipv4)"), [60_000, 120_000, 180_000, 240_000, 300_000]);
        assert_eq!(times(&asked, "Proof(Ipv6)"), [300_000]);
        assert_eq!(times(&asked, "Lookup")[..2], [0, 60_000]);
    }

    #[test]
    fn doubt_sends_all_probes_at_once_and_repeats_them() {
        let asked = follow(&mut schedule(), DOUBT, 100, 4_200);
        assert_eq!(times(&asked, "Round(Ipv4)"), [100, 1_100, 2_100, 3_100, 4_100]);
        assert_eq!(times(&asked, "Gateway(Ipv4)"), [100, 1_100, 2_100, 3_100, 4_100]);
        assert_eq!(times(&asked, "NameServers"), [100, 2_100, 4_100]);
        assert_eq!(times(&asked, "Portal"), [100, 2_100, 4_100]);
        assert_eq!(times(&asked, "Round(Ipv6)"), [] as [u64; 0]);
    }

    #[test]
    fn a_pending_probe_is_not_sent_again() {
        let mut schedule = schedule();
        let (first, _) = schedule.due(DOUBT, at(0));
        assert!(first.contains(&DueProbe::Lookup));
        assert!(first.contains(&DueProbe::Gateway(Family::Ipv4)));
        let (later, _) = schedule.due(DOUBT, at(8_000));
        assert!(later.contains(&DueProbe::Round(Family::Ipv4)), "rounds overlap");
        assert!(!later.contains(&DueProbe::Lookup) && !later.contains(&DueProbe::Portal));
        schedule.answered(DueProbe::Lookup);
        let (again, _) = schedule.due(DOUBT, at(8_001));
        assert_eq!(again, [DueProbe::Lookup]);
    }

    #[test]
    fn a_new_doubt_does_not_wait_for_the_period_of_the_last_one() {
        let mut schedule = schedule();
        follow(&mut schedule, DOUBT, 100, 200);
        schedule.due(BOTH, at(250));
        let (probes, _) = schedule.due(DOUBT, at(300));
        assert!(probes.contains(&DueProbe::Round(Family::Ipv4)));
        assert!(probes.contains(&DueProbe::Lookup));
        let (probes, _) = schedule.due(DOUBT, at(400));
        assert_eq!(probes, []);
    }

    #[test]
    fn probes_missed_during_sleep_are_skipped() {
        let mut schedule = schedule();
        let (probes, next) = schedule.due(BOTH, at(3_600_000));
        assert_eq!(probes.len(), 2);
        assert_eq!(next, at(3_602_000));
        schedule.resume(at(7_200_000));
        assert_eq!(schedule.due(BOTH, at(7_200_000)).1, at(7_205_000));
    }

    proptest! {
        #[test]
        fn the_schedule_always_advances_and_never_floods(
            interval in 100_u64..300_000,
            rounds in prop::option::of(1_000_u64..300_000),
            others in prop::option::of(1_000_u64..300_000),
        ) {
            let (rounds, others) = (rounds.map(at), others.map(at));
            let wanted = ProbePlan {
                rounds: PerFamily::from_fn(|_| rounds),
                gateway: PerFamily::from_fn(|_| rounds),
                lookup: others,
                name_servers: others,
                portal: others,
                ..BOTH
            };
            let mut schedule = ProbeSchedule::new(at(interval), at(interval / 2), at(0));
            let asked = follow(&mut schedule, wanted, 0, 60_000);
            let most = 2 * (60_000 / interval + 1) + 4 * 61 + 3 * 61;
            prop_assert!(asked.len() as u64 <= most, "{} of {most}", asked.len());
        }
    }
}
