//! Realistic cases, each with the rule that decides it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{usual::tests::hour, *};
use crate::{
    clock::BootId,
    outage::{Gap, GapCause, Incident},
};

fn at(ms: u64) -> Stamp {
    let wall = Timestamp::from_millisecond(1_800_000_000_000 + ms.cast_signed()).expect("a time");
    Stamp { boot: BootId::UNKNOWN, boot_ms: ms, wall }
}

const MINUTE: u64 = 60_000;
const RTT_MS: u64 = 20;

/// A simulated connection: probes three anchors of each of its families in turn, on virtual time.
struct SimulatedConnection {
    quality: QualityMonitor,
    now: u64,
    interval: u64,
    families: Vec<Family>,
    turn: u64,
    answers: BTreeSet<(u64, u64, Family, u64, Option<u64>)>,
    random: Rng,
    transitions: Vec<Transition>,
}

impl SimulatedConnection {
    fn new(interval: u64) -> Self {
        Self {
            quality: QualityMonitor::new(MachineSettings::default(), None, at(0)),
            now: 0,
            interval,
            families: vec![Family::Ipv4],
            turn: 0,
            answers: BTreeSet::new(),
            random: Rng::with_seed(1),
            transitions: Vec::new(),
        }
    }

    fn anchor(family: Family, number: u64) -> SocketAddr {
        match family {
            Family::Ipv4 => ([192, 0, 2, number as u8], 443).into(),
            Family::Ipv6 => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, number as u16], 443).into(),
        }
    }

    /// Runs for `ms`; `rtt` returns the result of a probe by the anchor's number (0 to 2), the time and
    /// the family.
    fn play(&mut self, ms: u64, mut rtt: impl FnMut(u64, u64, Family) -> Option<u64>) -> &mut Self {
        let end = self.now + ms;
        while self.now < end {
            for family in self.families.clone() {
                let number = self.turn % 3;
                let rtt = rtt(number, self.now, family);
                let known = self.now + rtt.unwrap_or(1_000);
                self.answers.insert((known, self.now, family, number, rtt));
            }
            self.turn += 1;
            self.now += self.interval;
            while let Some(first) = self.answers.first().copied().filter(|it| it.0 < self.now) {
                self.answers.remove(&first);
                let (known, sent, family, number, rtt) = first;
                let rtt = rtt.map(Duration::from_millis);
                self.quality.add_probe(Self::anchor(family, number), at(sent), rtt);
                self.transitions.extend(self.quality.decide(at(known), &mut self.random));
            }
        }
        self
    }

    fn good(&mut self, ms: u64) -> &mut Self {
        self.play(ms, |_, _, _| Some(RTT_MS))
    }

    /// Loses a share of the probes, at random.
    fn lossy(&mut self, ms: u64, loss: f64) -> &mut Self {
        let mut random = self.random.fork();
        self.play(ms, move |_, _, _| (random.f64() >= loss).then_some(RTT_MS))
    }

    /// An outage that began `before` ms ago and ends after `ms`.
    fn outage(&mut self, before: u64, ms: u64) -> &mut Self {
        self.transitions.extend(self.quality.outage_opened(at(self.now - before)));
        self.answers.clear();
        self.now += ms;
        // The machine does this for each probe result of a family that is down.
        self.quality.disregard(Family::Ipv4);
        self.quality.outage_closed(at(self.now));
        self
    }

    fn opened(&self) -> Vec<&Incident> {
        let incidents = self.transitions.iter().filter_map(|transition| match transition {
            Transition::Opened(incident) => Some(incident),
            _ => None,
        });
        incidents.collect()
    }

    fn closed(&self) -> Vec<&Incident> {
        let incidents = self.transitions.iter().filter_map(|transition| match transition {
            Transition::Closed(incident) => Some(incident),
            _ => None,
        });
        incidents.collect()
    }
}

