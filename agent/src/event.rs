//! Everything that the agent logs: one event per notable thing, with its level and its sentence.
//!
//! The log is quiet while nothing changes. A change of state is at `info`, or at `warn` when somebody
//! may want to act; what happens at every heartbeat is at `debug`.

mod fields;
mod kind;

use std::{error::Error, fmt, net::IpAddr, path::Path, time::Duration};

use jiff::tz::TimeZone;
use tracing::Level;

use crate::{
    clock::{Stamp, StepSource},
    duration::Readable,
    heartbeat::Outcome,
    outage::{Transition, sentence},
};

pub use fields::Fields;
pub(crate) use fields::{TARGET, log};
pub use kind::Kind;

/// A notable thing that happened. Its Display is a sentence for people.
pub enum Event<'a> {
    /// The agent runs and reports to the cloud.
    Started {
        /// The device's name.
        device: &'a str,
        /// Where heartbeats go, without secrets.
        url: &'a dyn fmt::Display,
        /// The time between two heartbeats.
        interval: Duration,
    },
    /// The agent runs, but there is no URL that it could report to.
    StartedLocally {
        /// The device's name.
        device: &'a str,
    },
    /// Something in the configuration is worth a second look.
    Advice {
        /// The sentence.
        advice: &'a dyn fmt::Display,
    },
    /// Heartbeats cannot say whether agent or machine was restarted.
    BootUnknown {
        /// The reason.
        error: &'a dyn Error,
    },
    /// The first heartbeat of this configuration was delivered.
    FirstDelivered {
        /// Where to, without secrets.
        url: &'a dyn fmt::Display,
        /// The address that the cloud saw, when it said so.
        client_address: Option<IpAddr>,
        /// How long it took.
        took: Duration,
    },
    /// One more heartbeat was delivered.
    Delivered {
        /// What came of it.
        outcome: &'a Outcome,
    },
    /// A heartbeat failed in a way in which none did since the last success.
    Failed {
        /// What came of it.
        outcome: &'a Outcome,
        /// The time until the next try.
        wait: Duration,
    },
    /// A heartbeat failed as one before.
    FailedAgain {
        /// What came of it.
        outcome: &'a Outcome,
        /// How many failed since the last success.
        failures: u64,
        /// The time until the next try.
        wait: Duration,
    },
    /// A heartbeat was delivered after failures.
    DeliveredAgain {
        /// How many failed in between.
        failures: u64,
        /// The time since the first of them failed.
        after: Duration,
    },
    /// No alert rule watches a device of this name.
    NotExpected {
        /// The device's name.
        device: &'a str,
    },
    /// An alert rule watches it after all.
    ExpectedAfterAll {
        /// The device's name.
        device: &'a str,
    },
    /// A new configuration is in use.
    Reloaded,
    /// The configuration was read again and says what it said before.
    ReloadedUnchanged,
    /// A new configuration is not used; one of these for each reason.
    ReloadRefused {
        /// The reason.
        problem: &'a dyn fmt::Display,
    },
    /// The old configuration stays, because of the reasons that were just logged.
    ReloadKeptOld,
    /// The agent was asked to leave.
    Stopping {
        /// The name of the signal.
        signal: &'a str,
    },
    /// The cloud knows that the coming silence is intended.
    SilenceAnnounced {
        /// The device's name.
        device: &'a str,
        /// How long it may be silent without alarm.
        quiet: Duration,
    },
    /// The cloud knows that the agent stops, but no silence was granted to it.
    StopAnnounced,
    /// The cloud could not be told.
    SilenceNotAnnounced {
        /// What came of it.
        outcome: &'a Outcome,
    },
    /// The status file could not be written, for the first time or after a success.
    StatusNotWritten {
        /// The file.
        path: &'a Path,
        /// The reason.
        error: &'a dyn Error,
    },
    /// Something about outages has changed.
    Outage {
        /// What.
        transition: &'a Transition,
        /// Whether the record holds it already.
        durable: bool,
        /// The zone in which times are shown.
        zone: &'a TimeZone,
    },
    /// The wall clock was found to be wrong, or was set.
    ClockStepped {
        /// By how much it moved, in milliseconds.
        by_ms: i64,
        /// How that is known.
        source: StepSource,
    },
    /// Heartbeats pass, but no anchor has ever answered.
    AnchorsBlocked,
    /// The record cannot be written.
    JournalProblem {
        /// What is wrong, as a sentence.
        problem: &'a str,
        /// How many records wait in memory.
        waiting: usize,
    },
    /// The record can be written again, and holds what waited.
    JournalDurable,
    /// The cloud has acknowledged incidents or gaps.
    HandedOver {
        /// How many.
        count: u64,
    },
    /// It has not, for the first time since it did.
    NotHandedOver {
        /// Why.
        reason: &'a dyn fmt::Display,
    },
    /// Nobody can pause the agent.
    ControlUnavailable {
        /// The reason.
        error: &'a dyn Error,
    },
    /// Somebody has paused the agent.
    Paused {
        /// When the pause ends by itself.
        until: &'a Stamp,
        /// Who.
        caller: &'a dyn fmt::Display,
        /// The zone in which times are shown.
        zone: &'a TimeZone,
    },
    /// The pause is over.
    Resumed {
        /// Who ended it; nobody when its time was over.
        caller: Option<&'a dyn fmt::Display>,
    },
    /// The cloud knows that the machine sleeps.
    SleepAnnounced {
        /// The device's name.
        device: &'a str,
        /// How long it may be silent without alarm.
        quiet: Duration,
    },
    /// The machine's sleep is not heard of, or not delayed, before it begins.
    SleepUnheard {
        /// The reason.
        error: &'a dyn Error,
    },
    /// Log lines were lost.
    LinesDropped {
        /// How many.
        count: u64,
    },
    /// The program has a defect.
    Panicked {
        /// Message and place.
        what: &'a str,
    },
}

