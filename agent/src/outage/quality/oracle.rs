//! An independent reference implementation: it keeps every probe and recomputes everything from lists.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use fastrand::Rng;
use jiff::Timestamp;
use proptest::prelude::*;

use super::{QualityMonitor, usual::tests::hour};
use crate::{
    clock::{BootId, Stamp},
    outage::{Gap, GapCause, IncidentId, MachineSettings, Transition},
    probe::Family,
};

const WINDOW_MS: u64 = 300_000;
const USUAL_MS: f64 = 20.0;

#[derive(Clone, Copy)]
struct Probe {
    sent: u64,
    anchor: SocketAddr,
    rtt: Option<u64>,
    /// How many interruptions of its family had begun when the probe was sent.
    epoch: usize,
}

/// The basis of a decision: probes, losses, the 95th percentile in microseconds, and whether one anchor
/// of each family had all of its losses while others answered.
type Basis = (usize, usize, Option<u64>, bool);

#[derive(Default)]
struct Oracle {
    probes: Vec<Probe>,
    left_out: BTreeSet<(u64, SocketAddr)>,
    /// Periods in which connectivity was up and monitored; the last one may have no end.
    up: Vec<(u64, Option<u64>)>,
    /// One per family.
    epochs: [usize; 2],
    opens_from: u64,
    open: Option<u64>,
    decided: Option<u64>,
}

impl Oracle {
    fn up_time(&self, from: u64, to: u64) -> u64 {
        let overlap = |&(begin, end): &(u64, Option<u64>)| {
            end.unwrap_or(u64::MAX).min(to).saturating_sub(begin.max(from))
        };
        self.up.iter().map(overlap).sum()
    }

    fn epoch(&self, anchor: SocketAddr) -> usize {
        self.epochs[usize::from(anchor.is_ipv6())]
    }

    fn add_probe(&mut self, anchor: SocketAddr, sent: u64, rtt: Option<u64>) {
        let is_up =
            |&(begin, end): &(u64, Option<u64>)| begin <= sent && end.is_none_or(|end| sent < end);
        if self.up.iter().any(is_up) {
            self.probes.push(Probe { sent, anchor, rtt, epoch: self.epoch(anchor) });
        }
    }

    fn interrupt(&mut self, at: u64) {
        self.leave_out(u64::MAX, Some(at));
        self.probes.retain(|probe| probe.sent < at);
        self.up.retain(|(begin, _)| *begin < at);
        for (_, end) in &mut self.up {
            *end = Some(end.unwrap_or(at).min(at));
        }
        self.epochs = self.epochs.map(|epoch| epoch + 1);
    }

    fn resume(&mut self, stopped: u64, at: u64) {
        if at - stopped > WINDOW_MS {
            self.probes.clear();
            self.up.clear();
        }
        self.up.push((at, None));
        self.opens_from = at;
    }

    fn disregard(&mut self, family: Family) {
        self.leave_out(u64::MAX, None);
        let is_its = |probe: &Probe| Family::of(probe.anchor.ip()) == family;
        let answered = self.probes.iter().filter(|probe| is_its(probe) && probe.rtt.is_some());
        let newest = answered.map(|probe| probe.sent).max();
        self.probes.retain(|probe| !is_its(probe) || newest.is_some_and(|at| probe.sent <= at));
        self.epochs[usize::from(family == Family::Ipv6)] += 1;
    }

    /// The runs of losses among the probes sent until `known`, in order: anchor, probes, whether it has
    /// ended.
    fn runs(&self, known: u64) -> Vec<(SocketAddr, Vec<Probe>, bool)> {
        let mut probes = self.probes.clone();
        probes.retain(|probe| probe.sent <= known);
        probes.sort_by_key(|probe| probe.sent);
        let anchors: BTreeSet<_> = probes.iter().map(|probe| probe.anchor).collect();
        let mut runs = Vec::new();
        for anchor in anchors {
            let mut run: Vec<Probe> = Vec::new();
            for probe in probes.iter().filter(|probe| probe.anchor == anchor) {
                let is_cut = run.last().is_some_and(|last| last.epoch != probe.epoch);
                if is_cut || probe.rtt.is_some() {
                    runs.push((anchor, std::mem::take(&mut run), true));
                }
                if probe.rtt.is_none() {
                    run.push(*probe);
                }
            }
            let is_ended = run.last().is_some_and(|last| last.epoch != self.epoch(anchor));
            runs.push((anchor, run, is_ended));
        }
        runs
    }