#[test]
fn loss_by_all_anchors_opens_and_closes() {
    let mut connection = SimulatedConnection::new(5_000);
    connection
        .good(10 * MINUTE)
        .play(8 * MINUTE, |_, now, _| (now % 25_000 != 0).then_some(RTT_MS));
    let [opened] = connection.opened()[..] else { panic!("{:?}", connection.transitions) };
    assert_eq!(opened.started.boot_ms, 10 * MINUTE, "the first probe that was lost");
    assert_eq!((opened.cause, opened.scope), (Cause::Degraded, Scope::Quality));
    connection.good(5 * MINUTE);
    let [closed] = connection.closed()[..] else { panic!("{:?}", connection.transitions) };
    assert_eq!(closed.downtime_ms, 0);
    assert!(closed.ended.is_some_and(|ended| ended.boot_ms > 18 * MINUTE));
}

#[test]
fn loss_between_the_two_limits_changes_nothing() {
    let loses_one_of = |number: u64| {
        move |_, now: u64, _| (!(now / 5_000).is_multiple_of(number)).then_some(RTT_MS)
    };
    let mut connection = SimulatedConnection::new(5_000);
    connection.play(20 * MINUTE, loses_one_of(14));
    assert!(connection.transitions.is_empty(), "7 % open nothing");
    connection.play(10 * MINUTE, loses_one_of(8)).play(20 * MINUTE, loses_one_of(14));
    assert_eq!(connection.opened().len(), 1);
    assert!(connection.closed().is_empty(), "7 % close nothing");
    connection.play(6 * MINUTE, loses_one_of(25));
    assert_eq!(connection.closed().len(), 1);
}

#[test]
fn an_anchor_that_is_dead_for_two_minutes_is_not_a_degraded_connection() {
    let dead = |number, _, _| (number != 1).then_some(RTT_MS);
    let mut connection = SimulatedConnection::new(5_000);
    connection.good(10 * MINUTE).play(2 * MINUTE, dead).good(15 * MINUTE);
    assert!(connection.transitions.is_empty(), "{:?}", connection.transitions);
    connection.play(2 * MINUTE, dead).good(MINUTE).play(2 * MINUTE, dead).good(10 * MINUTE);
    assert!(connection.transitions.is_empty(), "nor one that dies twice within five minutes");
}

#[test]
fn repeated_loss_of_one_anchor_is_not_a_degraded_connection() {
    // At one probe each 10 s an anchor that keeps failing for 20 s loses a tenth of all probes.
    let fails = |number, now: u64, _| (number != 1 || now % 90_000 >= 40_000).then_some(RTT_MS);
    let mut connection = SimulatedConnection::new(10_000);
    connection.families = Family::BOTH.to_vec();
    connection.good(10 * MINUTE).play(30 * MINUTE, fails);
    assert!(connection.transitions.is_empty(), "{:?}", connection.transitions);
    // The same share, over all anchors.
    connection.play(10 * MINUTE, |_, now, _| (now % 70_000 != 0).then_some(RTT_MS));
    assert_eq!(connection.opened().len(), 1);
}

#[test]
fn with_two_dead_anchors_only_the_third_one_counts() {
    let mut connection = SimulatedConnection::new(5_000);
    let one_alive = |number, _, _| (number == 2).then_some(RTT_MS);
    connection.good(10 * MINUTE).play(20 * MINUTE, one_alive).good(10 * MINUTE);
    assert!(connection.transitions.is_empty(), "{:?}", connection.transitions);
    connection.play(10 * MINUTE, one_alive);
    connection.play(10 * MINUTE, |number, now, _| {
        (number == 2 && (now / 15_000) % 3 != 0).then_some(RTT_MS)
    });
    assert_eq!(connection.opened().len(), 1, "the third anchor loses a third of its probes");
}

