//! Incidents and gaps as sentences for users.

use std::time::Duration;

use jiff::{ZonedDateTime, tz::TimeZone};

use super::{Cause, Gap, Incident, ProbeKind, Scope, Transition};
use crate::{
    clock::Stamp,
    duration::Readable,
    probe::{LocalFailure, RouterOutcome},
};

/// The transition as one sentence. Times are the stamps' wall clock in `zone`; a caller that knows the
/// clock was wrong corrects the stamps first ([`Transition::corrected`]).
pub fn sentence(transition: &Transition, zone: &TimeZone) -> String {
    match transition {
        Transition::Opened(incident) => opened(incident, zone),
        Transition::Changed(incident) => changed(incident),
        Transition::Progressed(incident) => progressed(incident, zone),
        Transition::Closed(incident) => closed(incident, zone),
        Transition::GapEnded(gap) => gap_ended(gap, zone),
    }
}

/// The start of an incident, such as "Internet outage since 02:10:07, cause: ISP (router answered,
/// nothing beyond it)."
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
        Scope::Quality => format!("Degraded connection since {since}: {reason}."),
        scope => format!("{} outage since {since}, cause: {reason}.", subject(scope)),
    }
}

/// A change of an incident, such as "Internet outage goes on, cause now: router (silent)." or "IPv4 is
/// back; IPv6 still fails, cause: ISP (router answered, nothing beyond it)."
pub fn changed(incident: &Incident) -> String {
    let reason = reason(incident, present_cause(incident));
    let scope = present_scope(incident);
    if let Some(rest) = scope_change(incident) {
        return format!("{rest}, cause: {reason}.");
    }
    match scope {
        Scope::Heartbeat => format!("Heartbeats still fail, cause now: {reason}."),
        Scope::Quality => format!("Connection still degraded: {reason}."),
        scope => format!("{} outage goes on, cause now: {reason}.", subject(scope)),
    }
}

/// The change of families, if the scope of the last segment differs from the one before it.
fn scope_change(incident: &Incident) -> Option<&'static str> {
    let [.., before, last] = &incident.segments[..] else { return None };
    if !before.cause.is_downtime() || !last.cause.is_downtime() || last.from != before.to {
        return None;
    }
    Some(match (before.scope, last.scope) {
        (Scope::Internet, Scope::Ipv6) => "IPv4 is back; IPv6 still fails",
        (Scope::Internet, Scope::Ipv4) => "IPv6 is back; IPv4 still fails",
        (Scope::Ipv6, Scope::Internet) => "IPv4 fails too: the internet is down",
        (Scope::Ipv4, Scope::Internet) => "IPv6 fails too: the internet is down",
        (Scope::Ipv4, Scope::Ipv6) => "IPv4 is back, but IPv6 fails now",
        (Scope::Ipv6, Scope::Ipv4) => "IPv6 is back, but IPv4 fails now",
        _ => return None,
    })
}

/// The progress of a flapping connection; for other incidents, that it is not known whether they
/// continue.
pub fn progressed(incident: &Incident, zone: &TimeZone) -> String {
    if incident.cause != Cause::Unstable {
        return match present_scope(incident) {
            Scope::Heartbeat => "Heartbeats failed when last monitored.".to_owned(),
            Scope::Quality => "The connection was degraded when last monitored.".to_owned(),
            scope => format!("{} was out when last monitored.", subject(scope)),
        };
    }
    format!(
        "{} unstable since {}: failed {} so far, {}.",
        subject(incident.scope),
        clock_time(&local(incident.started, zone)),
        times(incident.failures),
        down(incident),
    )
}

/// The end of an incident, such as "Internet outage over: 20 min 3 s, 02:10:07 to 02:30:10, cause: ISP
/// (router answered, nothing beyond it)."
pub fn closed(incident: &Incident, zone: &TimeZone) -> String {
    let ended = incident.ended.unwrap_or(incident.started);
    let span = span(incident.started, ended, zone);
    let lasted = ended.since_across_boots(&incident.started);
    if incident.cause == Cause::Unstable {
        return format!(
            "{} stable again: failed {}, {} within {}, {span}.",
            subject(incident.scope),
            times(incident.failures),
            down(incident),
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
                "Connection good again: it was degraded for {}, {span}: {reason}.",
                Readable(lasted)
            )
        }
        scope => {
            let subject = subject(scope);
            let alone = one_family_only(incident);
            let known = incident.downtime() + incident.one_family_downtime();
            let lasts = if alone.is_empty() { known } else { incident.downtime() };
            if lasted.saturating_sub(known) < Duration::from_secs(1) {
                let lasts = if alone.is_empty() { lasted } else { lasts };
                format!(
                    "{subject} outage over: {}{alone}, {span}, cause: {reason}.",
                    Readable(lasts)
                )
            } else {
                format!(
                    "{subject} outage over: {}{alone} known within {}, {span}, cause: {reason}.",
                    Readable(lasts),
                    Readable(lasted)
                )
            }
        }
    }
}

