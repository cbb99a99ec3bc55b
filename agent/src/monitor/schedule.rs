//! Which question is asked when.
//!
//! 1. While all is well, one anchor of each family is probed every `interval`; the anchors take
//!    turns. Nothing else is asked.
//! 2. On doubt, and while the state is unknown, a round of the family starts every second. Rounds
//!    overlap, because each takes up to 2.5 s and two must fail before an outage is reported.
//! 3. While an incident is open, a round starts every 1.5 s, so that its end is known to 2 s.
//! 4. The router is asked with every round, and once when the state becomes unknown.
//! 5. Name servers and the portal page are asked at once on doubt and every 2 s while it lasts; every
//!    1.5 s while they are what is broken, and every 10 s during any other incident, because a new
//!    cause may show behind the first.
//! 6. Whoever has not answered yet is not asked again; only rounds overlap.

use std::time::Duration;

use crate::probe::{Family, PerFamily};

/// The time between two rounds on doubt.
const ROUND_ON_DOUBT: Duration = Duration::from_secs(1);
/// The time between two rounds while an incident is open.
const ROUND_WHILE_OPEN: Duration = Duration::from_millis(1_500);
/// The time between two questions to name servers and the portal page on doubt.
const NAMES_ON_DOUBT: Duration = Duration::from_secs(2);
/// The same during an incident that has another cause.
const NAMES_BESIDE: Duration = Duration::from_secs(10);

/// How urgently something is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Not at all.
    #[default]
    Never,
    /// Now and then: something else is broken.
    Beside,
    /// Continuously, because it is what is broken.
    Broken,
    /// Continuously, because nobody knows yet.
    Doubt,
}

/// What the machine wants to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether a family is probed at all: there is a route.
    pub probed: PerFamily<bool>,
    /// Rounds and the router, by family: never while all is well.
    pub rounds: PerFamily<Urgency>,
    /// The name servers.
    pub dns: Urgency,
    /// The portal page.
    pub portal: Urgency,
}

/// One question to ask now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Probe the next anchor of a family.
    Probe(Family),
    /// Ask every anchor of a family.
    Round(Family),
    /// Ask the router of a family.
    Gateway(Family),
    /// Ask the name servers.
    Dns,
    /// Request the portal page.
    Portal,
}

/// When each question was asked last, as times since boot.
#[derive(Clone, Debug)]
pub struct Schedule {
    interval: Duration,
    next_probe: Duration,
    rounds: PerFamily<Option<Duration>>,
    gateways: PerFamily<Asked>,
    dns: Asked,
    portal: Asked,
}

/// The last time that a question was asked, and whether its answer is still out.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    at: Option<Duration>,
    open: bool,
}

impl Schedule {
    /// A schedule that probes every `interval`, for the first time `phase` after `now`.
    pub fn new(interval: Duration, phase: Duration, now: Duration) -> Self {
        Self {
            interval,
            next_probe: now + phase.min(interval),
            rounds: PerFamily::default(),
            gateways: PerFamily::default(),
            dns: Asked::default(),
            portal: Asked::default(),
        }
    }

    /// What is to be asked at `now`, and when to look again. Each question counts as asked.
    pub fn due(&mut self, wanted: Wanted, now: Duration) -> (Vec<Question>, Duration) {
        let mut questions = Vec::new();
        self.probes(wanted, now, &mut questions);
        for family in Family::BOTH {
            let period = round_period(wanted.rounds[family]);
            if is_due(self.rounds[family], period, now) {
                self.rounds[family] = Some(now);
                questions.push(Question::Round(family));
            }
            if self.gateways[family].take(period, now) {
                questions.push(Question::Gateway(family));
            }
        }
        if self.dns.take(names_period(wanted.dns), now) {
            questions.push(Question::Dns);
        }
        if self.portal.take(names_period(wanted.portal), now) {
            questions.push(Question::Portal);
        }
        (questions, self.next(wanted))
    }

    /// Notes that the answer to a question has come, so that it may be asked again.
    pub fn answered(&mut self, question: Question) {
        match question {
            Question::Probe(_) | Question::Round(_) => {}
            Question::Gateway(family) => self.gateways[family].open = false,
            Question::Dns => self.dns.open = false,
            Question::Portal => self.portal.open = false,
        }
    }

