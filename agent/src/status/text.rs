//! Renders a status for people.

use std::{fmt::Write, time::Duration};

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};

use super::{
    ConnectivityStatus, FamilyStatus, HeartbeatStatus, IncidentStatus, Presence, QualityStatus,
    Status,
};
use crate::{
    clock::Stamp,
    duration::Readable,
    outage::{Cause, Party, Scope},
    probe::Family,
    unit::UnitDiagnosis,
};

/// The moment, time zone and presence for which a status is rendered.
#[derive(Clone, Debug)]
pub struct DisplayContext<'a> {
    /// The time at which it is shown.
    pub now: Stamp,
    /// The time zone of displayed times.
    pub zone: &'a TimeZone,
    /// Whether the agent that wrote the status still runs.
    pub presence: Presence,
}

/// Renders the whole status; its first line answers "is the internet up?". For an agent that does not run,
/// `diagnosis` is what systemd knows about it, and `start_advice` tells the user how to start it.
pub fn render(
    status: &Status,
    context: &DisplayContext<'_>,
    diagnosis: Option<&UnitDiagnosis>,
    start_advice: &str,
) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(status, context, diagnosis, start_advice, &mut text);
    text
}

fn write_all(
    status: &Status,
    context: &DisplayContext<'_>,
    diagnosis: Option<&UnitDiagnosis>,
    start_advice: &str,
    text: &mut String,
) -> std::fmt::Result {
    let device = &status.device;
    let diagnosis = diagnosis.filter(|_| context.presence.is_ended());
    let start_advice = diagnosis.map_or(start_advice, |diagnosis| &diagnosis.advice);
    match absence(status, context, diagnosis) {
        None => writeln!(text, "{device}: {}", headline(status, context))?,
        Some(absence) => {
            writeln!(text, "{device}: {absence}\n{start_advice}")?;
            let (time, ago) = (context.time(&status.written), context.ago(&status.written));
            write!(text, "\nLast known state, {time} ({ago})")?;
            match status.condition {
                // A stopped agent has no current connectivity; the other rows remain valid.
                ConnectivityStatus::Stopped => writeln!(text, ":")?,
                _ => writeln!(text, ": {}", headline(status, context))?,
            }
        }
    }
    for incident in &status.incidents {
        writeln!(text, "{}", describe(incident, status, context))?;
    }
    writeln!(text)?;
    for (name, value) in rows(status, context) {
        writeln!(text, "{name:<11} {value}")?;
    }
    Ok(())
}

/// Why the status is not current; `None` when it is.
fn absence(
    status: &Status,
    context: &DisplayContext<'_>,
    diagnosis: Option<&UnitDiagnosis>,
) -> Option<String> {
    if let Some(UnitDiagnosis { finding, .. }) = diagnosis {
        return Some(format!("the agent is not running: {finding}."));
    }
    let pid = status.pid;
    Some(match context.presence {
        Presence::Running => return None,
        Presence::Hanging(age) => format!(
            "the agent hangs: its process {pid} has written nothing for {}. Stop it first.",
            Readable(age)
        ),
        Presence::Stopped => "the agent is not running: it was stopped.".to_owned(),
        Presence::Gone => {
            format!("the agent is not running: its process {pid} crashed or was killed.")
        }
        Presence::Rebooted => {
            "the agent is not running: it was not started again with this machine.".to_owned()
        }
    })
}

/// The answer to "is the internet up?".
fn headline(status: &Status, context: &DisplayContext<'_>) -> String {
    if let Some(reason) = &status.blind {
        return format!("whether the internet works is not known, because {reason}.");
    }
    match status.condition.with_incidents(&status.incidents) {
        ConnectivityStatus::Unknown => "whether the internet works is not known yet.".to_owned(),
        ConnectivityStatus::Up => match failing_family(status) {
            Some(family) => format!("the internet works, but not by {family}."),
            None => "the internet works.".to_owned(),
        },
        ConnectivityStatus::Doubt => {
            "the internet works, or did until a moment ago: a probe has failed, and the agent is \
             finding out why."
                .to_owned()
        }
        ConnectivityStatus::Down => "THE INTERNET IS DOWN.".to_owned(),
        ConnectivityStatus::Unused => "this device has no route to the internet.".to_owned(),
        ConnectivityStatus::Paused => match &status.paused_until {
            Some(until) => format!(
                "paused until {}: nothing is monitored and no heartbeat is sent. To end the pause: \
                 ispmon-agent resume",
                context.time(until)
            ),
            None => "paused: nothing is monitored and no heartbeat is sent.".to_owned(),
        },
        ConnectivityStatus::Stopped => "stopped cleanly.".to_owned(),
    }
}