/// The downtime, such as "30 min down, IPv6 only for another 2 min".
fn down(incident: &Incident) -> String {
    let alone = one_family_only(incident);
    let down = if alone.is_empty() {
        incident.downtime() + incident.one_family_downtime()
    } else {
        incident.downtime()
    };
    format!("{} down{alone}", Readable(down))
}

/// How long only one family was down in an internet outage, such as ", IPv6 only for another 12 min".
/// Empty below a second, and for an incident of one family.
fn one_family_only(incident: &Incident) -> String {
    let time = incident.one_family_downtime();
    if incident.scope != Scope::Internet || time < Duration::from_secs(1) {
        return String::new();
    }
    let is_part = |scope| incident.segments.iter().any(|segment| segment.scope == scope);
    let family = match (is_part(Scope::Ipv4), is_part(Scope::Ipv6)) {
        (true, false) => "IPv4",
        (false, true) => "IPv6",
        _ => "one address family",
    };
    format!(", {family} only for another {}", Readable(time))
}

/// An unmonitored period, such as "Unmonitored for 8 h, 23:00:00 to 07:00:00: the machine slept."
pub fn gap_ended(gap: &Gap, zone: &TimeZone) -> String {
    let why = gap.reason.as_deref().map(blind_reason);
    let why = why.unwrap_or_else(|| gap.cause.in_words().to_owned());
    let length = Readable(gap.ended.since_across_boots(&gap.started));
    let about = if gap.uncertain_s > 0 { "about " } else { "" };
    format!("Unmonitored for {about}{length}, {}: {why}.", span(gap.started, gap.ended, zone))
}

/// Why this device could not send probes, by the name that the journal uses.
pub fn blind_reason(word: &str) -> String {
    use LocalFailure::{NoDescriptors, NoMemory, NoPort, Other};
    let mut all = [NoDescriptors, NoMemory, NoPort, Other].into_iter();
    let known = all.find(|failure| failure.as_str() == word);
    known.map_or_else(|| word.replace('_', " "), |failure| failure.reason().to_owned())
}

/// The cause with its details, such as "ISP (router answered, nothing beyond it)". For a flapping
/// connection it is the current cause, or the last one.
pub fn cause(incident: &Incident) -> String {
    if incident.cause != Cause::Unstable {
        return reason(incident, incident.cause);
    }
    let failed = incident.segments.iter().rev().find(|segment| segment.cause.is_downtime());
    match failed {
        Some(failed) if present_cause(incident) == Cause::Up => {
            format!("{}; it works at the moment", reason(incident, failed.cause))
        }
        _ => reason(incident, present_cause(incident)),
    }
}

fn subject(scope: Scope) -> &'static str {
    match scope {
        Scope::Internet | Scope::Heartbeat | Scope::Quality => "Internet",
        Scope::Ipv4 => "IPv4",
        Scope::Ipv6 => "IPv6",
    }
}

/// The current scope of an incident: the scope of its last segment.
pub fn present_scope(incident: &Incident) -> Scope {
    incident.segments.last().map_or(incident.scope, |segment| segment.scope)
}

fn present_cause(incident: &Incident) -> Cause {
    incident.segments.last().map_or(incident.cause, |segment| segment.cause)
}