    /// Forgets when everything was asked, so that a new doubt is looked into at once.
    pub fn hurry(&mut self) {
        self.rounds = PerFamily::default();
        let gateways = self.gateways.iter_mut().map(|(_, asked)| asked);
        for asked in gateways.chain([&mut self.dns, &mut self.portal]) {
            asked.at = None;
        }
    }

    /// Moves the next probe to one interval after `now`: a machine that slept owes none.
    pub fn resume(&mut self, now: Duration) {
        self.next_probe = now + self.interval;
        self.hurry();
    }

    fn probes(&mut self, wanted: Wanted, now: Duration, questions: &mut Vec<Question>) {
        if now < self.next_probe {
            return;
        }
        // A late probe keeps the rhythm, and those that were missed are not made up for.
        while self.next_probe <= now {
            self.next_probe += self.interval;
        }
        let routed = Family::BOTH.into_iter().filter(|family| wanted.probed[*family]);
        questions.extend(routed.map(Question::Probe));
    }

    fn next(&self, wanted: Wanted) -> Duration {
        let mut next = self.next_probe;
        for family in Family::BOTH {
            if let (Some(period), Some(at)) =
                (round_period(wanted.rounds[family]), self.rounds[family])
            {
                next = next.min(at + period);
            }
        }
        for (asked, period) in
            [(self.dns, names_period(wanted.dns)), (self.portal, names_period(wanted.portal))]
        {
            if let (Some(period), Some(at), false) = (period, asked.at, asked.open) {
                next = next.min(at + period);
            }
        }
        next
    }
}

impl Asked {
    /// Whether it is to be asked at `now`, which then counts as asked.
    fn take(&mut self, period: Option<Duration>, now: Duration) -> bool {
        let due = !self.open && is_due(self.at, period, now);
        if due {
            *self = Self { at: Some(now), open: true };
        }
        due
    }
}

fn is_due(last: Option<Duration>, period: Option<Duration>, now: Duration) -> bool {
    period.is_some_and(|period| last.is_none_or(|last| now >= last + period))
}

fn round_period(urgency: Urgency) -> Option<Duration> {
    match urgency {
        Urgency::Never => None,
        Urgency::Doubt => Some(ROUND_ON_DOUBT),
        Urgency::Beside | Urgency::Broken => Some(ROUND_WHILE_OPEN),
    }
}