    /// Returns the undecided probes, and stores the excluded ones.
    fn leave_out(&mut self, known: u64, before: Option<u64>) -> BTreeSet<(u64, SocketAddr)> {
        let mut undecided = BTreeSet::new();
        for (anchor, mut run, is_ended) in self.runs(known) {
            run.retain(|probe| before.is_none_or(|before| probe.sent < before));
            let ids = run.iter().map(|probe| (probe.sent, anchor));
            if let [first, .., last] = run.as_slice()
                && run.len() >= 3
            {
                let is_other = |other: &Probe| {
                    other.rtt.is_some()
                        && other.anchor != anchor
                        && Family::of(other.anchor.ip()) == Family::of(anchor.ip())
                        && first.sent < other.sent
                        && other.sent < last.sent
                };
                if self.probes.iter().any(is_other) {
                    self.left_out.extend(ids);
                }
            } else if !is_ended {
                undecided.extend(ids);
            }
        }
        undecided
    }

    /// The basis at `now`, and the first loss and first slow answer that may begin an incident.
    fn basis(&mut self, now: u64) -> (Basis, Option<u64>, Option<u64>) {
        let known = now - 2_000;
        let undecided = self.leave_out(known, None);
        let mut counted = self.probes.clone();
        counted.retain(|probe| {
            let id = (probe.sent, probe.anchor);
            probe.sent <= known
                && self.up_time(probe.sent, known) <= WINDOW_MS
                && !undecided.contains(&id)
                && !self.left_out.contains(&id)
        });
        counted.sort_by_key(|probe| probe.sent);
        let mut times: Vec<_> = counted.iter().filter_map(|probe| probe.rtt).collect();
        times.sort_unstable();
        let p95 = (!times.is_empty()).then(|| times[(times.len() * 95).div_ceil(100) - 1]);
        let mut recent = counted.iter().filter(|probe| probe.sent >= self.opens_from);
        let lost = recent.clone().find(|probe| probe.rtt.is_none()).map(|probe| probe.sent);
        let slow = recent.find(|probe| probe.rtt.is_some_and(|rtt| rtt > 100_000));
        let is_of_one = [false, true].into_iter().all(|is_ipv6| {
            let asked = counted.iter().filter(|probe| probe.anchor.is_ipv6() == is_ipv6);
            let losing = asked.clone().filter(|probe| probe.rtt.is_none());
            let losing: BTreeSet<_> = losing.map(|probe| probe.anchor).collect();
            match losing.len() {
                0 => true,
                1 => asked.into_iter().any(|probe| !losing.contains(&probe.anchor)),
                _ => false,
            }
        });
        let basis = (counted.len(), counted.len() - times.len(), p95, is_of_one);
        (basis, lost, slow.map(|probe| probe.sent))
    }

