//! The status sentence that `systemctl status` shows.
//!
//! It contains points in time and no ages: the text is read minutes after it was sent, when "12 s ago"
//! would be wrong.

use std::fmt::Write;

use jiff::tz::TimeZone;

use crate::{
    clock::Stamp,
    outage::{Cause, Scope},
    status::{ConnectivityStatus, HeartbeatStatus, IncidentStatus, Status, text::DisplayContext},
    unit::{REFUSED_RELOAD_END, REFUSED_RELOAD_START},
};

/// Since when the internet has been up, given `before` from the previous status. A failed probe changes
/// nothing until its doubt is decided.
pub(super) fn up_since(before: Option<Stamp>, status: &Status) -> Option<Stamp> {
    match connectivity(status) {
        ConnectivityStatus::Up => before.or(Some(status.written)),
        ConnectivityStatus::Doubt => before,
        _ => None,
    }
}

/// The sentence for a configuration that was reloaded at this moment and rejected.
pub(super) fn refusal(at: &Stamp, zone: &TimeZone) -> String {
    let at = at.wall.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
    format!("{REFUSED_RELOAD_START}{at}{REFUSED_RELOAD_END}")
}

/// The state as a sentence.
pub(super) fn sentence(
    status: &Status,
    up_since: Option<Stamp>,
    context: &DisplayContext<'_>,
) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, status, up_since, context);
    if let Some(problem) = &status.journal.problem {
        let _ = write!(text, " {problem}");
    }
    text
}

fn write_all(
    text: &mut String,
    status: &Status,
    up_since: Option<Stamp>,
    context: &DisplayContext<'_>,
) -> std::fmt::Result {
    if let Some(until) = status.paused_until {
        let until = time(&until, context);
        return write!(text, "Paused until {until}: nothing is monitored, no heartbeat is sent.");
    }
    let outage = status.incidents.iter().find(|incident| incident.failing == Some(Scope::Internet));
    match (connectivity(status), &status.blind, outage) {
        (_, Some(reason), _) => write!(text, "Nothing can be monitored, because {reason}")?,
        (_, _, Some(incident)) => {
            let since = time(&incident.started, context);
            write!(text, "Internet outage since {since}, cause: {}", incident.reason)?;
        }
        (ConnectivityStatus::Up | ConnectivityStatus::Doubt, ..) => match up_since {
            Some(since) => write!(text, "Internet up since {}", time(&since, context))?,
            None => text.write_str("Checking the internet connection")?,
        },
        (ConnectivityStatus::Down, ..) => text.write_str("Internet down")?,
        _ => text.write_str("Checking the internet connection")?,
    }
    for incident in &status.incidents {
        if let Some(what) = other_incident(incident) {
            write!(text, "; {what} since {}", time(&incident.started, context))?;
        }
    }
    write!(text, "; {}.", heartbeats(status.heartbeat.as_ref(), context))
}

/// The connectivity, unknown while this device cannot monitor it.
fn connectivity(status: &Status) -> ConnectivityStatus {
    if status.blind.is_some() {
        return ConnectivityStatus::Unknown;
    }
    status.condition.with_incidents(&status.incidents)
}

/// An open incident other than an outage of the whole internet. Failed heartbeats have a phrase of
/// their own.
fn other_incident(incident: &IncidentStatus) -> Option<&'static str> {
    match incident.failing.unwrap_or(incident.scope) {
        Scope::Ipv4 => Some("IPv4 outage"),
        Scope::Ipv6 => Some("IPv6 outage"),
        Scope::Quality => Some("degraded connection"),
        Scope::Internet if incident.cause == Cause::Unstable => Some("unstable"),
        Scope::Internet | Scope::Heartbeat => None,
    }
}

fn heartbeats(heartbeat: Option<&HeartbeatStatus>, context: &DisplayContext<'_>) -> String {
    let Some(HeartbeatStatus { last, last_delivered, .. }) = heartbeat else {
        return "no heartbeats, as no heartbeat.url is set".to_owned();
    };
    let delivered = last_delivered.as_ref().map(|at| time(at, context));
    match (last.as_ref().map(|last| last.delivered), delivered) {
        (None | Some(true), Some(at)) => format!("last heartbeat {at}"),
        (None | Some(true), None) => "no heartbeat yet".to_owned(),
        (Some(false), Some(at)) => format!("heartbeats fail, the last was delivered {at}"),
        (Some(false), None) => "heartbeats fail, none was delivered yet".to_owned(),
    }
}

