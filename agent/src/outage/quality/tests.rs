//! Cases that people meet, each with the rule that decides it.

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

/// Probes three anchors of each of some families in turn, on virtual time.
struct Line {
    quality: QualityMonitor,
    now: u64,
    interval: u64,
    families: Vec<Family>,
    turn: u64,
    answers: BTreeSet<(u64, u64, Family, u64, Option<u64>)>,
    random: Rng,
    transitions: Vec<Transition>,
}

impl Line {
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

    /// Goes on for `ms`; `rtt` tells what becomes of a probe of an anchor (0 to 2) at a time.
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
                self.quality.heard(Self::anchor(family, number), at(sent), rtt);
                self.transitions.extend(self.quality.decide(at(known), &mut self.random));
            }
        }
        self
    }

    fn good(&mut self, ms: u64) -> &mut Self {
        self.play(ms, |_, _, _| Some(RTT_MS))
    }

    /// Loses a part of the packets, at random.
    fn lossy(&mut self, ms: u64, loss: f64) -> &mut Self {
        let mut random = self.random.fork();
        self.play(ms, move |_, _, _| (random.f64() >= loss).then_some(RTT_MS))
    }

    /// An outage that began `before` ms ago and ends after `ms`.
    fn outage(&mut self, before: u64, ms: u64) -> &mut Self {
        self.transitions.extend(self.quality.line_failed(at(self.now - before)));
        self.answers.clear();
        self.now += ms;
        // The machine says so of each probe that it hears of a family that is down.
        self.quality.disregard(Family::Ipv4);
        self.quality.line_returned(at(self.now));
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
    let mut line = Line::new(5_000);
    line.good(10 * MINUTE).play(8 * MINUTE, |_, now, _| (now % 25_000 != 0).then_some(RTT_MS));
    let [opened] = line.opened()[..] else { panic!("{:?}", line.transitions) };
    assert_eq!(opened.started.boot_ms, 10 * MINUTE, "the first probe that was lost");
    assert_eq!((opened.cause, opened.scope), (Cause::Degraded, Scope::Quality));
    line.good(5 * MINUTE);
    let [closed] = line.closed()[..] else { panic!("{:?}", line.transitions) };
    assert_eq!(closed.downtime_ms, 0);
    assert!(closed.ended.is_some_and(|ended| ended.boot_ms > 18 * MINUTE));
}

#[test]
fn between_the_two_limits_nothing_changes() {
    let loses_one_of = |number: u64| {
        move |_, now: u64, _| (!(now / 5_000).is_multiple_of(number)).then_some(RTT_MS)
    };
    let mut line = Line::new(5_000);
    line.play(20 * MINUTE, loses_one_of(14));
    assert!(line.transitions.is_empty(), "7 % open nothing");
    line.play(10 * MINUTE, loses_one_of(8)).play(20 * MINUTE, loses_one_of(14));
    assert_eq!(line.opened().len(), 1);
    assert!(line.closed().is_empty(), "7 % close nothing");
    line.play(6 * MINUTE, loses_one_of(25));
    assert_eq!(line.closed().len(), 1);
}

#[test]
fn an_anchor_that_is_dead_for_two_minutes_is_no_degraded_connection_also_when_it_is_back() {
    let dead = |number, _, _| (number != 1).then_some(RTT_MS);
    let mut line = Line::new(5_000);
    line.good(10 * MINUTE).play(2 * MINUTE, dead).good(15 * MINUTE);
    assert!(line.transitions.is_empty(), "{:?}", line.transitions);
    line.play(2 * MINUTE, dead).good(MINUTE).play(2 * MINUTE, dead).good(10 * MINUTE);
    assert!(line.transitions.is_empty(), "nor one that dies twice within five minutes");
}

#[test]
fn what_one_anchor_loses_now_and_then_is_not_the_connections_loss_however_few_are_asked() {
    // At one probe each 10 s an anchor that fails for 20 s again and again loses a tenth of them all.
    let fails = |number, now: u64, _| (number != 1 || now % 90_000 >= 40_000).then_some(RTT_MS);
    let mut line = Line::new(10_000);
    line.families = Family::BOTH.to_vec();
    line.good(10 * MINUTE).play(30 * MINUTE, fails);
    assert!(line.transitions.is_empty(), "{:?}", line.transitions);
    // The same share, of all anchors.
    line.play(10 * MINUTE, |_, now, _| (now % 70_000 != 0).then_some(RTT_MS));
    assert_eq!(line.opened().len(), 1);
}

