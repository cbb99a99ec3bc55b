//! Phrases for the enums of the journal, for readers who do not know this program.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::ReportOptions;
use crate::{
    duration::Readable,
    history::{Account, PastIncident, Ratio, Unmonitored},
    outage::{Cause, GapCause, Party, ProbeKind, Scope, sentence},
    probe::Family,
};

/// The cause as a phrase.
pub(super) fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Link => "Link: this device was not connected",
        Cause::Firewall => "Firewall: this device's own rules forbade it",
        Cause::Gateway => "Router: it did not answer",
        Cause::CaptivePortal => "Login page: it answered instead of the internet",
        Cause::Vpn => "VPN: the tunnel was down, the connection beneath it worked",
        Cause::Isp => "ISP: no server on the internet answered",
        Cause::Dns => "DNS: names could not be looked up",
        Cause::Clock => "Clock: this device's clock was wrong",
        Cause::Endpoint => "Endpoint: the address of the heartbeats did not answer",
        Cause::Credentials => "Credentials: the heartbeats were refused",
        Cause::Degraded => "Degraded connection: loss or slowness",
        Cause::Unstable => "Unstable: the connection failed repeatedly",
        Cause::Up => "Working",
    }
}

/// The cause in a word or two: the beginning of its phrase.
pub(super) fn short_cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Degraded => "Degraded",
        cause => self::cause(cause).split(':').next().unwrap_or_default(),
    }
}

/// The responsible party.
pub(super) fn party(party: Party) -> &'static str {
    match party {
        Party::Provider => "Internet provider",
        Party::Yours => "Own equipment",
        Party::Other => "Others",
    }
}

/// Why nothing was monitored.
pub(super) fn gap(cause: Option<GapCause>) -> &'static str {
    cause.map_or("the agent does not run", GapCause::in_words)
}

/// The kind of probe.
pub(super) fn probe(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Tcp => "TCP connect to a server",
        ProbeKind::Gateway => "TCP connect to the router",
        ProbeKind::SystemDns => "lookup by the system",
        ProbeKind::DirectDns => "lookup at a name server",
        ProbeKind::Portal => "plain HTTP request",
        ProbeKind::Link => "interface and route",
        ProbeKind::Underlay => "TCP connect beneath the tunnel",
        ProbeKind::Heartbeat => "heartbeat",
    }
}

/// The scope of a segment.
pub(super) fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Internet => "Internet",
        Scope::Ipv4 => "IPv4 only",
        Scope::Ipv6 => "IPv6 only",
        Scope::Heartbeat => "Heartbeats",
        Scope::Quality => "Quality",
    }
}

/// Notes on an incident that its cause and duration do not show.
pub(super) fn notes(options: &ReportOptions<'_>, incident: &PastIncident) -> Vec<String> {
    let downtime = options.history.downtime(incident);
    let alone = options.history.family_downtime(incident);
    let recorded = &incident.recorded;
    let mut notes = Vec::new();
    if incident.is_open() {
        notes.push("still open".to_owned());
    }
    match recorded.scope {
        Scope::Ipv4 | Scope::Ipv6 => notes.push(scope(recorded.scope).to_owned()),
        Scope::Heartbeat | Scope::Quality => notes.push("no downtime".to_owned()),
        Scope::Internet => {}
    }
    if recorded.cause == Cause::Unstable {
        notes.push(format!("failed {}", count(recorded.failures, "time", "times")));
    }
    let down = match recorded.scope {
        Scope::Ipv4 => alone.ipv4,
        Scope::Ipv6 => alone.ipv6,
        _ => downtime,
    };
    let lasted = incident.time.duration();
    if incident.is_outage() && lasted.saturating_sub(down) >= Duration::from_secs(1) {
        notes.push(format!("{} of it down", Readable(down)));
    }
    for (family, time) in &alone {
        if recorded.scope != family.into() && *time >= Duration::from_secs(1) {
            notes.push(format!("{family} only: {}", Readable(*time)));
        }
    }
    if !incident.clock_certain {
        notes.push("time of day not certain".to_owned());
    }
    notes
}

/// The same for a gap.
pub(super) fn gap_notes(gap: &Unmonitored) -> Vec<String> {
    let mut notes = Vec::new();
    if gap.is_open {
        notes.push("still open".to_owned());
    }
    notes.extend(gap.reason.as_deref().map(sentence::blind_reason));
    if gap.uncertain_s > 0 {
        let uncertain = Duration::from_secs(gap.uncertain_s.into());
        notes.push(format!("start known to ±{}", Readable(uncertain)));
    }
    notes
}

/// The time in which only one family was down, such as `IPv6 only: 12 min`; empty where none was.
pub(super) fn families(account: &Account) -> String {
    let down = Family::BOTH.map(|family| (family, account.family(family).downtime));
    let down = down.iter().filter(|(_, downtime)| !downtime.is_zero());
    let down = down.map(|(family, downtime)| format!("{family} only: {}", Readable(*downtime)));
    down.collect::<Vec<_>>().join(", ")
}

/// `2026-11-24 02:10:07+01:00`: the offset distinguishes the two instances of the hour that occurs
/// twice when daylight-saving time ends.
pub(super) fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string()
}

/// The same with milliseconds, for other programs: `2026-11-24T02:10:07.250+01:00`.
pub(super) fn exact_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S.%3f%:z").to_string()
}

/// A share, or a dash for `None`.
pub(super) fn share(ratio: Option<Ratio>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| ratio.to_string())
}

/// A duration, or a dash for `None` and zero.
pub(super) fn duration(duration: Option<Duration>) -> String {
    match duration {
        None | Some(Duration::ZERO) => "–".to_owned(),
        Some(duration) => Readable(duration).to_string(),
    }
}

/// `1 outage`, `2 outages`.
pub(super) fn count(count: u32, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}
