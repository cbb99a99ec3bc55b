//! Checks the clock, its synchronisation and the time zone.

use std::{path::Path, time::Duration};

use jiff::tz::TimeZone;

use super::DoctorCheck;
use crate::{
    clock,
    duration::Readable,
    printable::printable,
    program,
    status::{Presence, Status},
};

const CLOCK: &str = "clock";
const SYNCHRONISED: &str = "time service";
const ZONE: &str = "time zone";
/// Accepted error of the clock: the answer's time has whole seconds and takes a moment to arrive.
const TOLERANCE: Duration = Duration::from_secs(5);
/// Time limit for the command that reports the synchronisation.
const LIMIT: Duration = Duration::from_secs(3);

/// Facts about the system's time.
#[derive(Debug)]
pub(super) struct ClockFacts {
    /// Whether a time service has set the clock; `None` if that is unknown.
    synchronised: Option<bool>,
    /// The name of the time zone, if one is known.
    zone: Option<String>,
}

impl ClockFacts {
    pub(super) fn gather() -> Self {
        let name = |zone: TimeZone| match std::env::var("TZ") {
            Ok(tz) => format!("TZ={}", printable(&tz)),
            Err(_) => zone.iana_name().unwrap_or("/etc/localtime").to_owned(),
        };
        Self { synchronised: synchronised(), zone: clock::zone().map(name) }
    }
}

/// Asks systemd, which reports the kernel's flag for any time service (timesyncd, chrony, ntpd).
fn synchronised() -> Option<bool> {
    if cfg!(target_os = "macos") {
        return None;
    }
    let arguments = ["show", "--property=NTPSynchronized", "--value"];
    match program::output("timedatectl", &arguments, LIMIT).as_deref().map(str::trim) {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        // timesyncd creates this file when it has set the clock (systemd-timesyncd.service(8)).
        _ => Path::new("/run/systemd/timesync/synchronized").exists().then_some(true),
    }
}

pub(super) fn judge(facts: &ClockFacts, status: Option<(&Status, Presence)>) -> Vec<DoctorCheck> {
    let running = status.filter(|(_, presence)| presence.is_running());
    vec![clock(running.map(|(status, _)| status)), service(facts.synchronised), zone(facts)]
}

fn clock(status: Option<&Status>) -> DoctorCheck {
    let Some(status) = status else {
        return DoctorCheck::skip(
            CLOCK,
            "only the answers to the agent's heartbeats can confirm it",
        );
    };
    let confirmed = status.heartbeat.as_ref().and_then(|heartbeat| heartbeat.last_delivered);
    let correction = status.clock.correction_ms;
    let off = Duration::from_millis(correction.unsigned_abs());
    if !status.clock.plausible {
        DoctorCheck::fail(CLOCK, "its time cannot be right, so recorded outages are not uploaded")
            .action("Set it, and turn on a time service.")
    } else if off > TOLERANCE {
        let way = if correction > 0 { "slow" } else { "fast" };
        DoctorCheck::warn(
            CLOCK,
            format!("it is {} {way}; recorded times are corrected", Readable(off)),
        )
        .action("Turn on a time service.")
    } else if confirmed.is_none() {
        DoctorCheck::skip(CLOCK, "no answer to a heartbeat has confirmed it yet")
    } else {
        DoctorCheck::pass(CLOCK, "it agrees with the answers to heartbeats")
    }
}

fn service(synchronised: Option<bool>) -> DoctorCheck {
    match synchronised {
        Some(true) => DoctorCheck::pass(SYNCHRONISED, "it has set the clock"),
        Some(false) => DoctorCheck::warn(SYNCHRONISED, "none has set the clock")
            .action("Turn one on: sudo timedatectl set-ntp true."),
        None if cfg!(target_os = "macos") => DoctorCheck::skip(
            SYNCHRONISED,
            "macOS shows it only to root; see System Settings, Date & Time",
        ),
        None => DoctorCheck::skip(SYNCHRONISED, "unknown on this system"),
    }
}

fn zone(facts: &ClockFacts) -> DoctorCheck {
    match &facts.zone {
        Some(zone) => DoctorCheck::pass(ZONE, zone),
        None => DoctorCheck::warn(ZONE, "none is known, so times are shown in UTC").action(
            if cfg!(target_os = "macos") {
                "Set it in System Settings, Date & Time."
            } else {
                "Set it, for instance: sudo timedatectl set-timezone Europe/Berlin."
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        doctor::tests::rows,
        status::{ClockStatus, working_status},
    };

    #[test]
    fn the_clock_is_compared_with_the_answers_to_heartbeats() {
        let row = |plausible, correction_ms| {
            let clock_status = ClockStatus { plausible, correction_ms };
            rows(&[clock(Some(&Status { clock: clock_status, ..working_status() }))])
        };
        insta::assert_snapshot!(row(true, -4_900), @"PASS clock: it agrees with the answers to heartbeats");
        insta::assert_snapshot!(row(true, 242_000), @"WARN clock: it is 4 min 2 s slow; recorded times are corrected → Turn on a time service.");
        insta::assert_snapshot!(row(true, -242_000), @"WARN clock: it is 4 min 2 s fast; recorded times are corrected → Turn on a time service.");
        insta::assert_snapshot!(row(false, 0), @"FAIL clock: its time cannot be right, so recorded outages are not uploaded → Set it, and turn on a time service.");
        insta::assert_snapshot!(rows(&[clock(None)]), @"SKIP clock: only the answers to the agent's heartbeats can confirm it");
        let silent = Status { heartbeat: None, ..working_status() };
        insta::assert_snapshot!(rows(&[clock(Some(&silent))]), @"SKIP clock: no answer to a heartbeat has confirmed it yet");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_missing_time_service_and_time_zone_are_warnings() {
        let facts = |synchronised, zone: Option<&str>| {
            let facts = ClockFacts { synchronised, zone: zone.map(str::to_owned) };
            rows(&judge(&facts, None)[1..])
        };
        insta::assert_snapshot!(facts(Some(true), Some("Europe/Berlin")), @"
        PASS time service: it has set the clock
        PASS time zone: Europe/Berlin
        ");
        insta::assert_snapshot!(facts(Some(false), None), @"
        WARN time service: none has set the clock → Turn one on: sudo timedatectl set-ntp true.
        WARN time zone: none is known, so times are shown in UTC → Set it, for instance: sudo timedatectl set-timezone Europe/Berlin.
        ");
        insta::assert_snapshot!(facts(None, Some("Etc/UTC")).lines().next().unwrap_or_default(), @"SKIP time service: unknown on this system");
    }
}