#[test]
fn nor_are_two_of_three_dead_anchors_and_the_third_is_enough_to_find_loss() {
    let mut line = Line::new(5_000);
    let one_alive = |number, _, _| (number == 2).then_some(RTT_MS);
    line.good(10 * MINUTE).play(20 * MINUTE, one_alive).good(10 * MINUTE);
    assert!(line.transitions.is_empty(), "{:?}", line.transitions);
    line.play(10 * MINUTE, one_alive);
    line.play(10 * MINUTE, |number, now, _| {
        (number == 2 && (now / 15_000) % 3 != 0).then_some(RTT_MS)
    });
    assert_eq!(line.opened().len(), 1, "a third of what the third anchor is asked is lost");
}

#[test]
fn two_anchors_that_die_at_once_do_not_open_on_a_connection_that_loses_a_little() {
    let mut line = Line::new(5_000);
    let mut random = Rng::with_seed(7);
    line.play(30 * MINUTE, |number, now, _| {
        let is_dead = number < 2 && now >= 10 * MINUTE + 5_000;
        (!is_dead && random.f64() >= 0.03).then_some(RTT_MS)
    });
    assert!(line.transitions.is_empty(), "{:?}", line.transitions);
}

#[test]
fn what_a_dead_anchor_loses_does_not_hide_the_loss_of_the_others() {
    let mut line = Line::new(5_000);
    line.good(10 * MINUTE).play(10 * MINUTE, |number, now, _| {
        (number != 1 && (now / 5_000) % 5 != 0).then_some(RTT_MS)
    });
    assert_eq!(line.opened().len(), 1);
}

#[test]
fn the_other_family_does_not_make_an_anchor_dead() {
    let mut line = Line::new(5_000);
    line.families = Family::BOTH.to_vec();
    // All of IPv6 fails for 25 s in each minute, which is more than three probes of one anchor in 3 min.
    line.good(10 * MINUTE).play(10 * MINUTE, |_, now, family| {
        (family == Family::Ipv4 || now % MINUTE >= 25_000).then_some(RTT_MS)
    });
    assert_eq!(line.opened().len(), 1);
}

#[test]
fn a_connection_that_is_dead_for_seconds_again_and_again_is_degraded() {
    // At 100 ms each anchor loses dozens in a row, but no other one answers meanwhile.
    let mut line = Line::new(100);
    line.good(6 * MINUTE).play(2 * MINUTE, |_, now, _| (now % 10_000 >= 3_700).then_some(RTT_MS));
    assert_eq!(line.opened().len(), 1, "thirty losses of the carrier of 3.7 s");
    let mut line = Line::new(5_000);
    line.good(6 * MINUTE).play(6 * MINUTE, |_, now, _| (now % 20_000 != 0).then_some(RTT_MS));
    assert_eq!(line.opened().len(), 1, "a quarter of all probes finds no carrier");
}

#[test]
fn the_window_holds_five_minutes_at_any_interval() {
    for (interval, families) in [(100, 2), (100, 1), (1_000, 2), (5_000, 2), (300_000, 2)] {
        let mut line = Line::new(interval);
        line.families.extend((families == 2).then_some(Family::Ipv6));
        line.good(20 * MINUTE);
        let expected = (300_000 / interval) as usize * families;
        let probes = line.quality.figures().probes;
        assert!(probes.abs_diff(expected) <= families, "{probes} of {expected} at {interval} ms");
    }
    // A minute of 60 % loss, and four good ones: 12 % of the five.
    let mut line = Line::new(100);
    line.families = Family::BOTH.to_vec();
    line.good(6 * MINUTE).play(MINUTE, |_, now, _| (now % 1_000 >= 600).then_some(RTT_MS));
    line.good(3 * MINUTE + 50_000);
    assert_eq!((line.opened().len(), line.closed().len()), (1, 0));
    let loss = line.quality.figures().loss();
    assert!((loss - 0.12).abs() < 0.01, "{loss}");
}