#[test]
fn two_anchors_that_die_simultaneously_open_nothing_at_low_loss() {
    let mut connection = SimulatedConnection::new(5_000);
    let mut random = Rng::with_seed(7);
    connection.play(30 * MINUTE, |number, now, _| {
        let is_dead = number < 2 && now >= 10 * MINUTE + 5_000;
        (!is_dead && random.f64() >= 0.03).then_some(RTT_MS)
    });
    assert!(connection.transitions.is_empty(), "{:?}", connection.transitions);
}

#[test]
fn a_dead_anchor_does_not_hide_the_loss_of_the_others() {
    let mut connection = SimulatedConnection::new(5_000);
    connection.good(10 * MINUTE).play(10 * MINUTE, |number, now, _| {
        (number != 1 && (now / 5_000) % 5 != 0).then_some(RTT_MS)
    });
    assert_eq!(connection.opened().len(), 1);
}

#[test]
fn answers_of_the_other_family_do_not_make_an_anchor_dead() {
    let mut connection = SimulatedConnection::new(5_000);
    connection.families = Family::BOTH.to_vec();
    // All of IPv6 fails for 25 s in each minute, which is more than three probes of one anchor in 3
    // min.
    connection.good(10 * MINUTE).play(10 * MINUTE, |_, now, family| {
        (family == Family::Ipv4 || now % MINUTE >= 25_000).then_some(RTT_MS)
    });
    assert_eq!(connection.opened().len(), 1);
}

#[test]
fn a_connection_with_repeated_interruptions_of_seconds_is_degraded() {
    // At 100 ms each anchor loses dozens in a row, but no other one answers meanwhile.
    let mut connection = SimulatedConnection::new(100);
    connection
        .good(6 * MINUTE)
        .play(2 * MINUTE, |_, now, _| (now % 10_000 >= 3_700).then_some(RTT_MS));
    assert_eq!(connection.opened().len(), 1, "repeated carrier losses of 3.7 s");
    let mut connection = SimulatedConnection::new(5_000);
    connection.good(6 * MINUTE).play(6 * MINUTE, |_, now, _| (now % 20_000 != 0).then_some(RTT_MS));
    assert_eq!(connection.opened().len(), 1, "a quarter of all probes is lost");
}

#[test]
fn the_window_holds_five_minutes_at_any_interval() {
    for (interval, families) in [(100, 2), (100, 1), (1_000, 2), (5_000, 2), (300_000, 2)] {
        let mut connection = SimulatedConnection::new(interval);
        connection.families.extend((families == 2).then_some(Family::Ipv6));
        connection.good(20 * MINUTE);
        let expected = (300_000 / interval) as usize * families;
        let probes = connection.quality.figures().probes;
        assert!(probes.abs_diff(expected) <= families, "{probes} of {expected} at {interval} ms");
    }
    // One minute of 60 % loss and four good ones: 12 % of the five.
    let mut connection = SimulatedConnection::new(100);
    connection.families = Family::BOTH.to_vec();
    connection.good(6 * MINUTE).play(MINUTE, |_, now, _| (now % 1_000 >= 600).then_some(RTT_MS));
    connection.good(3 * MINUTE + 50_000);
    assert_eq!((connection.opened().len(), connection.closed().len()), (1, 0));
    let loss = connection.quality.figures().loss();
    assert!((loss - 0.12).abs() < 0.01, "{loss}");
}

#[test]
fn an_outage_excludes_only_its_own_time_from_the_window() {
    let mut connection = SimulatedConnection::new(5_000);
    connection.good(6 * MINUTE);
    for _ in 0..8 {
        connection.lossy(2 * MINUTE, 0.3).outage(8_000, 20_000);
    }
    let opened = connection.opened();
    assert!(opened.len() > 1, "{:?}", connection.transitions);
    assert_eq!(
        opened.len(),
        connection.closed().len(),
        "each outage ends the incident where the outage began"
    );
    for (closed, next) in connection.closed().iter().zip(&opened[1..]) {
        let ended = closed.ended.expect("it has ended").boot_ms;
        assert!(next.started.boot_ms >= ended + 20_000, "it does not extend into the outage");
        assert!(next.started.boot_ms < ended + 80_000, "the window need not fill again");
    }
}