impl Event<'_> {
    /// How severe it is: `info` when all is well, `warn` when it may need somebody, `error` when
    /// what was asked for is not done.
    pub fn level(&self) -> Level {
        match self {
            Self::Started { .. }
            | Self::StartedLocally { .. }
            | Self::FirstDelivered { .. }
            | Self::DeliveredAgain { .. }
            | Self::ExpectedAfterAll { .. }
            | Self::Reloaded
            | Self::ReloadedUnchanged
            | Self::Stopping { .. }
            | Self::SilenceAnnounced { .. }
            | Self::StopAnnounced
            | Self::JournalDurable
            | Self::HandedOver { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::SleepAnnounced { .. } => Level::INFO,
            Self::Outage { transition, .. } => match transition {
                Transition::Opened(_) => Level::WARN,
                Transition::Changed(_)
                | Transition::Progressed(_)
                | Transition::Closed(_)
                | Transition::Watched(_) => Level::INFO,
            },
            Self::Advice { .. }
            | Self::BootUnknown { .. }
            | Self::Failed { .. }
            | Self::NotExpected { .. }
            | Self::SilenceNotAnnounced { .. }
            | Self::StatusNotWritten { .. }
            | Self::ClockStepped { .. }
            | Self::AnchorsBlocked
            | Self::JournalProblem { .. }
            | Self::NotHandedOver { .. }
            | Self::ControlUnavailable { .. }
            | Self::LinesDropped { .. } => Level::WARN,
            Self::ReloadRefused { .. } | Self::ReloadKeptOld | Self::Panicked { .. } => {
                Level::ERROR
            }
            Self::Delivered { .. } | Self::FailedAgain { .. } | Self::SleepUnheard { .. } => {
                Level::DEBUG
            }
        }
    }

    /// Its kind, for programs that read the log.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Started { .. } => Kind::Started,
            Self::StartedLocally { .. } => Kind::StartedLocally,
            Self::Advice { .. } => Kind::Advice,
            Self::BootUnknown { .. } => Kind::BootUnknown,
            Self::FirstDelivered { .. } => Kind::FirstDelivered,
            Self::Delivered { .. } => Kind::Delivered,
            Self::Failed { .. } => Kind::Failed,
            Self::FailedAgain { .. } => Kind::FailedAgain,
            Self::DeliveredAgain { .. } => Kind::DeliveredAgain,
            Self::NotExpected { .. } => Kind::NotExpected,
            Self::ExpectedAfterAll { .. } => Kind::ExpectedAfterAll,
            Self::Reloaded => Kind::Reloaded,
            Self::ReloadedUnchanged => Kind::ReloadedUnchanged,
            Self::ReloadRefused { .. } => Kind::ReloadRefused,
            Self::ReloadKeptOld => Kind::ReloadKeptOld,
            Self::Stopping { .. } => Kind::Stopping,
            Self::SilenceAnnounced { .. } => Kind::SilenceAnnounced,
            Self::StopAnnounced => Kind::StopAnnounced,
            Self::SilenceNotAnnounced { .. } => Kind::SilenceNotAnnounced,
            Self::StatusNotWritten { .. } => Kind::StatusNotWritten,
            Self::Outage { transition, .. } => match transition {
                Transition::Opened(_) => Kind::IncidentOpened,
                Transition::Changed(_) => Kind::IncidentChanged,
                Transition::Progressed(_) => Kind::IncidentProgressed,
                Transition::Closed(_) => Kind::IncidentClosed,
                Transition::Watched(_) => Kind::Gap,
            },
            Self::ClockStepped { .. } => Kind::ClockStepped,
            Self::AnchorsBlocked => Kind::AnchorsBlocked,
            Self::JournalProblem { .. } => Kind::JournalProblem,
            Self::JournalDurable => Kind::JournalDurable,
            Self::HandedOver { .. } => Kind::HandedOver,
            Self::NotHandedOver { .. } => Kind::NotHandedOver,
            Self::ControlUnavailable { .. } => Kind::ControlUnavailable,
            Self::Paused { .. } => Kind::Paused,
            Self::Resumed { .. } => Kind::Resumed,
            Self::SleepAnnounced { .. } => Kind::SleepAnnounced,
            Self::SleepUnheard { .. } => Kind::SleepUnheard,
            Self::LinesDropped { .. } => Kind::LinesDropped,
            Self::Panicked { .. } => Kind::Panicked,
        }
    }

    /// Logs it: the sentence for people, and what programs read beside it.
    pub fn emit(&self) {
        log(self.level(), &self.fields(), self);
    }
}

