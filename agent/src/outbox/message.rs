//! Converts incidents and gaps of the journal into messages to the cloud.

use ispmon_wire::{IncidentKind, limits};
use jiff::{SignedDuration, Timestamp};

use crate::{
    clock::Stamp,
    outage::{Cause, Gap, Incident, Segment},
};

/// Returns the wall-clock time of a stamp, by the latest known offset of its boot.
pub(super) type WallTime<'a> = &'a dyn Fn(&Stamp) -> Timestamp;

/// A closed incident as it is sent to the cloud; `None` while it is open.
///
/// Times of two boots may contradict each other when the clock of one was wrong and never
/// corrected. The cloud refuses the whole message in that case, so the end is moved, but never the
/// start or the downtime, which was measured in boot time.
pub(super) fn incident(
    incident: &Incident,
    wall_time: WallTime<'_>,
) -> Option<ispmon_wire::ReportedIncident> {
    let started = wall_time(&incident.started);
    let downtime_s = incident.downtime_ms.div_ceil(1_000);
    let one_family_s = incident.one_family_ms.div_ceil(1_000);
    let least = i64::try_from(downtime_s.saturating_add(one_family_s));
    let least = least.map_or(SignedDuration::MAX, SignedDuration::from_secs);
    let ended = wall_time(incident.ended.as_ref()?);
    let ended = ended.max(started.saturating_add(least).unwrap_or(started));
    Some(ispmon_wire::ReportedIncident {
        id: incident.id.0,
        kind: IncidentKind::Incident,
        cause: incident.cause.as_str().to_owned(),
        party: incident.party.map(|party| party.as_str().to_owned()),
        scope: Some(incident.scope.as_str().to_owned()),
        started,
        ended,
        downtime_s,
        one_family_s,
        segments: condense_segments(&incident.segments)
            .into_iter()
            .map(|Segment { scope, cause, from, to }| {
                let from = wall_time(&from);
                let to = wall_time(&to).max(from);
                let (cause, scope) = (cause.as_str().to_owned(), Some(scope.as_str().to_owned()));
                ispmon_wire::ReportedSegment { cause, scope, from, to }
            })
            .collect(),
    })
}

/// A gap as it is sent to the cloud: its downtime is 0, because it is unknown.
pub(super) fn gap(gap: &Gap, wall_time: WallTime<'_>) -> ispmon_wire::ReportedIncident {
    let started = wall_time(&gap.started);
    ispmon_wire::ReportedIncident {
        id: gap.id.0,
        kind: IncidentKind::Gap,
        cause: gap.cause.as_str().to_owned(),
        party: None,
        scope: None,
        started,
        ended: wall_time(&gap.ended).max(started),
        downtime_s: 0,
        one_family_s: 0,
        segments: Vec::new(),
    }
}

/// Reduces segments to as many as a message may hold. Of all adjacent pairs, the shortest is joined
/// until there are few enough:
///
/// 1. A pair of one scope in which both are downtime, or both are not, takes the cause of the
///    longer. These are joined first.
/// 2. Any other pair becomes `unstable`, like merged segments in the journal: that cause is not
///    downtime by itself, so the downtime never grows.
/// 3. Without an adjacent pair, the shortest segment is dropped: the time between two segments was
///    not monitored.
fn condense_segments(segments: &[Segment]) -> Vec<Segment> {
    let mut segments = segments.to_vec();
    while segments.len() > limits::SEGMENTS {
        let pair = segments
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| pair[0].to == pair[1].from)
            .min_by_key(|(_, pair)| (!is_alike(pair), pair[0].length() + pair[1].length()));
        let Some((place, pair)) = pair else {
            let shortest = segments.iter().enumerate().min_by_key(|(_, one)| one.length());
            let Some((place, _)) = shortest else { break };
            segments.remove(place);
            continue;
        };
        let longer = if pair[1].length() > pair[0].length() { &pair[1] } else { &pair[0] };
        let (from, to) = (pair[0].from, pair[1].to);
        let (scope, cause) = if is_alike(pair) {
            (longer.scope, longer.cause)
        } else {
            // `Internet` is the smallest scope in the order.
            (pair[0].scope.min(pair[1].scope), Cause::Unstable)
        };
        segments.splice(place..=place + 1, [Segment { scope, cause, from, to }]);
    }
    segments
}

