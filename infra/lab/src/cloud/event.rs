//! The events of a cloud.

use std::{path::PathBuf, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::{
    clock::{Scale, StoryClock},
    host::event::{HandlerEnd, InvocationResult, Rejection},
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
    FunctionEnded(HandlerEnd),
    /// The host has stopped and accepts no more requests.
    HostStopped {
        /// The reason, as a sentence without its full stop.
        reason: String,
    },
    /// A function was invoked.
    Invoked(InvocationResult),
    /// A request was refused without invoking the function.
    Rejected(Rejection),
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
        let Ok(DeviceLine::Heartbeat { device, note, state, quiet_s, ip }) =
            serde_json::from_str(line)
        else {
            return None;
        };
        let quiet = scale.to_story(Duration::from_secs(quiet_s.into()));
        Some(Self { device, note, state, quiet, client_address: ip, written })
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
        let Ok(DeviceLine::Outage(outage)) = serde_json::from_str(line) else { return None };
        Some(Self {
            started: clock.at_wall(outage.started),
            ended: clock.at_wall(outage.ended),
            ..outage
        })
    }
}

/// A line about a device.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum DeviceLine {
    Heartbeat {
        device: String,
        note: Option<String>,
        state: Option<String>,
        #[serde(default)]
        quiet_s: u32,
        ip: Option<String>,
    },
    Outage(HandedOver),
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