#[test]
fn an_outage_takes_its_own_time_out_of_the_window_and_no_more() {
    let mut line = Line::new(5_000);
    line.good(6 * MINUTE);
    for _ in 0..8 {
        line.lossy(2 * MINUTE, 0.3).outage(8_000, 20_000);
    }
    let opened = line.opened();
    assert!(opened.len() > 1, "{:?}", line.transitions);
    assert_eq!(opened.len(), line.closed().len(), "each outage ends it where that began");
    for (closed, next) in line.closed().iter().zip(&opened[1..]) {
        let ended = closed.ended.expect("it has ended").boot_ms;
        assert!(next.started.boot_ms >= ended + 20_000, "it does not reach into the outage");
        assert!(next.started.boot_ms < ended + 80_000, "five minutes need not pass anew");
    }
}

#[test]
fn a_connection_that_an_outage_has_mended_is_not_degraded() {
    let mut line = Line::new(5_000);
    line.good(6 * MINUTE).lossy(6 * MINUTE, 0.3).outage(8_000, MINUTE).good(20 * MINUTE);
    assert_eq!((line.opened().len(), line.closed().len()), (1, 1), "{:?}", line.transitions);
    // Of what was lost before a long outage nothing is left.
    let mut line = Line::new(5_000);
    line.good(6 * MINUTE).lossy(6 * MINUTE, 0.3).outage(8_000, 30 * MINUTE);
    line.play(4 * MINUTE, |_, now, _| (now % MINUTE != 0).then_some(RTT_MS));
    assert_eq!(line.opened().len(), 1);
}

#[test]
fn an_outage_that_began_long_ago_takes_out_what_was_lost_in_it() {
    let mut line = Line::new(1_000);
    line.good(10 * MINUTE).play(25_000, |_, _, _| None).outage(25_000, MINUTE).good(10 * MINUTE);
    assert!(line.transitions.is_empty(), "{:?}", line.transitions);
}

#[test]
fn an_outage_that_opens_and_closes_at_once_stops_nothing() {
    let mut line = Line::new(5_000);
    line.good(6 * MINUTE);
    line.quality.line_failed(at(line.now - 6_000));
    line.lossy(8 * MINUTE, 0.3);
    assert_eq!(line.opened().len(), 1);
}

#[test]
fn what_an_earlier_run_left_open_leaves_an_empty_window() {
    let mut line = Line::new(5_000);
    line.now += 10 * MINUTE;
    line.quality.line_returned(at(line.now));
    line.lossy(4 * MINUTE, 0.5);
    assert!(line.transitions.is_empty(), "five minutes of it are not known");
    line.lossy(2 * MINUTE, 0.5);
    assert_eq!(line.opened().len(), 1);
}

#[test]
fn a_gap_ends_it_where_that_began_and_a_short_one_keeps_the_window() {
    for (gap_ms, known_after) in [(MINUTE, 0), (30 * MINUTE, 5 * MINUTE)] {
        let mut line = Line::new(5_000);
        line.good(6 * MINUTE).lossy(6 * MINUTE, 0.3);
        let (started, ended) = (at(line.now), at(line.now + gap_ms));
        let id = IncidentId::new(ended, &mut line.random);
        let gap =
            Gap { id, cause: GapCause::Suspended, started, ended, uncertain_s: 0, reason: None };
        line.answers.clear();
        line.transitions.extend(line.quality.unmonitored(ended, &gap));
        assert_eq!(line.closed().len(), 1);
        assert!(line.closed()[0].ended.is_some_and(|at| started.is_at_or_after(at)));
        line.now = ended.boot_ms;
        line.lossy(6 * MINUTE, 0.3);
        let [_, again] = line.opened()[..] else { panic!("{:?}", line.transitions) };
        assert!(again.started.is_at_or_after(ended));
        let opened = again.evidence[0].at.since(&ended).expect("one boot");
        let earliest = Duration::from_millis(known_after);
        assert!(earliest <= opened && opened < earliest + Duration::from_mins(1), "{opened:?}");
    }
}

