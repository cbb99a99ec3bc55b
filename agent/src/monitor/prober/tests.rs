use std::time::Duration;

use super::*;
use crate::{clock::BootId, probe::Anchor};

fn at(boot_ms: u64) -> Stamp {
    Stamp { boot: BootId::UNKNOWN, boot_ms, wall: jiff::Timestamp::UNIX_EPOCH }
}

fn paths(anchors: &[(&str, bool)]) -> Vec<AnchorPath> {
    let path = |(anchor, on_link): &(&str, bool)| AnchorPath {
        anchor: anchor.parse::<Anchor>().expect("an anchor"),
        on_link: *on_link,
        own_path: false,
    };
    anchors.iter().map(path).collect()
}

fn ended(end: AnchorEnd) -> AnchorAnswer {
    AnchorAnswer {
        anchor: "192.0.2.1:443".parse().expect("an address"),
        sent: at(1_000),
        took: Duration::from_millis(40),
        end,
        from: None,
        own_path: false,
    }
}

#[test]
fn the_anchors_that_fit_take_turns() {
    let anchors = paths(&[("192.0.2.1", false), ("192.0.2.2", true), ("tcp://192.0.2.3", false)]);
    let turns = |fits: fn(&AnchorPath) -> bool| {
        let mut turn = 0;
        let mut next = || next(&anchors, &mut turn, fits).map(|next| next.anchor.to_string());
        [next(), next(), next()].map(Option::unwrap_or_default)
    };
    let [one, three] = ["192.0.2.1:443", "tcp://192.0.2.3:443"];
    assert_eq!(turns(|anchor| !anchor.on_link), [one, three, one]);
    assert_eq!(turns(|anchor| anchor.anchor.tls && !anchor.on_link), [one; 3]);
    assert_eq!(turns(|_| false), [""; 3]);
    assert_eq!(next(&[], &mut 0, |_| true), None);
}

#[test]
fn a_probe_is_answered_lost_or_not_sent() {
    let anchor = "192.0.2.1:443".parse().expect("an address");
    let connected = |end| ConnectAnswer {
        target: anchor,
        sent: at(1_000),
        took: Duration::from_millis(40),
        end,
        from: None,
    };
    let says = |connected: Option<ConnectAnswer>| {
        probe_evidence(Family::Ipv4, anchor, at(1_000), connected.as_ref())
    };
    let probe = |rtt| Evidence::Probe { family: Family::Ipv4, anchor, sent: at(1_000), rtt };
    let doubt = Evidence::Doubt { family: Some(Family::Ipv4), since: at(1_000) };
    let answered = says(Some(connected(ConnectEnd::Connected)));
    assert_eq!(answered, [probe(Some(Duration::from_millis(40)))]);
    for end in [ConnectEnd::Refused, ConnectEnd::Unreachable, ConnectEnd::Forbidden] {
        assert_eq!(says(Some(connected(end))), [probe(None), doubt.clone()], "{end}");
    }
    assert_eq!(says(None), [probe(None), doubt]);
    let reason = LocalFailure::NoPort;
    let not_asked = says(Some(connected(ConnectEnd::NotAsked(reason))));
    assert_eq!(not_asked, [Evidence::NotSent { reason, at: at(1_000) }]);
}

#[test]
fn a_separate_proof_is_proof_doubt_or_not_sent() {
    let family = Family::Ipv6;
    let says = |end| proof_evidence(family, &ended(end));
    let (started, finished) = (at(1_000), at(1_000).later(Duration::from_millis(40)));
    assert_eq!(says(AnchorEnd::Proved), Evidence::Proof { family, started, finished });
    for end in [AnchorEnd::Unproved, AnchorEnd::TimedOut, AnchorEnd::Refused] {
        assert_eq!(says(end), Evidence::Doubt { family: Some(family), since: started }, "{end}");
    }
    let reason = LocalFailure::NoDescriptors;
    let not_asked = says(AnchorEnd::NotAsked(reason));
    assert_eq!(not_asked, Evidence::NotSent { reason, at: started });
}

#[test]
fn a_round_was_not_sent_only_if_every_probe_failed_locally() {
    let local = AnchorEnd::NotAsked(LocalFailure::NoPort);
    let all = |ends: &[AnchorEnd]| all_local(&ends.iter().copied().map(ended).collect::<Vec<_>>());
    assert_eq!(all(&[local, local]), Some(LocalFailure::NoPort));
    assert_eq!(all(&[local, AnchorEnd::TimedOut]), None);
    assert_eq!(all(&[AnchorEnd::Proved]), None);
    assert_eq!(all(&[]), None);
}