/// The time of day, with the date unless it is today's.
fn time(stamp: &Stamp, context: &DisplayContext<'_>) -> String {
    let (at, now) = (context.local(stamp), context.local(&context.now));
    let format = if at.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    at.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::Offset;

    use super::*;
    use crate::{
        outage::{IncidentId, Party},
        status::{JournalStatus, LastHeartbeat, Presence, working_status},
    };

    /// The sentence for `status` at the moment it was written, when the internet has been up for `up`
    /// hours.
    fn sentence_of(status: &Status, up: Option<u64>) -> String {
        let zone = TimeZone::fixed(Offset::constant(2));
        let context =
            DisplayContext { now: status.written, zone: &zone, presence: Presence::Running };
        let since = up.map(|hours| status.written.earlier(Duration::from_hours(hours)));
        sentence(status, up_since(since, status), &context)
    }

    fn earlier(seconds: u64) -> Stamp {
        working_status().written.earlier(Duration::from_secs(seconds))
    }

    fn incident(scope: Scope, failing: Option<Scope>, cause: Cause) -> IncidentStatus {
        IncidentStatus {
            id: IncidentId(uuid::Uuid::from_u128(1)),
            scope,
            cause,
            party: Some(Party::Provider),
            reason: "ISP (router answered, nothing beyond it)".to_owned(),
            started: earlier(83),
            failing,
            failures: 1,
            durable: true,
        }
    }

    fn with_heartbeat(last: Option<bool>, last_delivered: Option<Stamp>) -> Status {
        let mut status = working_status();
        let heartbeat = status.heartbeat.as_mut().expect("the agent sends heartbeats");
        heartbeat.last = last.map(|delivered| LastHeartbeat {
            at: earlier(0),
            delivered,
            sentence: String::new(),
            advice: None,
        });
        heartbeat.last_delivered = last_delivered;
        status
    }

    #[test]
    fn the_usual_sentence_has_two_times() {
        insta::assert_snapshot!(sentence_of(&working_status(), Some(2)), @"Internet up since 10:01:00; last heartbeat 12:01:00.");
        insta::assert_snapshot!(sentence_of(&working_status(), None), @"Internet up since 12:01:00; last heartbeat 12:01:00.");
        let next_day = working_status().written.later(Duration::from_hours(26));
        let next_day = Status { written: next_day, ..working_status() };
        insta::assert_snapshot!(sentence_of(&next_day, Some(26)), @"Internet up since 2026-11-24 12:01:00; last heartbeat 2026-11-24 12:01:00.");
    }

    #[test]
    fn heartbeats_have_four_states() {
        let shown = |last, delivered| sentence_of(&with_heartbeat(last, delivered), Some(2));
        insta::assert_snapshot!(shown(None, None), @"Internet up since 10:01:00; no heartbeat yet.");
        insta::assert_snapshot!(shown(Some(false), None), @"Internet up since 10:01:00; heartbeats fail, none was delivered yet.");
        insta::assert_snapshot!(shown(Some(false), Some(earlier(190))), @"Internet up since 10:01:00; heartbeats fail, the last was delivered 11:57:50.");
        let local = Status { heartbeat: None, ..working_status() };
        insta::assert_snapshot!(super::tests::sentence_of(&local, Some(2)), @"Internet up since 10:01:00; no heartbeats, as no heartbeat.url is set.");
    }

    #[test]
    fn an_outage_comes_first_and_other_failures_follow() {
        let down = |incidents: Vec<IncidentStatus>| Status {
            condition: ConnectivityStatus::Down,
            incidents,
            ..with_heartbeat(Some(false), Some(earlier(95)))
        };
        let internet = incident(Scope::Internet, Some(Scope::Internet), Cause::Isp);
        insta::assert_snapshot!(sentence_of(&down(vec![internet]), Some(2)), @"Internet outage since 11:59:37, cause: ISP (router answered, nothing beyond it); heartbeats fail, the last was delivered 11:59:25.");
        insta::assert_snapshot!(sentence_of(&down(Vec::new()), Some(2)), @"Internet down; heartbeats fail, the last was delivered 11:59:25.");
        let beside = |incident| Status { incidents: vec![incident], ..working_status() };
        let ipv6 = incident(Scope::Ipv6, Some(Scope::Ipv6), Cause::Isp);
        insta::assert_snapshot!(sentence_of(&beside(ipv6), Some(2)), @"Internet up since 10:01:00; IPv6 outage since 11:59:37; last heartbeat 12:01:00.");
        let quality = incident(Scope::Quality, None, Cause::Degraded);
        insta::assert_snapshot!(sentence_of(&beside(quality), Some(2)), @"Internet up since 10:01:00; degraded connection since 11:59:37; last heartbeat 12:01:00.");
        let unstable = incident(Scope::Internet, None, Cause::Unstable);
        insta::assert_snapshot!(sentence_of(&beside(unstable), None), @"Internet up since 12:01:00; unstable since 11:59:37; last heartbeat 12:01:00.");
    }

    #[test]
    fn an_unknown_state_is_not_shown_as_known() {
        let unknown =
            Status { condition: ConnectivityStatus::Unknown, ..with_heartbeat(None, None) };
        insta::assert_snapshot!(sentence_of(&unknown, None), @"Checking the internet connection; no heartbeat yet.");
        let doubt = Status { condition: ConnectivityStatus::Doubt, ..working_status() };
        insta::assert_snapshot!(sentence_of(&doubt, None), @"Checking the internet connection; last heartbeat 12:01:00.");
        assert_eq!(
            sentence_of(&doubt, Some(2)),
            sentence_of(&working_status(), Some(2)),
            "for seconds only"
        );
        let blind = Some("this device has no free file descriptors".to_owned());
        insta::assert_snapshot!(sentence_of(&Status { blind, ..working_status() }, Some(2)), @"Nothing can be monitored, because this device has no free file descriptors; last heartbeat 12:01:00.");
        let until = Some(working_status().written.later(Duration::from_hours(2)));
        let paused = Status {
            paused_until: until,
            condition: ConnectivityStatus::Paused,
            ..working_status()
        };
        insta::assert_snapshot!(sentence_of(&paused, None), @"Paused until 14:01:00: nothing is monitored, no heartbeat is sent.");
    }

    #[test]
    fn problems_that_need_action_are_added() {
        insta::assert_snapshot!(refusal(&earlier(60), &TimeZone::UTC), @"The configuration of 2026-11-24 10:00:00 was refused, see the log; the old one is in use.");
        let problem =
            Some("The journal in /var/lib/ispmon cannot be written: disk full.".to_owned());
        let journal = JournalStatus { waiting: 3, problem, ..JournalStatus::default() };
        insta::assert_snapshot!(sentence_of(&Status { journal, ..working_status() }, Some(2)), @"Internet up since 10:01:00; last heartbeat 12:01:00. The journal in /var/lib/ispmon cannot be written: disk full.");
    }

    #[test]
    fn the_internet_is_up_since_the_first_status_that_was_up() {
        let at = |condition, seconds| Status {
            condition,
            written: working_status().written.later(Duration::from_secs(seconds)),
            ..working_status()
        };
        let mut since = None;
        for (condition, seconds, expected) in [
            (ConnectivityStatus::Unknown, 0, None),
            (ConnectivityStatus::Doubt, 1, None),
            (ConnectivityStatus::Up, 2, Some(2)),
            (ConnectivityStatus::Doubt, 3, Some(2)),
            (ConnectivityStatus::Up, 4, Some(2)),
            (ConnectivityStatus::Down, 5, None),
            (ConnectivityStatus::Up, 6, Some(6)),
            (ConnectivityStatus::Paused, 7, None),
        ] {
            let status = at(condition, seconds);
            since = up_since(since, &status);
            assert_eq!(since, expected.map(|seconds| at(condition, seconds).written), "{seconds}");
        }
    }
}
