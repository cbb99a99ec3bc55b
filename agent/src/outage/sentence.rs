//! Incidents and gaps as sentences that a person understands.

use std::time::Duration;

use jiff::{ZonedDateTime, tz::TimeZone};

use super::{Cause, Gap, Incident, ProbeKind, Scope, Transition};
use crate::{clock::Stamp, duration::Readable, probe::Gateway};

/// What has changed, as one sentence. Times are shown in `zone`, as the stamps' wall clock has them:
/// whoever knows better by how much that was wrong corrects the stamps before.
pub fn sentence(transition: &Transition, zone: &TimeZone) -> String {
    match transition {
        Transition::Opened(incident) => opened(incident, zone),
        Transition::Changed(incident) => changed(incident),
        Transition::Progressed(incident) => progressed(incident, zone),
        Transition::Closed(incident) => closed(incident, zone),
        Transition::Watched(gap) => watched(gap, zone),
    }
}

/// What has begun, such as "Internet outage since 02:10:07, cause: ISP (router answered, nothing
/// beyond it)."
pub fn opened(incident: &Incident, zone: &TimeZone) -> String {
    let since = clock_time(&local(incident.started, zone));
    if incident.cause == Cause::Unstable {
        return format!(
            "{} unstable since {since}: it fails again and again, now by {}.",
            subject(incident.scope),
            reason(incident, present_cause(incident)),
        );
    }
    let reason = reason(incident, incident.cause);
    match incident.scope {
        Scope::Heartbeat => format!("Heartbeats have failed since {since}, cause: {reason}."),
        Scope::Quality => format!("Bad internet line since {since}: {reason}."),
        scope => format!("{} outage since {since}, cause: {reason}.", subject(scope)),
    }
}

/// How it goes on, such as "Internet outage goes on, cause now: router (silent)."
pub fn changed(incident: &Incident) -> String {
    let reason = reason(incident, present_cause(incident));
    match incident.scope {
        Scope::Heartbeat => format!("Heartbeats still fail, cause now: {reason}."),
        Scope::Quality => format!("Internet line still bad: {reason}."),
        scope => format!("{} outage goes on, cause now: {reason}.", subject(scope)),
    }
}

/// How an unstable line does, or that it is not known whether something goes on.
pub fn progressed(incident: &Incident, zone: &TimeZone) -> String {
    if incident.cause != Cause::Unstable {
        return match incident.scope {
            Scope::Heartbeat => "Heartbeats failed when last watched.".to_owned(),
            Scope::Quality => "Internet line was bad when last watched.".to_owned(),
            scope => format!("{} was out when last watched.", subject(scope)),
        };
    }
    format!(
        "{} unstable since {}: failed {} so far, {} down.",
        subject(incident.scope),
        clock_time(&local(incident.started, zone)),
        times(incident.failures),
        Readable(incident.downtime()),
    )
}

/// What is over, such as "Internet outage over: 20 min 3 s, 02:10:07 to 02:30:10, cause: ISP (router
/// answered, nothing beyond it)."
pub fn closed(incident: &Incident, zone: &TimeZone) -> String {
    let ended = incident.ended.unwrap_or(incident.started);
    let span = span(incident.started, ended, zone);
    let lasted = length(incident.started, ended);
    let down = incident.downtime();
    if incident.cause == Cause::Unstable {
        return format!(
            "{} stable again: failed {}, {} down within {}, {span}.",
            subject(incident.scope),
            times(incident.failures),
            Readable(down),
            Readable(lasted),
        );
    }
    let reason = reason(incident, incident.cause);
    match incident.scope {
        Scope::Heartbeat => format!(
            "Heartbeats get through again: they failed for {}, {span}, cause: {reason}.",
            Readable(lasted)
        ),
        Scope::Quality => {
            format!(
                "Internet line good again: it was bad for {}, {span}: {reason}.",
                Readable(lasted)
            )
        }
        scope => {
            let subject = subject(scope);
            let unwatched = lasted.saturating_sub(down);
            if unwatched < Duration::from_secs(1) {
                format!("{subject} outage over: {}, {span}, cause: {reason}.", Readable(lasted))
            } else {
                format!(
                    "{subject} outage over: {} known within {}, {span}, cause: {reason}.",
                    Readable(down),
                    Readable(lasted)
                )
            }
        }
    }
}

/// What nobody saw, such as "Nobody watched for 8 h, 23:00:00 to 07:00:00: the machine slept."
pub fn watched(gap: &Gap, zone: &TimeZone) -> String {
    let why = gap.cause.in_words();
    let length = Readable(length(gap.started, gap.ended));
    let about = if gap.uncertain_s > 0 { "about " } else { "" };
    format!("Nobody watched for {about}{length}, {}: {why}.", span(gap.started, gap.ended, zone))
}