fn failing_family(status: &Status) -> Option<Family> {
    let down = |family: &&FamilyStatus| family.condition == ConnectivityStatus::Down;
    status.families.iter().find(down).map(|family| family.family)
}

/// An open incident, in the words of the log.
fn describe(incident: &IncidentStatus, status: &Status, context: &DisplayContext<'_>) -> String {
    let unstable = incident.cause == Cause::Unstable;
    let what = match incident.scope {
        Scope::Internet if unstable => "Internet unstable",
        Scope::Ipv4 if unstable => "IPv4 unstable",
        Scope::Ipv6 if unstable => "IPv6 unstable",
        // The first line may be "the internet works".
        Scope::Internet if incident.failing == Some(Scope::Ipv4) => {
            "IPv4 outage, the rest of an internet outage"
        }
        Scope::Internet if incident.failing == Some(Scope::Ipv6) => {
            "IPv6 outage, the rest of an internet outage"
        }
        Scope::Internet => "Internet outage",
        Scope::Ipv4 => "IPv4 outage",
        Scope::Ipv6 => "IPv6 outage",
        Scope::Heartbeat => "Heartbeats have failed",
        Scope::Quality => "Degraded connection",
    };
    let mut text = format!(
        "{what} since {} ({} so far), cause: {}.",
        context.time(&incident.started),
        Readable(
            context.presence.seen_until(status, context.now).since_across_boots(&incident.started)
        ),
        incident.reason
    );
    if incident.failures > 1 {
        let _ = write!(text, " It has failed {} times.", incident.failures);
    }
    if let Some(party) = incident.party {
        text.push_str(match party {
            Party::Yours => " That is your own part (device, cable, router, tunnel).",
            Party::Provider => " That is your provider's part.",
            Party::Other => " That is neither your part nor your provider's.",
        });
    }
    if !incident.durable {
        text.push_str(" (not yet durable)");
    }
    text
}

/// The remaining facts, one a row.
fn rows(status: &Status, context: &DisplayContext<'_>) -> Vec<(&'static str, String)> {
    let mut rows = vec![(
        "Agent",
        format!(
            "{}, process {}, started {} ({})",
            status.version,
            status.pid,
            context.time(&status.started),
            context.ago(&status.started)
        ),
    )];
    for family in &status.families {
        let name = match family.family {
            Family::Ipv4 => "IPv4",
            Family::Ipv6 => "IPv6",
        };
        rows.push((name, family_row(family, status.condition, context)));
    }
    if let Some(quality) = &status.quality {
        rows.push(("Quality", quality_row(quality)));
    }
    if status.blips > 0 {
        let blips = match status.blips {
            1 => "1 failure".to_owned(),
            more => format!("{more} failures"),
        };
        rows.push(("Blips", format!("{blips} too short to be an outage, since the start")));
    }
    rows.push(("Heartbeats", heartbeats(status.heartbeat.as_ref(), context)));
    if let Some(address) = status.wan_address {
        rows.push(("Address", format!("{address}, as the cloud sees it")));
    }
    rows.push(("Journal", journal_row(status)));
    if status.heartbeat.is_some() {
        let mut shown = match status.hand_over_pending {
            0 => "nothing waits to be handed to the cloud".to_owned(),
            some => format!("{} to be handed to the cloud", waiting(some)),
        };
        if let Some(problem) = &status.hand_over_problem {
            let _ = write!(shown, "; the last try failed: {}.", problem.reason);
        }
        rows.push(("Hand-over", shown));
    }
    if !status.clock.plausible {
        rows.push(("Clock", "wrong: its time cannot be true".to_owned()));
    } else if status.clock.correction_ms.unsigned_abs() >= 1_000 {
        let by = Readable(Duration::from_millis(status.clock.correction_ms.unsigned_abs()));
        let way = if status.clock.correction_ms > 0 { "slow" } else { "fast" };
        rows.push(("Clock", format!("{by} {way}; the times in the journal are corrected")));
    }
    rows
}

/// How many closed incidents and gaps wait, as the beginning of a sentence.
pub(crate) fn waiting(count: u64) -> String {
    match count {
        1 => "1 outage or gap waits".to_owned(),
        more => format!("{more} outages and gaps wait"),
    }
}