    /// Makes a decision; returns its basis and the change.
    fn decide(&mut self, now: u64) -> (Option<Basis>, Option<Change>) {
        if self.decided.is_some_and(|decided| now - decided < 1_000) {
            return (None, None);
        }
        self.decided = Some(now);
        // An excluded probe stays excluded, even if an interruption later cuts its run.
        self.leave_out(now.saturating_sub(2_000), None);
        if self.up_time(0, now.saturating_sub(2_000)) < WINDOW_MS {
            return (None, None);
        }
        let (basis, first_lost, first_slow) = self.basis(now);
        let (probes, lost, p95, is_of_one) = basis;
        let slower = |limit: u64| p95.is_some_and(|p95| p95 > limit);
        let change = if let Some(started) = self.open {
            let is_good = lost * 20 < probes.max(1) && !slower(100_000);
            // Twice and three times the usual time are both below the limit of 100 ms.
            let is_full = self.up_time(started, now - 2_000) >= WINDOW_MS;
            (is_good && is_full).then(|| {
                (self.open, self.opens_from) = (None, now);
                Change::Closed(now)
            })
        } else if probes < 20 {
            None
        } else if lost >= 3 && lost * 10 >= probes && !is_of_one {
            first_lost.map(Change::Opened)
        } else if slower(100_000) {
            first_slow.map(Change::Opened)
        } else {
            None
        };
        if let Some(Change::Opened(started)) = change {
            self.open = Some(started);
        }
        (Some(basis), change)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Opened(u64),
    Closed(u64),
}

/// A part of a simulated connection, up to five minutes long.
#[derive(Clone, Debug)]
struct Act {
    lasts_ms: u64,
    loss: f64,
    /// Whether each anchor is dead: two families with three anchors each.
    dead: [bool; 6],
    slow: bool,
    then: Then,
}

/// The event at the end of an act.
#[derive(Clone, Copy, Debug)]
enum Then {
    Nothing,
    /// Backdated by the first and as long as the second, in milliseconds.
    Outage(u64, u64),
    Gap(u64, u64),
    Disregard(Family),
}

fn act() -> impl Strategy<Value = Act> {
    let loss = prop_oneof![Just(0.0), Just(0.03), Just(0.07), Just(0.3), 0.0..1.0];
    let then = prop_oneof![
        4 => Just(Then::Nothing),
        3 => (0_u64..20_000, 1_u64..400_000).prop_map(|(by, long)| Then::Outage(by, long)),
        1 => (0_u64..20_000, 1_u64..400_000).prop_map(|(by, long)| Then::Gap(by, long)),
        1 => Just(Then::Disregard(Family::Ipv6)),
        1 => Just(Then::Disregard(Family::Ipv4)),
    ];
    let dead = prop::array::uniform6(prop::bool::weighted(0.2));
    (1_000_u64..300_000, loss, dead, prop::bool::weighted(0.2), then)
        .prop_map(|(lasts_ms, loss, dead, slow, then)| Act { lasts_ms, loss, dead, slow, then })
}

fn at(ms: u64) -> Stamp {
    let wall = Timestamp::from_millisecond(1_800_000_000_000 + ms.cast_signed()).expect("a time");
    Stamp { boot: BootId::UNKNOWN, boot_ms: ms, wall }
}

fn anchor(number: u64, family: Family) -> SocketAddr {
    let number = number as u16;
    match family {
        Family::Ipv4 => ([192, 0, 2, number as u8], 443).into(),
        Family::Ipv6 => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], 443).into(),
    }
}

struct Player {
    now: u64,
    quality: QualityMonitor,
    oracle: Oracle,
    random: Rng,
    /// The pending results: when the result is known, the anchor, the send time and the round-trip
    /// time.
    answers: Vec<(u64, SocketAddr, u64, Option<u64>)>,
}

impl Player {
    fn new(seed: u64) -> Self {
        let mut quality = QualityMonitor::new(MachineSettings::default(), None, at(1_000));
        (0..24).for_each(|_| quality.learn(&hour(USUAL_MS, 720)));
        let oracle = Oracle { up: vec![(1_000, None)], opens_from: 1_000, ..Oracle::default() };
        Self { now: 1_000, quality, oracle, random: Rng::with_seed(seed), answers: Vec::new() }
    }

    fn play(&mut self, interval: u64, act: &Act) {
        let end = self.now + act.lasts_ms;
        let mut turn = 0;
        while self.now < end {
            for (offset, family) in [(0, Family::Ipv4), (3, Family::Ipv6)] {
                let number = turn % 3;
                let is_lost = act.dead[number as usize + offset] || self.random.f64() < act.loss;
                let range = if act.slow { 90_000..900_000 } else { 5_000..40_000 };
                // Rounded to the resolution of the window.
                let rtt = (!is_lost).then(|| self.random.u64(range) / 20 * 20);
                let known = self.now + rtt.map_or(1_000, |rtt| rtt / 1_000) + self.random.u64(..40);
                self.answers.push((known, anchor(number, family), self.now, rtt));
            }
            turn += 1;
            let next = self.now + interval;
            self.answers.sort_by_key(|(known, ..)| *known);
            while self.answers.first().is_some_and(|(known, ..)| *known < next) {
                let (known, anchor, sent, rtt) = self.answers.remove(0);
                self.now = known;
                self.quality.add_probe(anchor, at(sent), rtt.map(Duration::from_micros));
                self.oracle.add_probe(anchor, sent, rtt);
                self.compare();
            }
            self.now = next;
        }
        self.end(act.then);
    }

