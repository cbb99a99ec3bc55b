//! Everything that the agent logs: one event per notable thing, with its level and its sentence.
//!
//! The log is quiet while nothing changes. A change of state is at `info`, or at `warn` when somebody
//! may want to act; what happens at every heartbeat is at `debug`.

mod fields;
mod kind;
mod text;

use std::{error::Error, fmt, net::IpAddr, path::Path, time::Duration};

use jiff::tz::TimeZone;
use tracing::Level;

use crate::{
    clock::{Stamp, StepSource},
    heartbeat::HeartbeatOutcome,
    outage::{IncidentId, Transition},
    probe::LocalFailure,
};

pub use fields::Fields;
#[cfg(target_os = "linux")]
pub(crate) use fields::TARGET;
pub(crate) use fields::log;
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
        outcome: &'a HeartbeatOutcome,
    },
    /// A heartbeat failed in a way in which none did since the last success.
    Failed {
        /// What came of it.
        outcome: &'a HeartbeatOutcome,
        /// The time until the next try.
        wait: Duration,
    },
    /// A heartbeat failed as one before.
    FailedAgain {
        /// What came of it.
        outcome: &'a HeartbeatOutcome,
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
    /// No alert rule expects a device of this name.
    NotExpected {
        /// The device's name.
        device: &'a str,
    },
    /// An alert rule expects it after all.
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
        outcome: &'a HeartbeatOutcome,
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
    /// Nothing could be asked for ten seconds, for a failure made on this device.
    Blind {
        /// What failed.
        reason: LocalFailure,
    },
    /// The record cannot be written.
    JournalProblem {
        /// What is wrong, as a sentence.
        problem: &'a str,
        /// What can be done about it, as a sentence.
        advice: Option<&'a str>,
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
    /// The cloud has acknowledged them a second time.
    HandedOverAgain {
        /// How many.
        count: u64,
    },
    /// It has not, for the first time since it did.
    NotHandedOver {
        /// Why, as the end of a sentence.
        reason: &'a dyn fmt::Display,
        /// What can be done about it, as a sentence.
        advice: Option<&'a str>,
    },
    /// The cloud refuses one incident or gap although it takes others, so that it is never handed over.
    PassedOver {
        /// Its id.
        id: IncidentId,
        /// Why, as the end of a sentence.
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
                | Transition::GapEnded(_) => Level::INFO,
            },
            Self::Advice { .. }
            | Self::BootUnknown { .. }
            | Self::Failed { .. }
            | Self::NotExpected { .. }
            | Self::SilenceNotAnnounced { .. }
            | Self::StatusNotWritten { .. }
            | Self::ClockStepped { .. }
            | Self::AnchorsBlocked
            | Self::Blind { .. }
            | Self::JournalProblem { .. }
            | Self::NotHandedOver { .. }
            | Self::PassedOver { .. }
            | Self::ControlUnavailable { .. }
            | Self::LinesDropped { .. } => Level::WARN,
            Self::ReloadRefused { .. } | Self::ReloadKeptOld | Self::Panicked { .. } => {
                Level::ERROR
            }
            Self::Delivered { .. }
            | Self::FailedAgain { .. }
            | Self::HandedOverAgain { .. }
            | Self::SleepUnheard { .. } => Level::DEBUG,
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
                Transition::GapEnded(_) => Kind::Gap,
            },
            Self::ClockStepped { .. } => Kind::ClockStepped,
            Self::AnchorsBlocked => Kind::AnchorsBlocked,
            Self::Blind { .. } => Kind::Blind,
            Self::JournalProblem { .. } => Kind::JournalProblem,
            Self::JournalDurable => Kind::JournalDurable,
            Self::HandedOver { .. } => Kind::HandedOver,
            Self::HandedOverAgain { .. } => Kind::HandedOverAgain,
            Self::NotHandedOver { .. } => Kind::NotHandedOver,
            Self::PassedOver { .. } => Kind::PassedOver,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::AnswerRefusal;

    #[derive(Debug, thiserror::Error)]
    #[error("the id of this boot cannot be read")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn each_event_is_a_sentence_with_its_level() {
        let url = "https://ispmon.example/api/ping";
        let device = "dl-home";
        let refused = |status, refusal| HeartbeatOutcome::Refused {
            status,
            refusal,
            retry_after: None,
            proof: None,
            took: Duration::ZERO,
        };
        let outcome = &refused(401, AnswerRefusal::Status);
        let unavailable = &refused(503, AnswerRefusal::Status);
        let (expected, answer) = ("{\"accepted\":1}".to_owned(), "Welcome!".to_owned());
        let other = &refused(200, AnswerRefusal::OtherAnswer { expected, answer });
        let delivered = &HeartbeatOutcome::Delivered {
            client_address: None,
            expected: Some(true),
            date: None,
            proof: None,
            took: Duration::from_millis(132),
        };
        let id = IncidentId(uuid::Uuid::from_u128(7));
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
            Event::HandedOver { count: 1 },
            Event::HandedOverAgain { count: 12 },
            Event::NotHandedOver { reason: &other.reason(), advice: other.hand_over_advice() },
            Event::PassedOver { id, reason: &"the answer was 400" },
            Event::LinesDropped { count: 1 },
            Event::LinesDropped { count: 12 },
            Event::Panicked { what: "panicked at src/x.rs:1:1:\nindex out of bounds" },
        ];
        let lines = events.iter().map(|event| format!("{} {event}", event.level()));
        let text =
            lines.collect::<Vec<_>>().join("\n").replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::assert_snapshot!(text, @r#"
        INFO ispmon-agent VERSION sends a heartbeat for dl-home to https://ispmon.example/api/ping every 1 min.
        INFO ispmon-agent VERSION monitors dl-home locally: no heartbeat URL is set, so no mail will come when the connection fails. Set `heartbeat.url` to change that.
        WARN The device is named after its operating system.
        WARN Heartbeats go out without the boot's id: the id of this boot cannot be read: no such file.
        INFO The first heartbeat reached https://ispmon.example/api/ping in 132 ms; the cloud saw it come from 203.0.113.7.
        INFO The first heartbeat reached https://ispmon.example/api/ping in 132 ms.
        DEBUG Heartbeat delivered in 132 ms.
        WARN Heartbeat refused: the answer was 401 Unauthorized. Check the function key, which a service gets only when it starts, or the whole URL if it is a plain heartbeat. An app that is just starting may answer so too. The next try is in 1 min 2 s; further failures of this kind are logged at level debug only.
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
        INFO The cloud has taken 1 entry of the record.
        DEBUG The cloud has taken 12 entries of the record a second time, in case one was lost there.
        WARN The cloud has not taken what it has not heard yet: the answer was 200 OK, but "Welcome!" in place of {"accepted":1}. Heartbeats arrive, but the address beside theirs, which ends in `outages`, is not that of ispmon's function, or something on the way answers in its place.
        WARN The cloud takes others but refuses the incident or gap 00000000-0000-0000-0000-000000000007: the answer was 400. It is passed over, so that no mail will tell of it; it stays in the record.
        WARN 1 log line was dropped here: nobody read the log fast enough.
        WARN 12 log lines were dropped here: nobody read the log fast enough.
        ERROR This is a defect of ispmon-agent VERSION: panicked at src/x.rs:1:1:
        index out of bounds
        "#);
    }
}