/// What failed, with what is known about it, such as "ISP (router answered, nothing beyond it)". Of an
/// unstable line it is what fails at present.
pub fn cause(incident: &Incident) -> String {
    let cause =
        if incident.cause == Cause::Unstable { present_cause(incident) } else { incident.cause };
    reason(incident, cause)
}

fn subject(scope: Scope) -> &'static str {
    match scope {
        Scope::Internet | Scope::Heartbeat | Scope::Quality => "Internet",
        Scope::Ipv4 => "IPv4",
        Scope::Ipv6 => "IPv6",
    }
}

fn present_cause(incident: &Incident) -> Cause {
    incident.segments.last().map_or(incident.cause, |segment| segment.cause)
}

/// A cause with what is known about it.
fn reason(incident: &Incident, cause: Cause) -> String {
    let last = |probe: ProbeKind| incident.evidence.iter().rev().find(|seen| seen.probe == probe);
    match cause {
        Cause::Link => match last(ProbeKind::Link).map(|seen| seen.answer.as_str()) {
            Some("no_carrier") => "link (no carrier)".to_owned(),
            Some("no_address") => "link (no address)".to_owned(),
            Some("no_route") => "link (no route)".to_owned(),
            _ => "link (this device is not connected)".to_owned(),
        },
        Cause::Firewall => "firewall (this device forbids what it sends)".to_owned(),
        Cause::Gateway => "router (silent)".to_owned(),
        Cause::CaptivePortal => "login page (it answers in the internet's place)".to_owned(),
        Cause::Vpn => "VPN (the tunnel is dead, the line beneath it works)".to_owned(),
        Cause::Isp => {
            // A router that is alive answers in several ways; the others have one word each.
            let dead = [Gateway::Silent, Gateway::Gone, Gateway::NotAsked].map(Gateway::as_str);
            let alive = incident.evidence.iter().any(|seen| {
                seen.probe == ProbeKind::Gateway && !dead.contains(&seen.answer.as_str())
            });
            if alive {
                "ISP (router answered, nothing beyond it)".to_owned()
            } else {
                "ISP (router could not be asked, nothing beyond it)".to_owned()
            }
        }
        Cause::Dns => match last(ProbeKind::SystemDns)
            .or_else(|| last(ProbeKind::DirectDns))
            .map(|seen| seen.answer.as_str())
        {
            Some("silent") => "DNS (name servers are silent)".to_owned(),
            Some("lied") => "DNS (name servers lie)".to_owned(),
            Some("nxdomain") => "DNS (name servers deny a name that exists)".to_owned(),
            Some(_) => "DNS (name servers fail)".to_owned(),
            None => "DNS (names cannot be looked up)".to_owned(),
        },
        Cause::Clock => "clock (this device's clock is wrong)".to_owned(),
        Cause::Endpoint => {
            "endpoint (the internet works, the address that heartbeats go to does not)".to_owned()
        }
        Cause::Credentials => "credentials (the other side refuses this device)".to_owned(),
        Cause::Degraded => last(ProbeKind::Tcp)
            .map_or_else(|| "loss or slowness".to_owned(), |seen| seen.target.clone()),
        Cause::Unstable => "an unstable line".to_owned(),
        Cause::Up => "nothing".to_owned(),
    }
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// The time between, by the clock that never jumps where one has measured it.
fn length(from: Stamp, to: Stamp) -> Duration {
    to.since(&from).unwrap_or_else(|| {
        Duration::try_from(to.wall.duration_since(from.wall)).unwrap_or_default()
    })
}

fn local(stamp: Stamp, zone: &TimeZone) -> ZonedDateTime {
    stamp.wall.to_zoned_datetime(zone.clone())
}

fn clock_time(time: &ZonedDateTime) -> String {
    time.strftime("%H:%M:%S").to_string()
}

/// From when to when: the dates where it goes beyond a day, the offsets where these differ.
fn span(from: Stamp, to: Stamp, zone: &TimeZone) -> String {
    let (from, to) = (local(from, zone), local(to, zone));
    let format = match (from.date() == to.date(), from.offset() == to.offset()) {
        (true, true) => "%H:%M:%S",
        (true, false) => "%H:%M:%S %:z",
        (false, true) => "%Y-%m-%d %H:%M:%S",
        (false, false) => "%Y-%m-%d %H:%M:%S %:z",
    };
    format!("{} to {}", from.strftime(format), to.strftime(format))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::BootId,
        outage::{GapCause, IncidentId, Observation, Segment},
    };

    fn stamp(wall: &str) -> Stamp {
        let wall: jiff::Timestamp = wall.parse().expect("a time");
        Stamp { boot: BootId::UNKNOWN, boot_ms: wall.as_millisecond() as u64, wall }
    }

    fn incident(scope: Scope, cause: Cause, from: &str, to: &str) -> Incident {
        let (started, ended) = (stamp(from), stamp(to));
        let downtime_ms = if cause.is_downtime() { ended.boot_ms - started.boot_ms } else { 0 };
        Incident {
            id: IncidentId(uuid::Uuid::nil()),
            scope,
            cause,
            party: None,
            started,
            last_ok: None,
            ended: Some(ended),
            downtime_ms,
            one_family_ms: 0,
            failures: 1,
            segments: vec![Segment { scope, cause, from: started, to: ended }],
            evidence: vec![Observation {
                probe: ProbeKind::Gateway,
                target: "192.168.1.1".to_owned(),
                family: None,
                answer: "refused".to_owned(),
                ms: Some(1),
                at: started,
            }],
        }
    }

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").expect("the system's zones")
    }

    #[test]
    fn an_outage_is_told_when_it_begins_and_when_it_is_over() {
        let outage =
            incident(Scope::Internet, Cause::Isp, "2026-03-10T01:10:07Z", "2026-03-10T01:30:10Z");
        insta::assert_snapshot!(opened(&outage, &berlin()), @"Internet outage since 02:10:07, cause: ISP (router answered, nothing beyond it).");
        insta::assert_snapshot!(closed(&outage, &berlin()), @"Internet outage over: 20 min 3 s, 02:10:07 to 02:30:10, cause: ISP (router answered, nothing beyond it).");
        let silent = Incident { evidence: Vec::new(), ..outage };
        insta::assert_snapshot!(changed(&silent), @"Internet outage goes on, cause now: ISP (router could not be asked, nothing beyond it).");
    }

    #[test]
    fn a_change_of_the_hour_is_seen_in_the_offsets() {
        let outage =
            incident(Scope::Ipv6, Cause::Link, "2026-03-29T00:59:30Z", "2026-03-29T01:00:30Z");
        insta::assert_snapshot!(closed(&outage, &berlin()), @"IPv6 outage over: 1 min, 01:59:30 +01:00 to 03:00:30 +02:00, cause: link (this device is not connected).");
    }

    #[test]
    fn a_night_has_two_dates() {
        let gap = Gap {
            id: IncidentId(uuid::Uuid::nil()),
            cause: GapCause::Suspended,
            started: stamp("2026-03-10T22:00:00Z"),
            ended: stamp("2026-03-11T06:00:00Z"),
            uncertain_s: 0,
            reason: None,
        };
        insta::assert_snapshot!(watched(&gap, &berlin()), @"Nobody watched for 8 h, 2026-03-10 23:00:00 to 2026-03-11 07:00:00: the machine slept.");
    }

    #[test]
    fn an_unstable_line_is_counted() {
        let mut flapping = incident(
            Scope::Internet,
            Cause::Unstable,
            "2026-03-10T01:00:00Z",
            "2026-03-10T02:00:00Z",
        );
        flapping.failures = 45;
        flapping.downtime_ms = 1_800_000;
        insta::assert_snapshot!(progressed(&flapping, &berlin()), @"Internet unstable since 02:00:00: failed 45 times so far, 30 min down.");
        insta::assert_snapshot!(closed(&flapping, &berlin()), @"Internet stable again: failed 45 times, 30 min down within 1 h, 02:00:00 to 03:00:00.");
    }

    #[test]
    fn what_is_not_an_outage_is_not_called_one() {
        let endpoint = incident(
            Scope::Heartbeat,
            Cause::Endpoint,
            "2026-03-10T01:00:00Z",
            "2026-03-10T01:05:00Z",
        );
        insta::assert_snapshot!(closed(&endpoint, &berlin()), @"Heartbeats get through again: they failed for 5 min, 02:00:00 to 02:05:00, cause: endpoint (the internet works, the address that heartbeats go to does not).");
        let mut bad = incident(
            Scope::Quality,
            Cause::Degraded,
            "2026-03-10T01:00:00Z",
            "2026-03-10T01:05:00Z",
        );
        bad.evidence[0].probe = ProbeKind::Tcp;
        bad.evidence[0].target = "60 probes: 30 % lost, p95 21 ms".to_owned();
        insta::assert_snapshot!(opened(&bad, &berlin()), @"Bad internet line since 02:00:00: 60 probes: 30 % lost, p95 21 ms.");
    }
}