    fn compare(&mut self) {
        let transitions = self.quality.decide(at(self.now), &mut self.random);
        let (basis, change) = self.oracle.decide(self.now);
        let got = transitions.first().map(|transition| match transition {
            Transition::Opened(incident) => Change::Opened(incident.started.boot_ms),
            Transition::Closed(incident) => {
                assert_eq!(incident.downtime_ms, 0, "it is never downtime");
                Change::Closed(incident.ended.expect("it has ended").boot_ms)
            }
            other => panic!("{other:?}"),
        });
        assert!(transitions.len() <= 1, "{transitions:?}");
        if let Some((probes, lost, p95, _)) = basis {
            let figures = self.quality.figures();
            assert_eq!((figures.probes, figures.lost), (probes, lost), "at {}", self.now);
            let p95_ms = p95.map(|p95| p95 as f64 / 1_000.0);
            let difference = figures.p95_ms.zip(p95_ms).map(|(got, exact)| (exact - got).abs());
            assert_eq!(figures.p95_ms.is_some(), p95_ms.is_some());
            assert!(difference.is_none_or(|off| off < 1e-9), "{figures:?} for {p95_ms:?}");
        }
        assert_eq!(got, change, "at {} of {basis:?}", self.now);
        if let Some(Transition::Opened(incident)) = transitions.first() {
            let (probes, lost, ..) = basis.expect("it was decided");
            let figure =
                format!("{probes} probes: {:.0} % lost", lost as f64 * 100.0 / probes as f64);
            assert!(incident.evidence[0].target.starts_with(&figure), "{figure}");
        }
    }

    fn end(&mut self, then: Then) {
        let began = |by: u64, oracle: &Oracle| {
            let newest = oracle.up.last().map_or(0, |(begin, _)| *begin);
            self.now.saturating_sub(by).max(newest + 1)
        };
        let (started, long) = match then {
            Then::Nothing => return,
            Then::Disregard(family) => {
                self.answers.clear();
                self.quality.disregard(family);
                self.oracle.disregard(family);
                // The family's probes are processed at once, and not only after two seconds.
                self.now += 2_000;
                return;
            }
            Then::Outage(by, long) | Then::Gap(by, long) => (began(by, &self.oracle), long),
        };
        self.answers.clear();
        let again = self.now + long;
        let closed = if matches!(then, Then::Gap(..)) {
            let id = IncidentId::new(at(again), &mut self.random);
            let (started, ended) = (at(started), at(again));
            let gap = Gap {
                id,
                cause: GapCause::Suspended,
                started,
                ended,
                uncertain_s: 0,
                reason: None,
            };
            self.quality.unmonitored(at(again), &gap)
        } else {
            let closed = self.quality.outage_opened(at(started));
            self.quality.disregard(Family::Ipv4);
            self.quality.outage_closed(at(again));
            closed
        };
        assert_eq!(closed.len(), usize::from(self.oracle.open.take().is_some()));
        for transition in closed {
            let Transition::Closed(incident) = transition else { panic!("{transition:?}") };
            let ended = incident.ended.expect("it has ended");
            assert!(at(started.max(incident.started.boot_ms)).is_at_or_after(ended));
        }
        self.oracle.interrupt(started);
        self.oracle.resume(started, again);
        self.now = again;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_window_agrees_with_the_reference_implementation(
        seed in any::<u64>(),
        interval in prop_oneof![Just(5_000_u64), Just(2_000), Just(10_000), 1_500_u64..30_000],
        acts in prop::collection::vec(act(), 1..9),
    ) {
        let mut player = Player::new(seed);
        for act in &acts {
            player.play(interval, act);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn both_agree_with_frequent_probes(
        seed in any::<u64>(),
        interval in 300_u64..1_000,
        acts in prop::collection::vec(act(), 2..5),
    ) {
        let mut player = Player::new(seed);
        player.play(interval, &Act { lasts_ms: 200_000, loss: 0.05, dead: [false; 6], slow: false, then: Then::Nothing });
        for act in &acts {
            player.play(interval, act);
        }
    }
}
