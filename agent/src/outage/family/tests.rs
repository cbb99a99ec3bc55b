//! What one family's answers add up to.

use jiff::Timestamp;

use super::*;
use crate::{
    clock::BootId,
    probe::{Connect, Connected},
};

const SETTLE: Duration = Duration::from_mins(1);

fn at(ms: u64) -> Stamp {
    Stamp { boot: BootId::UNKNOWN, boot_ms: 100_000 + ms, wall: Timestamp::UNIX_EPOCH }
}

fn round(started: u64, good: bool) -> Round {
    let (end, took) = if good { (Connect::Connected, 20) } else { (Connect::TimedOut, 2_500) };
    let answer = Connected {
        target: "192.0.2.1:443".parse().expect("an address"),
        sent: at(started),
        took: Duration::from_millis(took),
        end,
    };
    Round {
        family: Family::Ipv4,
        started: at(started),
        finished: at(started + took),
        answers: vec![answer],
    }
}

fn route() -> Link {
    Link::Routed(Route {
        interface: "eth0".to_owned(),
        index: 2,
        source: None,
        gateway: None,
        tunnel: false,
    })
}

/// A family that was good at 0.
fn up() -> FamilyTrack {
    let mut family = FamilyTrack::new(Family::Ipv4, at(0), SETTLE);
    family.heard_link(route(), at(0));
    family.heard_round(&round(0, true));
    assert_eq!(family.standing(at(1)), Standing::Up);
    family
}

#[test]
fn rounds_count_in_the_order_of_their_start() {
    let mut family = up();
    family.doubted(at(10_000));
    // The third is good before the first has failed.
    family.heard_round(&round(13_000, true));
    family.heard_round(&round(11_000, false));
    family.heard_round(&round(12_000, false));
    assert_eq!(family.standing(at(20_000)), Standing::Up);
}

#[test]
fn a_round_that_fails_late_still_makes_a_blip_once() {
    let mut family = up();
    family.doubted(at(10_000));
    assert!(!family.heard_round(&round(11_100, true)), "a lost packet, so far");
    assert!(family.heard_round(&round(11_000, false)), "a round failed: a blip");
    assert!(!family.heard_round(&round(11_050, false)), "it is one blip still");
}

#[test]
fn it_takes_two_failed_rounds_and_four_seconds() {
    let mut family = up();
    family.doubted(at(10_000));
    family.heard_round(&round(11_000, false));
    assert_eq!(family.standing(at(30_000)), Standing::Doubt, "one round");
    family.heard_round(&round(12_000, false));
    assert_eq!(family.standing(at(13_999)), Standing::Doubt, "too soon");
    assert_eq!(family.standing(at(14_000)), Standing::Down);
}

#[test]
fn a_delivered_heartbeat_vetoes_rounds_that_began_before_it_was_completed() {
    let mut family = up();
    family.doubted(at(10_000));
    family.heard_round(&round(11_000, false));
    family.beat_delivered(at(12_500));
    family.heard_round(&round(12_000, false));
    assert_eq!(family.standing(at(20_000)), Standing::Up);
    family.heard_round(&round(13_000, false));
    family.heard_round(&round(14_000, false));
    assert_eq!(family.standing(at(20_000)), Standing::Down);
    assert_eq!(family.failing_since(), Some(at(13_000)));
}

#[test]
fn a_doubt_does_not_begin_before_the_last_good_answer() {
    let mut family = up();
    family.answered(at(9_000), at(9_020));
    // A heartbeat of 30 s that has failed began long before.
    family.doubted(at(5_000));
    assert_eq!(family.standing(at(10_000)), Standing::Up);
}

#[test]
fn a_stale_answer_of_the_router_does_not_decide() {
    let mut family = up();
    let asked = |ms| Observation {
        probe: ProbeKind::Gateway,
        target: "192.168.1.1".to_owned(),
        family: None,
        answer: "silent".to_owned(),
        ms: None,
        at: at(ms),
    };
    family.heard_gateway(Gateway::Silent, asked(9_000));
    assert_eq!(family.gateway(at(10_000), at(11_000)), None);
    family.heard_gateway(Gateway::Silent, asked(10_500));
    assert_eq!(family.gateway(at(10_000), at(11_000)), Some(Gateway::Silent));
}

#[test]
fn what_was_asked_before_a_link_up_says_nothing() {
    let mut family = up();
    family.link_up(true, at(10_000), SETTLE);
    family.heard_round(&round(9_990, true));
    assert!(family.is_settling());
    family.heard_round(&round(10_000, true));
    assert!(!family.is_settling());
}
