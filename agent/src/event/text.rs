//! The sentences of events.

use std::{fmt, time::Duration};

use super::Event;
use crate::{clock::StepSource, duration::Readable, error_chain::ErrorChain, outage::sentence};

impl fmt::Display for Event<'_> {
    #[allow(clippy::too_many_lines, reason = "one arm an event, and none of them decides anything")]
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { device, url, interval } => write!(
                formatter,
                "ispmon-agent {} sends a heartbeat for {device} to {url} every {}.",
                env!("CARGO_PKG_VERSION"),
                Readable(*interval)
            ),
            Self::StartedLocally { device } => write!(
                formatter,
                "ispmon-agent {} monitors {device} locally: no heartbeat URL is set, so no \
                 mail will come when the connection fails. Set `heartbeat.url` to change that.",
                env!("CARGO_PKG_VERSION")
            ),
            Self::Advice { advice } => advice.fmt(formatter),
            Self::BootUnknown { error } => {
                write!(formatter, "Heartbeats go out without the boot's id: {}.", ErrorChain(*error))
            }
            Self::FirstDelivered { url, client_address, took } => {
                write!(formatter, "The first heartbeat reached {url} in {}", Readable(*took))?;
                match client_address {
                    Some(address) => write!(formatter, "; the cloud saw it come from {address}."),
                    None => formatter.write_str("."),
                }
            }
            Self::Delivered { outcome } => outcome.fmt(formatter),
            Self::Failed { outcome, wait } => {
                write!(formatter, "{outcome}")?;
                if let Some(advice) = outcome.advice() {
                    write!(formatter, " {advice}")?;
                }
                write!(
                    formatter,
                    " The next try is in {}; further failures of this kind are logged at level debug only.",
                    Readable(*wait)
                )
            }
            Self::FailedAgain { outcome, failures, wait } => write!(
                formatter,
                "{outcome} That is failure {failures} in a row; the next try is in {}.",
                Readable(*wait)
            ),
            Self::DeliveredAgain { failures, after } => {
                let attempts = Counted(*failures, "failed attempt");
                write!(formatter, "Heartbeats work again after {attempts} in {}.", Readable(*after))
            }
            Self::NotExpected { device } => write!(
                formatter,
                "The cloud does not expect a device named {device}, so no mail would come if it fell silent. \
                 Correct `device`, or add this name to the devices that the cloud was deployed with."
            ),
            Self::ExpectedAfterAll { device } => {
                write!(formatter, "The cloud expects a device named {device} now.")
            }
            Self::Reloaded => formatter.write_str("The new configuration is in use."),
            Self::ReloadedUnchanged => {
                formatter.write_str("The configuration was read again; nothing in it has changed.")
            }
            Self::ReloadRefused { problem } => write!(formatter, "The new configuration is refused: {problem}"),
            Self::ReloadKeptOld => formatter.write_str("The agent goes on with the old configuration."),
            Self::Stopping { signal } => write!(formatter, "{signal}: the agent stops."),
            Self::SilenceAnnounced { device, quiet } => write!(
                formatter,
                "The cloud knows that {device} stops, and raises no alarm for {}.",
                Readable(*quiet)
            ),
            Self::StopAnnounced => formatter.write_str(
                "The cloud knows of this stop, but raises the alarm as usual: `heartbeat.quiet_after_stop` is 0.",
            ),
            Self::SilenceNotAnnounced { outcome } => write!(
                formatter,
                "The cloud could not be told of this stop, so it raises the alarm if this lasts: {outcome}"
            ),
            Self::StatusNotWritten { path, error } => write!(
                formatter,
                "`ispmon-agent status` shows old things until {} can be written: {}.",
                path.display(),
                ErrorChain(*error)
            ),
            Self::Outage { transition, durable, zone } => {
                formatter.write_str(&sentence::sentence(transition, zone))?;
                if *durable { Ok(()) } else { formatter.write_str(" (Not yet in the record.)") }
            }
            Self::ClockStepped { by_ms, source } => {
                let by = Readable(Duration::from_millis(by_ms.unsigned_abs()));
                let way = if *by_ms < 0 { "back" } else { "forward" };
                match source {
                    StepSource::System => {
                        write!(formatter, "The system's clock was set {way} by {by}.")
                    }
                    StepSource::Heartbeat => write!(
                        formatter,
                        "The system's clock is wrong: by the answer to a heartbeat, times are moved \
                         {way} by {by}. Check that the clock is set from the network (NTP)."
                    ),
                }
            }
            Self::AnchorsBlocked => formatter.write_str(
                "Heartbeats pass, but no anchor has ever answered: this network blocks them. Outages \
                 are not noticed before a heartbeat fails; set `probe.anchors` to servers that can \
                 be reached from here.",
            ),
            Self::Blind { reason } => write!(
                formatter,
                "Nothing can be monitored: {}. {}",
                reason.reason(),
                reason.action()
            ),
            Self::JournalProblem { problem, advice, waiting } => {
                write!(formatter, "{problem} {} until that is cured.", Wait(*waiting))?;
                advice.map_or(Ok(()), |advice| write!(formatter, " {advice}"))
            }
            Self::JournalDurable => {
                formatter.write_str("The record can be written again; what waited is in it.")
            }
            Self::HandedOver { count } => {
                write!(formatter, "The cloud has taken {} of the record.", Counted(*count, "entry"))
            }
            Self::HandedOverAgain { count } => write!(
                formatter,
                "The cloud has taken {} of the record a second time, in case one was lost there.",
                Counted(*count, "entry")
            ),
            Self::NotHandedOver { reason, advice } => {
                write!(formatter, "The cloud has not taken what it has not heard yet: {reason}.")?;
                advice.map_or(Ok(()), |advice| write!(formatter, " {advice}"))
            }
            Self::PassedOver { id, reason } => write!(
                formatter,
                "The cloud takes others but refuses the incident or gap {id}: {reason}. It is passed over, so \
                 that no mail will tell of it; it stays in the record."
            ),
            Self::ControlUnavailable { error } => {
                write!(formatter, "The agent cannot be paused: {}.", ErrorChain(*error))
            }
            Self::Paused { until, caller, zone } => {
                let until = until.wall.to_zoned_datetime((*zone).clone());
                let until = until.strftime("%Y-%m-%d %H:%M:%S %:z");
                write!(formatter, "Paused by {caller} until {until}: nothing is monitored or sent.")
            }
            Self::Resumed { caller: Some(caller) } => {
                write!(formatter, "The pause was ended by {caller}.")
            }
            Self::Resumed { caller: None } => formatter.write_str("The pause is over."),
            Self::SleepAnnounced { device, quiet } => write!(
                formatter,
                "The cloud knows that {device} sleeps, and raises no alarm for {}.",
                Readable(*quiet)
            ),
            Self::SleepUnheard { error } => {
                write!(formatter, "This machine's sleep is not announced: {}.", ErrorChain(*error))
            }
            Self::LinesDropped { count } => {
                write!(formatter, "{} dropped here: nobody read the log fast enough.", Were(*count, "log line"))
            }
            Self::Panicked { what } => {
                write!(formatter, "This is a defect of ispmon-agent {}: {what}", env!("CARGO_PKG_VERSION"))
            }
        }
    }
}

/// How many records wait.
struct Wait(usize);

impl fmt::Display for Wait {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => formatter.write_str("1 record waits in memory"),
            count => write!(formatter, "{count} records wait in memory"),
        }
    }
}

/// A number with its noun.
struct Counted(u64, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, noun) = self;
        match (number, noun.strip_suffix('y')) {
            (1, _) => write!(formatter, "1 {noun}"),
            (_, Some(stem)) => write!(formatter, "{number} {stem}ies"),
            (_, None) => write!(formatter, "{number} {noun}s"),
        }
    }
}

/// A number with its noun and verb.
struct Were(u64, &'static str);

impl fmt::Display for Were {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {}",
            Counted(self.0, self.1),
            if self.0 == 1 { "was" } else { "were" }
        )
    }
}
