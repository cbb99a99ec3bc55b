//! From the record to what the cloud is told.

use ispmon_wire::{IncidentKind, limits};
use jiff::{SignedDuration, Timestamp};

use crate::{
    clock::Stamp,
    outage::{Gap, Incident, Scope, Segment},
};

/// Gives the wall time of a stamp, by its boot's latest known offset.
pub type WallTime<'a> = &'a dyn Fn(&Stamp) -> Timestamp;

/// A closed incident as the cloud is told of it; nothing while it is open.
///
/// Times of two boots may contradict each other, when a clock was wrong in one of them and nobody
/// ever corrected it. The cloud refuses such a message whole, so the end is moved, never the start
/// and never the downtime, which the boot-time clock has measured.
pub fn incident(incident: &Incident, wall_time: WallTime<'_>) -> Option<ispmon_wire::Incident> {
    let started = wall_time(&incident.started);
    let downtime_s = incident.downtime_ms.div_ceil(1_000);
    let least = i64::try_from(downtime_s).map_or(SignedDuration::MAX, SignedDuration::from_secs);
    let ended = wall_time(incident.ended.as_ref()?);
    let ended = ended.max(started.saturating_add(least).unwrap_or(started));
    Some(ispmon_wire::Incident {
        id: incident.id.0,
        kind: IncidentKind::Incident,
        cause: incident.cause.as_str().to_owned(),
        party: incident.party.map(|party| party.as_str().to_owned()),
        scope: match incident.scope {
            Scope::Ipv4 | Scope::Ipv6 => Some(incident.scope.as_str().to_owned()),
            Scope::Internet | Scope::Heartbeat | Scope::Quality => None,
        },
        started,
        ended,
        downtime_s,
        segments: condensed(&incident.segments)
            .into_iter()
            .map(|Segment { cause, from, to, .. }| {
                let from = wall_time(&from);
                let to = wall_time(&to).max(from);
                ispmon_wire::Segment { cause: cause.as_str().to_owned(), from, to }
            })
            .collect(),
    })
}

/// A gap as the cloud is told of it: its downtime is 0, for nobody knows.
pub fn gap(gap: &Gap, wall_time: WallTime<'_>) -> ispmon_wire::Incident {
    let started = wall_time(&gap.started);
    ispmon_wire::Incident {
        id: gap.id.0,
        kind: IncidentKind::Gap,
        cause: gap.cause.as_str().to_owned(),
        party: None,
        scope: None,
        started,
        ended: wall_time(&gap.ended).max(started),
        downtime_s: 0,
        segments: Vec::new(),
    }
}

/// At most as many segments as a message may hold: of two neighbours that are together the
/// shortest, the shorter takes the name of the longer, until there are few enough. Segments of two
/// boots, or with a gap between them, stay apart as long as anything else can be joined.
fn condensed(segments: &[Segment]) -> Vec<Segment> {
    let mut segments = segments.to_vec();
    while segments.len() > limits::SEGMENTS {
        let pair = segments
            .windows(2)
            .map(|pair| (pair[1].from != pair[0].to, length(&pair[0]) + length(&pair[1])))
            .enumerate()
            .min_by_key(|(_, cost)| *cost);
        let Some((place, _)) = pair else { break };
        let second = segments.remove(place + 1);
        let first = &mut segments[place];
        if length(&second) > length(first) {
            (first.scope, first.cause) = (second.scope, second.cause);
        }
        first.to = second.to;
    }
    segments
}

fn length(segment: &Segment) -> u64 {
    segment.to.since(&segment.from).map_or(0, |length| length.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::BootId,
        outage::{Cause, GapCause, IncidentId, Party},
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
    fn an_incident_is_told_whole() {
        let told = incident(&sample(vec![segment(Cause::Isp, 0, 1_203)]), &|stamp| stamp.wall);
        let json = serde_json::to_string(&told.expect("it is closed")).expect("it is JSON");
        insta::assert_snapshot!(json, @r#"{"id":"01936f3e-0000-7000-8000-000000000001","kind":"incident","cause":"isp","party":"provider","started":"2026-03-29T02:10:07Z","ended":"2026-03-29T02:30:10Z","downtime_s":1203,"segments":[{"cause":"isp","from":"2026-03-29T02:10:07Z","to":"2026-03-29T02:30:10Z"}]}"#);
    }

    #[test]
    fn an_open_incident_is_not_told() {
        let open = Incident { ended: None, ..sample(vec![segment(Cause::Isp, 0, 1_203)]) };
        assert_eq!(incident(&open, &|stamp| stamp.wall), None);
    }

    #[test]
    fn only_one_family_is_named() {
        let segment = Segment { scope: Scope::Ipv6, ..segment(Cause::Isp, 0, 1_203) };
        let six = Incident { scope: Scope::Ipv6, ..sample(vec![segment]) };
        let told = incident(&six, &|stamp| stamp.wall).expect("it is closed");
        assert_eq!(told.scope.as_deref(), Some("ipv6"));
    }

    #[test]
    fn a_clock_that_was_wrong_makes_no_message_that_is_refused() {
        let ended = Stamp { boot: OTHER_BOOT.parse().expect("an id"), ..at(9_000) };
        let across = Incident { ended: Some(ended), ..sample(vec![segment(Cause::Isp, 0, 1_203)]) };
        let early = |stamp: &Stamp| {
            if stamp.boot == BootId::UNKNOWN { stamp.wall } else { Timestamp::UNIX_EPOCH }
        };
        let told = incident(&across, &early).expect("it is closed");
        assert_eq!(told.ended.duration_since(told.started).as_secs(), 1_203);
        let report = ispmon_wire::OutageReport { incidents: vec![told], ..Default::default() };
        let json = serde_json::to_vec(&report).expect("it is JSON");
        assert!(ispmon_wire::OutageReport::parse(&json).is_ok());
    }

    #[test]
    fn many_segments_become_few_without_a_hole() {
        let segments: Vec<Segment> = (0..181)
            .map(|index| {
                let cause = if index % 2 == 0 { Cause::Isp } else { Cause::Up };
                segment(cause, index * 40, (index + 1) * 40)
            })
            .collect();
        let few = condensed(&segments);
        assert_eq!(few.len(), limits::SEGMENTS);
        assert_eq!((few[0].from, few[19].to), (segments[0].from, segments[180].to));
        assert!(few.windows(2).all(|pair| pair[0].to == pair[1].from));
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
        let json = serde_json::to_string(&gap(&pause, &|stamp| stamp.wall)).expect("it is JSON");
        insta::assert_snapshot!(json, @r#"{"id":"01936f3e-0000-7000-8000-000000000002","kind":"gap","cause":"paused","started":"2026-03-29T02:10:07Z","ended":"2026-03-29T04:10:07Z","downtime_s":0}"#);
    }
}