fn names_period(urgency: Urgency) -> Option<Duration> {
    match urgency {
        Urgency::Never => None,
        Urgency::Beside => Some(NAMES_BESIDE),
        Urgency::Broken => Some(ROUND_WHILE_OPEN),
        Urgency::Doubt => Some(NAMES_ON_DOUBT),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: Wanted = Wanted {
        probed: PerFamily { ipv4: true, ipv6: true },
        rounds: PerFamily { ipv4: Urgency::Never, ipv6: Urgency::Never },
        dns: Urgency::Never,
        portal: Urgency::Never,
    };
    const DOUBT: Wanted = Wanted {
        rounds: PerFamily { ipv4: Urgency::Doubt, ipv6: Urgency::Never },
        dns: Urgency::Doubt,
        portal: Urgency::Doubt,
        ..BOTH
    };

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn schedule() -> Schedule {
        Schedule::new(at(5_000), at(2_000), at(0))
    }

    /// Follows the schedule until `until`, answering every question at once, and returns the times
    /// of each.
    fn follow(
        schedule: &mut Schedule,
        wanted: Wanted,
        from: u64,
        until: u64,
    ) -> Vec<(u64, String)> {
        let mut asked = Vec::new();
        let mut now = at(from);
        while now < at(until) {
            let (questions, next) = schedule.due(wanted, now);
            for question in questions {
                asked.push((now.as_millis() as u64, format!("{question:?}")));
                schedule.answered(question);
            }
            assert!(next > now, "the schedule moves on");
            now = next;
        }
        asked
    }

    fn times(asked: &[(u64, String)], question: &str) -> Vec<u64> {
        asked.iter().filter(|(_, name)| name == question).map(|(at, _)| *at).collect()
    }

    #[test]
    fn while_all_is_well_each_family_is_probed_once_an_interval_and_nothing_else() {
        let asked = follow(&mut schedule(), BOTH, 0, 13_000);
        assert_eq!(times(&asked, "Probe(Ipv4)"), [2_000, 7_000, 12_000]);
        assert_eq!(times(&asked, "Probe(Ipv6)"), [2_000, 7_000, 12_000]);
        assert_eq!(asked.len(), 6);
    }

    #[test]
    fn a_family_without_a_route_is_not_probed() {
        let wanted = Wanted { probed: PerFamily { ipv4: true, ipv6: false }, ..BOTH };
        let asked = follow(&mut schedule(), wanted, 0, 13_000);
        assert_eq!(times(&asked, "Probe(Ipv6)"), [] as [u64; 0]);
    }

    #[test]
    fn doubt_asks_everybody_at_once_and_again() {
        let asked = follow(&mut schedule(), DOUBT, 100, 4_200);
        assert_eq!(times(&asked, "Round(Ipv4)"), [100, 1_100, 2_100, 3_100, 4_100]);
        assert_eq!(times(&asked, "Gateway(Ipv4)"), [100, 1_100, 2_100, 3_100, 4_100]);
        assert_eq!(times(&asked, "Dns"), [100, 2_100, 4_100]);
        assert_eq!(times(&asked, "Portal"), [100, 2_100, 4_100]);
        assert_eq!(times(&asked, "Round(Ipv6)"), [] as [u64; 0]);
    }

    #[test]
    fn an_open_incident_is_followed_by_what_decides_it() {
        let wanted = Wanted {
            rounds: PerFamily::from_fn(|_| Urgency::Broken),
            dns: Urgency::Beside,
            portal: Urgency::Broken,
            ..BOTH
        };
        let asked = follow(&mut schedule(), wanted, 0, 10_500);
        assert_eq!(times(&asked, "Round(Ipv6)")[..3], [0, 1_500, 3_000]);
        assert_eq!(times(&asked, "Dns"), [0, 10_000]);
        assert_eq!(times(&asked, "Portal")[..3], [0, 1_500, 3_000]);
    }

    #[test]
    fn whoever_has_not_answered_is_not_asked_again() {
        let mut schedule = schedule();
        let (first, _) = schedule.due(DOUBT, at(0));
        assert!(first.contains(&Question::Dns) && first.contains(&Question::Gateway(Family::Ipv4)));
        let (later, _) = schedule.due(DOUBT, at(8_000));
        assert!(later.contains(&Question::Round(Family::Ipv4)), "rounds overlap");
        assert!(!later.contains(&Question::Dns) && !later.contains(&Question::Portal));
        schedule.answered(Question::Dns);
        let (again, _) = schedule.due(DOUBT, at(8_001));
        assert_eq!(again, [Question::Dns]);
    }

    #[test]
    fn a_new_doubt_does_not_wait_for_the_period_of_the_last() {
        let mut schedule = schedule();
        follow(&mut schedule, DOUBT, 100, 200);
        schedule.hurry();
        let (questions, _) = schedule.due(DOUBT, at(300));
        assert!(questions.contains(&Question::Round(Family::Ipv4)));
        assert!(questions.contains(&Question::Dns));
    }

    #[test]
    fn probes_that_were_slept_through_are_not_made_up_for() {
        let mut schedule = schedule();
        let (questions, next) = schedule.due(BOTH, at(3_600_000));
        assert_eq!(questions.len(), 2);
        assert_eq!(next, at(3_602_000));
        schedule.resume(at(7_200_000));
        assert_eq!(schedule.due(BOTH, at(7_200_000)).1, at(7_205_000));
    }

    proptest! {
        #[test]
        fn the_schedule_always_moves_on_and_never_floods(
            interval in 100_u64..300_000,
            rounds in prop::sample::select(vec![Urgency::Never, Urgency::Beside, Urgency::Broken, Urgency::Doubt]),
            names in prop::sample::select(vec![Urgency::Never, Urgency::Beside, Urgency::Broken, Urgency::Doubt]),
        ) {
            let rounds = PerFamily::from_fn(|_| rounds);
            let wanted = Wanted { rounds, dns: names, portal: names, ..BOTH };
            let mut schedule = Schedule::new(at(interval), at(interval / 2), at(0));
            let asked = follow(&mut schedule, wanted, 0, 60_000);
            let most = 2 * (60_000 / interval + 1) + 4 * 60 + 2 * 41;
            prop_assert!(asked.len() as u64 <= most, "{} of {most}", asked.len());
        }
    }
}