impl fmt::Display for Event<'_> {
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
                "ispmon-agent {} watches {device} without telling anybody: no heartbeat URL is set, so no \
                 mail will come when the connection fails. Set `heartbeat.url` to change that.",
                env!("CARGO_PKG_VERSION")
            ),
            Self::Advice { advice } => advice.fmt(formatter),
            Self::BootUnknown { error } => {
                write!(formatter, "Heartbeats go out without the boot's id: {}.", Chain(*error))
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
                let attempts = Count(*failures, "failed attempt");
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
                Chain(*error)
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
            Self::JournalProblem { problem, waiting } => {
                write!(formatter, "{problem} {} until that is cured.", Wait(*waiting))
            }
            Self::JournalDurable => {
                formatter.write_str("The record can be written again; what waited is in it.")
            }
            Self::HandedOver { count } => {
                write!(formatter, "The cloud has taken {} of the record.", Count(*count, "entry"))
            }
            Self::NotHandedOver { reason } => {
                write!(formatter, "The cloud has not taken what it has not heard yet: {reason}")
            }
            Self::ControlUnavailable { error } => {
                write!(formatter, "The agent cannot be paused: {}.", Chain(*error))
            }
            Self::Paused { until, caller, zone } => {
                let until = until.wall.to_zoned_datetime((*zone).clone());
                let until = until.strftime("%Y-%m-%d %H:%M:%S %:z");
                write!(formatter, "Paused by {caller} until {until}: nothing is watched or sent.")
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
                write!(formatter, "This machine's sleep is not announced: {}.", Chain(*error))
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

/// An error and everything that caused it, in one phrase.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(formatter, ": {error}")?;
            source = error.source();
        }
        Ok(())
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
struct Count(u64, &'static str);

impl fmt::Display for Count {
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
        write!(formatter, "{} {}", Count(self.0, self.1), if self.0 == 1 { "was" } else { "were" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the id of this boot cannot be read")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn each_event_is_a_sentence_with_its_level() {
        let url = "https://ispmon.example/api/ping";
        let device = "dl-home";
        let outcome = &Outcome::Refused { status: 401, retry_after: None, took: Duration::ZERO };
        let unavailable =
            &Outcome::Refused { status: 503, retry_after: None, took: Duration::ZERO };
        let delivered = &Outcome::Delivered {
            client_address: None,
            expected: Some(true),
            date: None,
            family: None,
            took: Duration::from_millis(132),
        };
        let wait = Duration::from_secs(62);
        let took = Duration::from_millis(132);
        let client_address = "203.0.113.7".parse().ok();
        let events = [
            Event::Started { device, url: &url, interval: Duration::from_mins(1) },
            Event::StartedLocally { device },
            Event::Advice { advice: &"The device is named after its operating system." },
            Event::BootUnknown { error: &Outer(std::io::Error::other("no such file")) },
            Event::FirstDelivered { url: &url, client_address, took },
            Event::FirstDelivered { url: &url, client_address: None, took },
            Event::Delivered { outcome: delivered },
            Event::Failed { outcome, wait },
            Event::Failed { outcome: unavailable, wait },
            Event::FailedAgain { outcome, failures: 2, wait },
            Event::DeliveredAgain { failures: 1, after: wait },
            Event::NotExpected { device },
            Event::ExpectedAfterAll { device },
            Event::Reloaded,
            Event::ReloadedUnchanged,
            Event::ReloadRefused { problem: &"agent.toml, line 3: heartbeat.interval is \"1ms\"" },
            Event::ReloadKeptOld,
            Event::Stopping { signal: "SIGTERM" },
            Event::SilenceAnnounced { device, quiet: Duration::from_mins(30) },
            Event::StopAnnounced,
            Event::SilenceNotAnnounced { outcome },
            Event::StatusNotWritten {
                path: Path::new("/run/ispmon/status.json"),
                error: &std::io::Error::other("no space left on device"),
            },
            Event::LinesDropped { count: 1 },
            Event::LinesDropped { count: 12 },
            Event::Panicked { what: "panicked at src/x.rs:1:1:\nindex out of bounds" },
        ];
        let lines = events.iter().map(|event| format!("{} {event}", event.level()));
        let text =
            lines.collect::<Vec<_>>().join("\n").replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::assert_snapshot!(text, @r#"
        INFO ispmon-agent VERSION sends a heartbeat for dl-home to https://ispmon.example/api/ping every 1 min.
        INFO ispmon-agent VERSION watches dl-home without telling anybody: no heartbeat URL is set, so no mail will come when the connection fails. Set `heartbeat.url` to change that.
        WARN The device is named after its operating system.
        WARN Heartbeats go out without the boot's id: the id of this boot cannot be read: no such file.
        INFO The first heartbeat reached https://ispmon.example/api/ping in 132 ms; the cloud saw it come from 203.0.113.7.
        INFO The first heartbeat reached https://ispmon.example/api/ping in 132 ms.
        DEBUG Heartbeat delivered in 132 ms.
        WARN Heartbeat refused: the answer was 401 Unauthorized. Check the function key, or the whole URL if it is a plain heartbeat. An app that is just starting may answer so too. The next try is in 1 min 2 s; further failures of this kind are logged at level debug only.
        WARN Heartbeat refused: the answer was 503 Service Unavailable. The next try is in 1 min 2 s; further failures of this kind are logged at level debug only.
        DEBUG Heartbeat refused: the answer was 401 Unauthorized. That is failure 2 in a row; the next try is in 1 min 2 s.
        INFO Heartbeats work again after 1 failed attempt in 1 min 2 s.
        WARN The cloud does not expect a device named dl-home, so no mail would come if it fell silent. Correct `device`, or add this name to the devices that the cloud was deployed with.
        INFO The cloud expects a device named dl-home now.
        INFO The new configuration is in use.
        INFO The configuration was read again; nothing in it has changed.
        ERROR The new configuration is refused: agent.toml, line 3: heartbeat.interval is "1ms"
        ERROR The agent goes on with the old configuration.
        INFO SIGTERM: the agent stops.
        INFO The cloud knows that dl-home stops, and raises no alarm for 30 min.
        INFO The cloud knows of this stop, but raises the alarm as usual: `heartbeat.quiet_after_stop` is 0.
        WARN The cloud could not be told of this stop, so it raises the alarm if this lasts: Heartbeat refused: the answer was 401 Unauthorized.
        WARN `ispmon-agent status` shows old things until /run/ispmon/status.json can be written: no space left on device.
        WARN 1 log line was dropped here: nobody read the log fast enough.
        WARN 12 log lines were dropped here: nobody read the log fast enough.
        ERROR This is a defect of ispmon-agent VERSION: panicked at src/x.rs:1:1:
        index out of bounds
        "#);
    }
}