#[test]
fn a_connection_that_works_well_after_an_outage_is_not_degraded() {
    let mut connection = SimulatedConnection::new(5_000);
    connection.good(6 * MINUTE).lossy(6 * MINUTE, 0.3).outage(8_000, MINUTE).good(20 * MINUTE);
    assert_eq!(
        (connection.opened().len(), connection.closed().len()),
        (1, 1),
        "{:?}",
        connection.transitions
    );
    // Losses before a long outage do not count.
    let mut connection = SimulatedConnection::new(5_000);
    connection.good(6 * MINUTE).lossy(6 * MINUTE, 0.3).outage(8_000, 30 * MINUTE);
    connection.play(4 * MINUTE, |_, now, _| (now % MINUTE != 0).then_some(RTT_MS));
    assert_eq!(connection.opened().len(), 1);
}

#[test]
fn a_backdated_outage_excludes_the_losses_in_it() {
    let mut connection = SimulatedConnection::new(1_000);
    connection
        .good(10 * MINUTE)
        .play(25_000, |_, _, _| None)
        .outage(25_000, MINUTE)
        .good(10 * MINUTE);
    assert!(connection.transitions.is_empty(), "{:?}", connection.transitions);
}

#[test]
fn an_outage_that_opens_and_closes_in_one_step_stops_nothing() {
    let mut connection = SimulatedConnection::new(5_000);
    connection.good(6 * MINUTE);
    connection.quality.outage_opened(at(connection.now - 6_000));
    connection.lossy(8 * MINUTE, 0.3);
    assert_eq!(connection.opened().len(), 1);
}

#[test]
fn after_an_outage_of_an_earlier_run_the_window_is_empty() {
    let mut connection = SimulatedConnection::new(5_000);
    connection.now += 10 * MINUTE;
    connection.quality.outage_closed(at(connection.now));
    connection.lossy(4 * MINUTE, 0.5);
    assert!(connection.transitions.is_empty(), "the window is not full yet");
    connection.lossy(2 * MINUTE, 0.5);
    assert_eq!(connection.opened().len(), 1);
}

#[test]
fn a_gap_ends_the_incident_at_its_start_and_a_short_one_keeps_the_window() {
    for (gap_ms, known_after) in [(MINUTE, 0), (30 * MINUTE, 5 * MINUTE)] {
        let mut connection = SimulatedConnection::new(5_000);
        connection.good(6 * MINUTE).lossy(6 * MINUTE, 0.3);
        let (started, ended) = (at(connection.now), at(connection.now + gap_ms));
        let id = IncidentId::new(ended, &mut connection.random);
        let gap =
            Gap { id, cause: GapCause::Suspended, started, ended, uncertain_s: 0, reason: None };
        connection.answers.clear();
        connection.transitions.extend(connection.quality.unmonitored(ended, &gap));
        assert_eq!(connection.closed().len(), 1);
        assert!(connection.closed()[0].ended.is_some_and(|at| started.is_at_or_after(at)));
        connection.now = ended.boot_ms;
        connection.lossy(6 * MINUTE, 0.3);
        let [_, again] = connection.opened()[..] else { panic!("{:?}", connection.transitions) };
        assert!(again.started.is_at_or_after(ended));
        let opened = again.evidence[0].at.since(&ended).expect("both are of one boot");
        let earliest = Duration::from_millis(known_after);
        assert!(earliest <= opened && opened < earliest + Duration::from_mins(1), "{opened:?}");
    }
}

#[test]
fn a_family_that_is_not_judged_does_not_count() {
    let mut connection = SimulatedConnection::new(5_000);
    connection.families = Family::BOTH.to_vec();
    for _ in 0..240 {
        connection.play(5_000, |_, _, family| (family == Family::Ipv4).then_some(RTT_MS));
        connection.quality.disregard(Family::Ipv6);
    }
    assert!(connection.transitions.is_empty(), "{:?}", connection.transitions);
    assert_eq!(connection.quality.figures().lost, 0);
}

