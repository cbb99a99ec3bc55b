//! The events of a cloud.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::{
    clock::{Scale, StoryClock},
    host::restart::{Consequence, Ending},
    mail::{Mail, MailError},
    rules::Notification,
    telemetry::item::Severity,
};

/// One event; times are story times.
#[derive(Debug)]
pub enum CloudEvent {
    /// The function has started and responds.
    FunctionReady {
        /// How long that took, in real time.
        took: Duration,
    },
    /// The function exited by itself.
    FunctionEnded {
        /// Exit status or signal.
        ending: Ending,
        /// The host's reaction.
        consequence: Consequence,
        /// The last stderr lines of the function, oldest first.
        last_words: Vec<String>,
    },
    /// The host has stopped and accepts no more requests.
    HostStopped {
        /// The reason, as a sentence without its full stop.
        reason: String,
    },
    /// A function was invoked.
    Invoked {
        /// The function's name.
        function: String,
        /// The request's method.
        method: Method,
        /// The status that the client received.
        status: u16,
        /// The real time between request and response.
        took: Duration,
    },
    /// A request was refused without invoking the function.
    Rejected {
        /// The request's method.
        method: Method,
        /// Its path, without the query.
        path: String,
        /// The status that the client received: 401 or 404.
        status: u16,
        /// The client's address.
        caller: SocketAddr,
    },
    /// The function wrote a heartbeat's line.
    HeartbeatWritten(HeartbeatRow),
    /// A heartbeat has become visible to queries.
    HeartbeatVisible(HeartbeatRow),
    /// The function wrote the line of a handed-over outage or gap.
    OutageWritten(HandedOver),
    /// The function wrote another line.
    Line {
        /// Its severity.
        severity: Severity,
        /// The line.
        text: String,
    },
    /// The rules that were due have been evaluated.
    Evaluated {
        /// The time of the evaluation.
        at: Timestamp,
        /// How many mails were sent.
        mails: usize,
    },
    /// A mail was sent.
    Mail {
        /// The notification in it.
        notification: Box<Notification>,
        /// The mail.
        mail: Box<Mail>,
        /// The path of its file.
        file: PathBuf,
    },
    /// A mail could not be written.
    MailLost(MailError),
}

/// A heartbeat as the rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatRow {
    /// The device name as written.
    pub device: String,
    /// The note in the heartbeat.
    pub note: Option<String>,
    /// The agent's state, such as `running` or `stopping`.
    pub state: Option<String>,
    /// The announced silence, in story time.
    pub quiet: SignedDuration,
    /// The address from which the cloud received it.
    pub client_address: Option<String>,
    /// When the function wrote its line.
    pub written: Timestamp,
}

impl HeartbeatRow {
    /// Parses the line of a heartbeat that was written at `written`; `None` for any other line.
    pub fn read(line: &str, written: Timestamp, scale: Scale) -> Option<Self> {
        let line: EventFields = serde_json::from_str(line).ok()?;
        (line.event == "heartbeat").then(|| Self {
            device: line.device,
            note: line.note,
            state: line.state,
            quiet: scale.to_story(Duration::from_secs(line.quiet_s.into())),
            client_address: line.ip,
            written,
        })
    }
}

/// A handed-over outage or gap, in story time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HandedOver {
    /// The device name as written.
    pub device: String,
    /// The id of the incident or gap.
    pub id: String,
    /// `incident` or `gap`.
    pub kind: String,
    /// What failed, or why nothing was monitored.
    pub cause: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

impl HandedOver {
    /// Parses the line of an outage; `None` for any other line.
    pub fn read(line: &str, clock: &StoryClock) -> Option<Self> {
        let line: OutageLine = serde_json::from_str(line).ok()?;
        let outage = line.outage;
        (line.event == "outage").then(|| Self {
            started: clock.at_wall(outage.started),
            ended: clock.at_wall(outage.ended),
            ..outage
        })
    }
}

#[derive(Deserialize)]
struct OutageLine {
    event: String,
    #[serde(flatten)]
    outage: HandedOver,
}

#[derive(Deserialize)]
struct EventFields {
    event: String,
    device: String,
    note: Option<String>,
    state: Option<String>,
    #[serde(default)]
    quiet_s: u32,
    ip: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_heartbeat_are_converted_to_story_time() {
        let written = Timestamp::UNIX_EPOCH;
        let line = r#"{"event":"heartbeat","device":"dl-home","ip":"192.0.2.1","state":"stopping","quiet_s":30}"#;
        let expected = HeartbeatRow {
            device: "dl-home".to_owned(),
            note: None,
            state: Some("stopping".to_owned()),
            quiet: SignedDuration::from_mins(30),
            client_address: Some("192.0.2.1".to_owned()),
            written,
        };
        assert_eq!(HeartbeatRow::read(line, written, Scale::FASTEST), Some(expected));
        for other in [r#"{"event":"outage","device":"dl-home"}"#, "{}", "text", ""] {
            assert_eq!(HeartbeatRow::read(other, written, Scale::REAL), None, "{other}");
        }
    }

    #[test]
    fn the_times_of_an_outage_are_converted_to_story_time() {
        let clock = StoryClock::start_on_the_hour(Scale::FASTEST);
        let (from, to) = (clock.epoch(), clock.epoch() + SignedDuration::from_secs(14));
        let line = format!(
            r#"{{"event":"outage","device":"dl-home","id":"a","kind":"incident","cause":"isp","party":"provider","started":"{from}","ended":"{to}","downtime_s":14,"segments":[]}}"#
        );
        let outage = HandedOver::read(&line, &clock).expect("an outage");
        assert_eq!(outage.ended.duration_since(outage.started), SignedDuration::from_mins(14));
        assert_eq!(outage.started, clock.at_wall(from));
        assert_eq!((outage.device.as_str(), outage.cause.as_str()), ("dl-home", "isp"));
        for other in [line.replace("outage", "heartbeat"), "{}".to_owned(), String::new()] {
            assert_eq!(HandedOver::read(&other, &clock), None, "{other}");
        }
    }
}