#[test]
fn a_family_that_is_not_judged_does_not_count() {
    let mut line = Line::new(5_000);
    line.families = Family::BOTH.to_vec();
    for _ in 0..240 {
        line.play(5_000, |_, _, family| (family == Family::Ipv4).then_some(RTT_MS));
        line.quality.disregard(Family::Ipv6);
    }
    assert!(line.transitions.is_empty(), "{:?}", line.transitions);
    assert_eq!(line.quality.figures().lost, 0);
}

#[test]
fn a_family_that_is_not_judged_for_a_moment_takes_nothing_else_with_it() {
    let mut line = Line::new(5_000);
    line.good(6 * MINUTE).lossy(6 * MINUTE, 0.2);
    let before = line.quality.figures();
    line.quality.disregard(Family::Ipv6);
    line.quality.disregard(Family::Ipv4);
    line.good(15_000);
    let after = line.quality.figures();
    assert!(after.lost + 4 >= before.lost && after.probes + 4 >= before.probes, "{after:?}");
}

#[test]
fn slow_is_three_times_what_is_usual_and_more_than_100_ms() {
    let opens = |usual_ms: f64, rtt_ms: u64| {
        let mut line = Line::new(5_000);
        (0..24).for_each(|_| line.quality.learn(&hour(usual_ms, 720)));
        line.good(6 * MINUTE).play(10 * MINUTE, |_, _, _| Some(rtt_ms));
        let opened: Vec<_> = line.opened().iter().map(|it| it.evidence[0].answer.clone()).collect();
        assert!(opened.len() <= 1);
        opened.first().cloned()
    };
    assert_eq!(opens(20.0, 110), Some("slow".to_owned()));
    assert_eq!(opens(20.0, 95), None, "nobody complains of it");
    assert_eq!(opens(100.0, 290), None);
    assert_eq!(opens(100.0, 310), Some("slow".to_owned()));
}

#[test]
fn slowness_begins_with_the_first_slow_answer() {
    let mut line = Line::new(5_000);
    (0..24).for_each(|_| line.quality.learn(&hour(20.0, 720)));
    line.good(10 * MINUTE).play(6 * MINUTE, |_, _, _| Some(400)).good(10 * MINUTE);
    let [opened] = line.opened()[..] else { panic!("{:?}", line.transitions) };
    assert_eq!(opened.started.boot_ms, 10 * MINUTE);
    assert_eq!(line.closed().len(), 1);
}

#[test]
fn the_figure_that_is_told_is_that_of_the_probes_that_decided() {
    let mut line = Line::new(5_000);
    // One anchor is dead; the other two lose every fifth probe.
    line.good(10 * MINUTE).play(10 * MINUTE, |number, now, _| {
        (number != 1 && (now / 5_000) % 5 != 0).then_some(RTT_MS)
    });
    let [opened] = line.opened()[..] else { panic!("{:?}", line.transitions) };
    let target = &opened.evidence[0].target;
    let words: Vec<_> = target.split(' ').collect();
    let (probes, loss): (u32, u32) = (words[0].parse().unwrap(), words[2].parse().unwrap());
    assert!(probes < 60, "the dead anchor's probes are not among them: {target}");
    assert!((10..=13).contains(&loss), "{target}");
}

#[test]
fn many_anchors_one_after_the_other_need_bounded_memory() {
    let mut quality = QualityMonitor::new(MachineSettings::default(), None, at(0));
    let mut random = Rng::with_seed(1);
    for number in 0..20_000_u32 {
        let anchor = (number.to_be_bytes(), 443).into();
        let now = u64::from(number) * 100;
        quality.heard(anchor, at(now), Some(Duration::from_millis(20)));
        quality.decide(at(now + 20), &mut random);
    }
    assert!(quality.figures().probes <= 128);
    // When these have left the window there is room again.
    quality.decide(at(3_000_000), &mut random);
    quality.heard(([192, 0, 2, 1], 443).into(), at(3_000_000), Some(Duration::from_millis(20)));
    quality.decide(at(3_010_000), &mut random);
    assert_eq!(quality.figures().probes, 1);
}