fn family_row(
    family: &FamilyStatus,
    whole: ConnectivityStatus,
    context: &DisplayContext<'_>,
) -> String {
    // While nothing is monitored, the earlier state is not current.
    let condition = match whole {
        ConnectivityStatus::Paused | ConnectivityStatus::Stopped => whole,
        _ => family.condition,
    };
    let mut text = match condition {
        ConnectivityStatus::Unknown => "not known yet",
        ConnectivityStatus::Up => "works",
        ConnectivityStatus::Doubt => "in doubt",
        ConnectivityStatus::Down => "DOWN",
        ConnectivityStatus::Unused => "not used",
        ConnectivityStatus::Paused => "not monitored",
        ConnectivityStatus::Stopped => "no longer monitored",
    }
    .to_owned();
    if let Some(link) = &family.link {
        match (&link.interface, link.gateway) {
            (Some(interface), gateway) => {
                let _ = write!(text, ", by {interface}");
                if link.tunnel {
                    text.push_str(" (a tunnel)");
                }
                if let Some(gateway) = gateway {
                    let _ = write!(text, " through {gateway}");
                }
            }
            (None, _) => text.push_str(match link.state.as_str() {
                "no_route" => ", because there is no route",
                "no_address" => ", because this device has no address",
                "no_carrier" => ", because no cable or Wi-Fi is connected",
                "prohibited" => ", because a rule of this device forbids it",
                _ => "",
            }),
        }
    }
    if condition == ConnectivityStatus::Down
        && let Some(last_ok) = &family.last_ok
    {
        let _ = write!(text, ", last answer {}", context.ago(last_ok));
    }
    text
}

fn quality_row(quality: &QualityStatus) -> String {
    let mut text = String::new();
    if let Some(median) = quality.p50_ms {
        let _ = write!(text, "{median:.0} ms at the median");
        if let Some(p95) = quality.p95_ms {
            let _ = write!(text, ", {p95:.0} ms at the 95th percentile");
        }
        text.push_str("; ");
    }
    let over = Readable(Duration::from_secs(quality.over_s));
    let _ = write!(text, "{} of {} probes lost in {over}", quality.lost, quality.probes);
    text
}

fn heartbeats(heartbeat: Option<&HeartbeatStatus>, context: &DisplayContext<'_>) -> String {
    let Some(heartbeat) = heartbeat else {
        return "none: no heartbeat.url is set, so no mail will come when the internet fails"
            .to_owned();
    };
    let mut text = match &heartbeat.last {
        None => format!("none yet to {}", heartbeat.url),
        Some(last) => format!("{}: {}", context.ago(&last.at), last.sentence),
    };
    if heartbeat.last.as_ref().is_some_and(|last| !last.delivered) {
        match &heartbeat.last_delivered {
            Some(at) => {
                let _ = write!(text, " The last one was delivered {}.", context.ago(at));
            }
            None => text.push_str(" None was delivered since the start."),
        }
    }
    if heartbeat.expected == Some(false) {
        text.push_str(" THE CLOUD DOES NOT EXPECT THIS DEVICE, so no mail would come.");
    }
    text
}

fn journal_row(status: &Status) -> String {
    let journal = &status.journal;
    let mut text = format!("{} in {}", count(journal.seq, "record"), status.state_dir.display());
    if journal.waiting > 0 {
        let _ = write!(text, "; {} not yet durable", count(journal.waiting, "more"));
    }
    if let Some(problem) = &journal.problem {
        let _ = write!(text, ". {problem}");
    }
    if let Some(advice) = &journal.advice {
        let _ = write!(text, " {advice}");
    }
    text
}

fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 || noun == "more" { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

impl DisplayContext<'_> {
    /// The time since `earlier`.
    pub fn since(&self, earlier: &Stamp) -> Duration {
        self.now.since_across_boots(earlier)
    }

    /// The time since `earlier` as text, in whole seconds.
    pub fn ago(&self, earlier: &Stamp) -> String {
        match self.since(earlier).as_secs() {
            0 => "just now".to_owned(),
            seconds => format!("{} ago", Readable(Duration::from_secs(seconds))),
        }
    }

    /// The local time with its UTC offset.
    pub fn time(&self, stamp: &Stamp) -> String {
        self.local(stamp).strftime("%Y-%m-%d %H:%M:%S%:z").to_string()
    }

    /// The local time. Within this boot it is computed from `now`, so that it is right even if the
    /// clock was set in between.
    pub fn local(&self, stamp: &Stamp) -> ZonedDateTime {
        let wall: Timestamp = if stamp.is_same_boot(self.now) {
            match stamp.boot_ms.checked_sub(self.now.boot_ms) {
                Some(ahead) => self.now.later(Duration::from_millis(ahead)).wall,
                None => self.now.earlier(self.since(stamp)).wall,
            }
        } else {
            stamp.wall
        };
        wall.to_zoned_datetime(self.zone.clone())
    }
}

#[cfg(test)]
pub(super) mod tests;