/// A cause with its details.
fn reason(incident: &Incident, cause: Cause) -> String {
    let last = |probe: ProbeKind| incident.evidence.iter().rev().find(|seen| seen.probe == probe);
    let answer = |probe| last(probe).map(|seen| seen.answer.as_str());
    let details = match cause {
        Cause::Link => match answer(ProbeKind::Link) {
            Some("no_carrier") => "no carrier",
            Some("no_address") => "no address",
            Some("no_route") => "no route",
            _ => "this device is not connected",
        },
        Cause::Firewall => "this device's own rules forbid it",
        Cause::Gateway => "silent",
        Cause::CaptivePortal => "it intercepts web requests",
        Cause::Vpn => "the tunnel is dead, the connection beneath it works",
        Cause::Isp => {
            // A live router can give several answers; each of the others is a single word.
            let dead = [RouterOutcome::Silent, RouterOutcome::Gone, RouterOutcome::NotAsked]
                .map(RouterOutcome::as_str);
            let alive = incident.evidence.iter().any(|seen| {
                seen.probe == ProbeKind::Gateway && !dead.contains(&seen.answer.as_str())
            });
            if alive {
                "router answered, nothing beyond it"
            } else {
                "router could not be probed, nothing beyond it"
            }
        }
        Cause::Dns => match answer(ProbeKind::SystemDns).or_else(|| answer(ProbeKind::DirectDns)) {
            Some("silent") => "name servers are silent",
            Some("lied") => "name servers return false addresses",
            Some("nxdomain") => "name servers deny a name that exists",
            Some(_) => "name servers fail",
            None => "names cannot be looked up",
        },
        Cause::Clock => "this device's clock is wrong",
        Cause::Endpoint => "the internet works, the address that heartbeats go to does not",
        Cause::Credentials => "the other side refuses this device",
        Cause::Degraded => {
            return last(ProbeKind::Tcp)
                .map_or_else(|| "loss or slowness".to_owned(), |seen| seen.target.clone());
        }
        Cause::Unstable => return "an unstable connection".to_owned(),
        Cause::Up => return "nothing".to_owned(),
    };
    format!("{} ({details})", cause.label())
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn local(stamp: Stamp, zone: &TimeZone) -> ZonedDateTime {
    stamp.wall.to_zoned_datetime(zone.clone())
}

fn clock_time(time: &ZonedDateTime) -> String {
    time.strftime("%H:%M:%S").to_string()
}

/// Start and end: with dates if they differ, with UTC offsets if they differ.
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
        let lasted = if cause.is_downtime() { ended.boot_ms - started.boot_ms } else { 0 };
        let (downtime_ms, one_family_ms) =
            if scope == Scope::Internet { (lasted, 0) } else { (0, lasted) };
        Incident {
            id: IncidentId(uuid::Uuid::nil()),
            scope,
            cause,
            party: None,
            started,
            last_ok: None,
            ended: Some(ended),
            downtime_ms,
            one_family_ms,
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
    fn an_outage_has_sentences_for_its_start_change_and_end() {
        let outage =
            incident(Scope::Internet, Cause::Isp, "2026-03-10T01:10:07Z", "2026-03-10T01:30:10Z");
        insta::assert_snapshot!(opened(&outage, &berlin()), @"Internet outage since 02:10:07, cause: ISP (router answered, nothing beyond it).");
        insta::assert_snapshot!(closed(&outage, &berlin()), @"Internet outage over: 20 min 3 s, 02:10:07 to 02:30:10, cause: ISP (router answered, nothing beyond it).");
        let silent = Incident { evidence: Vec::new(), ..outage };
        insta::assert_snapshot!(changed(&silent), @"Internet outage goes on, cause now: ISP (router could not be probed, nothing beyond it).");
    }

    #[test]
    fn a_change_of_families_is_named() {
        use Scope::{Internet, Ipv4, Ipv6};

        let times = [
            "2026-03-10T01:10:07Z",
            "2026-03-10T01:30:10Z",
            "2026-03-10T01:42:10Z",
            "2026-03-10T01:42:11Z",
        ];
        let of = |scopes: &[Scope]| {
            let mut outage = incident(scopes[0], Cause::Isp, times[0], times[scopes.len()]);
            let segment = |(index, scope): (usize, &Scope)| Segment {
                scope: *scope,
                cause: Cause::Isp,
                from: stamp(times[index]),
                to: stamp(times[index + 1]),
            };
            outage.segments = scopes.iter().enumerate().map(segment).collect();
            let down = |is_down: fn(&Segment) -> bool| {
                let down = outage.segments.iter().filter(|one| is_down(one)).map(Segment::length);
                down.sum::<Duration>().as_millis() as u64
            };
            let (downtime, alone) = (down(Segment::is_downtime), down(Segment::is_one_family));
            (outage.downtime_ms, outage.one_family_ms) = (downtime, alone);
            outage.scope = if downtime > 0 { Scope::Internet } else { scopes[0] };
            outage
        };
        let sentences = [
            changed(&of(&[Internet, Ipv6])),
            changed(&of(&[Internet, Ipv4])),
            changed(&of(&[Ipv6, Internet])),
            changed(&of(&[Ipv4, Internet])),
            changed(&of(&[Ipv6, Ipv4])),
            progressed(&of(&[Internet, Ipv6]), &berlin()),
            closed(&of(&[Internet, Ipv6]), &berlin()),
            closed(&of(&[Ipv4, Internet, Ipv6]), &berlin()),
            closed(&of(&[Ipv6]), &berlin()),
        ];
        insta::assert_snapshot!(sentences.join("\n"), @"
        IPv4 is back; IPv6 still fails, cause: ISP (router answered, nothing beyond it).
        IPv6 is back; IPv4 still fails, cause: ISP (router answered, nothing beyond it).
        IPv4 fails too: the internet is down, cause: ISP (router answered, nothing beyond it).
        IPv6 fails too: the internet is down, cause: ISP (router answered, nothing beyond it).
        IPv6 is back, but IPv4 fails now, cause: ISP (router answered, nothing beyond it).
        IPv6 was out when last monitored.
        Internet outage over: 20 min 3 s, IPv6 only for another 12 min, 02:10:07 to 02:42:10, cause: ISP (router answered, nothing beyond it).
        Internet outage over: 12 min, one address family only for another 20 min 4 s, 02:10:07 to 02:42:11, cause: ISP (router answered, nothing beyond it).
        IPv6 outage over: 20 min 3 s, 02:10:07 to 02:30:10, cause: ISP (router answered, nothing beyond it).
        ");
        let mut across = of(&[Internet, Ipv6]);
        across.ended = Some(stamp("2026-03-10T02:42:10Z"));
        insta::assert_snapshot!(closed(&across, &berlin()), @"Internet outage over: 20 min 3 s, IPv6 only for another 12 min known within 1 h 32 min, 02:10:07 to 03:42:10, cause: ISP (router answered, nothing beyond it).");
    }

    #[test]
    fn a_firewall_is_named_as_this_devices_own() {
        let forbidden = incident(
            Scope::Internet,
            Cause::Firewall,
            "2026-03-10T01:10:07Z",
            "2026-03-10T01:30:10Z",
        );
        insta::assert_snapshot!(opened(&forbidden, &berlin()), @"Internet outage since 02:10:07, cause: firewall (this device's own rules forbid it).");
    }

    #[test]
    fn a_change_to_summer_time_shows_the_utc_offsets() {
        let outage =
            incident(Scope::Ipv6, Cause::Link, "2026-03-29T00:59:30Z", "2026-03-29T01:00:30Z");
        insta::assert_snapshot!(closed(&outage, &berlin()), @"IPv6 outage over: 1 min, 01:59:30 +01:00 to 03:00:30 +02:00, cause: link (this device is not connected).");
    }

    #[test]
    fn a_gap_over_midnight_shows_the_dates() {
        let gap = Gap {
            id: IncidentId(uuid::Uuid::nil()),
            cause: GapCause::Suspended,
            started: stamp("2026-03-10T22:00:00Z"),
            ended: stamp("2026-03-11T06:00:00Z"),
            uncertain_s: 0,
            reason: None,
        };
        insta::assert_snapshot!(gap_ended(&gap, &berlin()), @"Unmonitored for 8 h, 2026-03-10 23:00:00 to 2026-03-11 07:00:00: the machine slept.");
        let reason = Some("no_descriptors".to_owned());
        let blind = Gap { cause: GapCause::Blind, reason, ..gap };
        insta::assert_snapshot!(gap_ended(&blind, &berlin()), @"Unmonitored for 8 h, 2026-03-10 23:00:00 to 2026-03-11 07:00:00: this device has no free file descriptors.");
    }

    #[test]
    fn an_unstable_connection_shows_how_often_it_failed() {
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
        flapping.one_family_ms = 120_000;
        flapping.segments[0].cause = Cause::Isp;
        let good = Segment { cause: Cause::Up, ..flapping.segments[0].clone() };
        let alone = Segment { scope: Scope::Ipv6, ..flapping.segments[0].clone() };
        flapping.segments.extend([alone, good]);
        insta::assert_snapshot!(progressed(&flapping, &berlin()), @"Internet unstable since 02:00:00: failed 45 times so far, 30 min down, IPv6 only for another 2 min.");
        insta::assert_snapshot!(cause(&flapping), @"ISP (router answered, nothing beyond it); it works at the moment");
    }

    #[test]
    fn heartbeat_and_quality_incidents_are_not_called_outages() {
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
        insta::assert_snapshot!(opened(&bad, &berlin()), @"Degraded connection since 02:00:00: 60 probes: 30 % lost, p95 21 ms.");
    }
}