/// Whether two adjacent segments have the same scope, and both or neither are downtime.
fn is_alike(pair: &[Segment]) -> bool {
    pair[0].scope == pair[1].scope && pair[0].cause.is_downtime() == pair[1].cause.is_downtime()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::BootId,
        outage::{GapCause, IncidentId, Party, Scope},
    };

    const OTHER_BOOT: &str = "7d444840-9dc0-11d1-b245-5ffdce74fad2";

    fn at(seconds: u64) -> Stamp {
        let wall = "2026-03-29T02:10:07Z".parse().expect("a time");
        Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall }.later(Duration::from_secs(seconds))
    }

    fn sample(segments: Vec<Segment>) -> Incident {
        let (first, last) = (segments[0].from, segments[segments.len() - 1].to);
        Incident {
            id: IncidentId("01936f3e-0000-7000-8000-000000000001".parse().expect("an id")),
            scope: Scope::Internet,
            cause: Cause::Isp,
            party: Some(Party::Provider),
            started: first,
            last_ok: None,
            ended: Some(last),
            downtime_ms: 1_202_100,
            one_family_ms: 0,
            failures: 1,
            segments,
            evidence: Vec::new(),
        }
    }

    fn segment(cause: Cause, from: u64, to: u64) -> Segment {
        Segment { scope: Scope::Internet, cause, from: at(from), to: at(to) }
    }

    #[test]
    fn an_incident_is_sent_whole() {
        let reported = incident(&sample(vec![segment(Cause::Isp, 0, 1_203)]), &|stamp| stamp.wall);
        let json = serde_json::to_string(&reported.expect("the incident is closed"))
            .expect("incidents serialise");
        insta::assert_snapshot!(json, @r#"{"id":"01936f3e-0000-7000-8000-000000000001","kind":"incident","cause":"isp","party":"provider","scope":"internet","started":"2026-03-29T02:10:07Z","ended":"2026-03-29T02:30:10Z","downtime_s":1203,"segments":[{"cause":"isp","scope":"internet","from":"2026-03-29T02:10:07Z","to":"2026-03-29T02:30:10Z"}]}"#);
    }

    #[test]
    fn an_open_incident_is_not_sent() {
        let open = Incident { ended: None, ..sample(vec![segment(Cause::Isp, 0, 1_203)]) };
        assert_eq!(incident(&open, &|stamp| stamp.wall), None);
    }

    #[test]
    fn each_segment_has_its_scope_and_one_family_time_is_separate() {
        let alone = Segment { scope: Scope::Ipv6, ..segment(Cause::Isp, 1_203, 1_923) };
        let partly = Incident {
            one_family_ms: 719_200,
            ..sample(vec![segment(Cause::Isp, 0, 1_203), alone])
        };
        let reported = incident(&partly, &|stamp| stamp.wall).expect("the incident is closed");
        assert_eq!((reported.scope.as_deref(), reported.downtime_s), (Some("internet"), 1_203));
        assert_eq!(reported.one_family_s, 720);
        let scopes: Vec<_> = reported
            .segments
            .iter()
            .map(|part| part.scope.as_deref().unwrap_or_default())
            .collect();
        assert_eq!(scopes, ["internet", "ipv6"]);
    }

    #[test]
    fn an_outage_of_one_family_has_no_downtime() {
        let segment = Segment { scope: Scope::Ipv6, ..segment(Cause::Isp, 0, 1_203) };
        let six = Incident {
            scope: Scope::Ipv6,
            downtime_ms: 0,
            one_family_ms: 1_202_100,
            ..sample(vec![segment])
        };
        let reported = incident(&six, &|stamp| stamp.wall).expect("the incident is closed");
        assert_eq!(reported.scope.as_deref(), Some("ipv6"));
        assert_eq!((reported.downtime_s, reported.one_family_s), (0, 1_203));
    }

    #[test]
    fn a_wrong_clock_does_not_make_an_invalid_message() {
        let ended = Stamp { boot: OTHER_BOOT.parse().expect("an id"), ..at(9_000) };
        let across = Incident { ended: Some(ended), ..sample(vec![segment(Cause::Isp, 0, 1_203)]) };
        let early = |stamp: &Stamp| {
            if stamp.boot == BootId::UNKNOWN { stamp.wall } else { Timestamp::UNIX_EPOCH }
        };
        let reported = incident(&across, &early).expect("the incident is closed");
        assert_eq!(reported.ended.duration_since(reported.started).as_secs(), 1_203);
        let report = ispmon_wire::OutageReport { incidents: vec![reported], ..Default::default() };
        let json = serde_json::to_vec(&report).expect("incidents serialise");
        assert!(ispmon_wire::OutageReport::parse(&json).is_ok());
    }

    #[test]
    fn many_segments_are_condensed_without_a_hole_or_more_downtime() {
        let segments: Vec<Segment> = (0..181)
            .map(|index| {
                let cause = if index % 2 == 0 { Cause::Isp } else { Cause::Up };
                segment(cause, index * 40, (index + 1) * 40)
            })
            .collect();
        let few = condense_segments(&segments);
        assert_eq!(few.len(), limits::SEGMENTS);
        assert_eq!((few[0].from, few[19].to), (segments[0].from, segments[180].to));
        assert!(few.windows(2).all(|pair| pair[0].to == pair[1].from));
        for part in few.iter().filter(|part| part.is_downtime()) {
            assert_eq!(part.length(), Duration::from_secs(40));
        }
    }

    #[test]
    fn causes_are_joined_before_scopes() {
        let mut segments: Vec<Segment> = (0..40)
            .map(|index| {
                let cause = if index % 2 == 0 { Cause::Isp } else { Cause::Gateway };
                segment(cause, index * 40, (index + 1) * 40)
            })
            .collect();
        segments[39].scope = Scope::Ipv4;
        let few = condense_segments(&segments);
        assert_eq!(few.len(), limits::SEGMENTS);
        assert_eq!((few[19].scope, few[19].from), (Scope::Ipv4, at(39 * 40)));
        let down: Duration = few.iter().filter(|one| one.is_downtime()).map(Segment::length).sum();
        assert_eq!(down, Duration::from_mins(26));
    }

    #[test]
    fn no_segment_spans_an_unmonitored_period() {
        let segments: Vec<Segment> = (0..30)
            .map(|index| segment(Cause::Isp, index * 100, index * 100 + index + 1))
            .collect();
        // The shortest ones are dropped.
        assert_eq!(condense_segments(&segments), segments[10..]);
    }

    #[test]
    fn a_segment_of_another_boot_keeps_its_recorded_length() {
        let boot: BootId = OTHER_BOOT.parse().expect("an id");
        let after = |seconds| Stamp { boot, ..at(seconds) };
        let mut segments: Vec<Segment> =
            (0..20).map(|index| segment(Cause::Isp, index * 100, index * 100 + 50)).collect();
        segments.push(Segment { from: after(2_000), to: after(2_010), ..segments[0].clone() });
        let few = condense_segments(&segments);
        assert_eq!(few, segments[..20], "the one of 10 s is the shortest");
    }

    #[test]
    fn a_gap_has_no_downtime() {
        let pause = Gap {
            id: IncidentId("01936f3e-0000-7000-8000-000000000002".parse().expect("an id")),
            cause: GapCause::Paused,
            started: at(0),
            ended: at(7_200),
            uncertain_s: 0,
            reason: None,
        };
        let json =
            serde_json::to_string(&gap(&pause, &|stamp| stamp.wall)).expect("incidents serialise");
        insta::assert_snapshot!(json, @r#"{"id":"01936f3e-0000-7000-8000-000000000002","kind":"gap","cause":"paused","started":"2026-03-29T02:10:07Z","ended":"2026-03-29T04:10:07Z","downtime_s":0}"#);
    }
}