#[test]
fn a_family_that_is_briefly_not_judged_keeps_its_answered_probes() {
    let mut connection = SimulatedConnection::new(5_000);
    connection.good(6 * MINUTE).lossy(6 * MINUTE, 0.2);
    let before = connection.quality.figures();
    connection.quality.disregard(Family::Ipv6);
    connection.quality.disregard(Family::Ipv4);
    connection.good(15_000);
    let after = connection.quality.figures();
    assert!(after.lost + 4 >= before.lost && after.probes + 4 >= before.probes, "{after:?}");
}

#[test]
fn slow_means_above_three_times_the_usual_time_and_above_100_ms() {
    let opens = |usual_ms: f64, rtt_ms: u64| {
        let mut connection = SimulatedConnection::new(5_000);
        (0..24).for_each(|_| connection.quality.learn(&hour(usual_ms, 720)));
        connection.good(6 * MINUTE).play(10 * MINUTE, |_, _, _| Some(rtt_ms));
        let opened: Vec<_> =
            connection.opened().iter().map(|it| it.evidence[0].answer.clone()).collect();
        assert!(opened.len() <= 1);
        opened.first().cloned()
    };
    assert_eq!(opens(20.0, 110), Some("slow".to_owned()));
    assert_eq!(opens(20.0, 95), None, "below the limit of 100 ms");
    assert_eq!(opens(100.0, 290), None);
    assert_eq!(opens(100.0, 310), Some("slow".to_owned()));
}

#[test]
fn slowness_begins_with_the_first_slow_answer() {
    let mut connection = SimulatedConnection::new(5_000);
    (0..24).for_each(|_| connection.quality.learn(&hour(20.0, 720)));
    connection.good(10 * MINUTE).play(6 * MINUTE, |_, _, _| Some(400)).good(10 * MINUTE);
    let [opened] = connection.opened()[..] else { panic!("{:?}", connection.transitions) };
    assert_eq!(opened.started.boot_ms, 10 * MINUTE);
    assert_eq!(connection.closed().len(), 1);
}

#[test]
fn the_evidence_shows_the_figures_of_the_probes_that_count() {
    let mut connection = SimulatedConnection::new(5_000);
    // One anchor is dead; the other two lose every fifth probe.
    connection.good(10 * MINUTE).play(10 * MINUTE, |number, now, _| {
        (number != 1 && (now / 5_000) % 5 != 0).then_some(RTT_MS)
    });
    let [opened] = connection.opened()[..] else { panic!("{:?}", connection.transitions) };
    let target = &opened.evidence[0].target;
    let words: Vec<_> = target.split(' ').collect();
    let (probes, loss): (u32, u32) = (words[0].parse().unwrap(), words[2].parse().unwrap());
    assert!(probes < 60, "the dead anchor's probes are not among them: {target}");
    assert!((10..=13).contains(&loss), "{target}");
}

#[test]
fn memory_is_bounded_with_many_anchors() {
    let mut quality = QualityMonitor::new(MachineSettings::default(), None, at(0));
    let mut random = Rng::with_seed(1);
    for number in 0..20_000_u32 {
        let anchor = (number.to_be_bytes(), 443).into();
        let now = u64::from(number) * 100;
        quality.add_probe(anchor, at(now), Some(Duration::from_millis(20)));
        quality.decide(at(now + 20), &mut random);
    }
    assert!(quality.figures().probes <= 128);
    // Once these have left the window there is room again.
    quality.decide(at(3_000_000), &mut random);
    quality.add_probe(([192, 0, 2, 1], 443).into(), at(3_000_000), Some(Duration::from_millis(20)));
    quality.decide(at(3_010_000), &mut random);
    assert_eq!(quality.figures().probes, 1);
}
