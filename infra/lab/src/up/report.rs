//! Prints the events of the cloud, one line each.

use ispmon_agent::error_chain::ErrorChain;
use ispmon_wire::comparison_key;
use jiff::{SignedDuration, Timestamp};

use crate::{
    cloud::{CloudEvent, HandedOver, HeartbeatRow},
    host::{
        event::{HandlerEnd, InvocationResult, Rejection},
        restart::Consequence,
    },
    telemetry::item::Severity,
};

/// Formats an event at `now`, where the rules cover `devices`; `None` for an event that another
/// line already covers.
pub fn line(now: Timestamp, event: &CloudEvent, devices: &[String]) -> Option<String> {
    let text = match event {
        CloudEvent::FunctionReady { took } => {
            format!("The function is ready, {:.0} ms after its start.", took.as_secs_f64() * 1000.0)
        }
        CloudEvent::FunctionEnded(HandlerEnd { ending, consequence, last_words }) => {
            let what = match consequence {
                Consequence::Restart => "it is started again",
                Consequence::Nothing => {
                    "as after every exit with 0 it is not started again, and requests fail"
                }
                Consequence::Stop => "that was the third time, and the host stops",
            };
            let words = match &last_words[..] {
                [] => String::new(),
                lines => format!(" It wrote: {}", lines.join(" / ")),
            };
            format!("The function {ending}; {what}.{words}")
        }
        CloudEvent::HostStopped { reason } => format!("The Functions host has stopped: {reason}."),
        // The heartbeat, the function's other lines and a refusal have lines of their own.
        CloudEvent::Invoked(InvocationResult { status: 200, .. }) => return None,
        CloudEvent::Invoked(InvocationResult { function, method, status }) => {
            format!("{method} to {function}: the answer was {status}.")
        }
        CloudEvent::Rejected(Rejection { method, path, status, caller }) => {
            let reason = match status {
                401 => "no key, or a wrong one",
                _ => "no function takes that",
            };
            format!("{method} {path} from {}: {status}, {reason}.", caller.ip())
        }
        CloudEvent::HeartbeatWritten(heartbeat) => written(heartbeat, devices),
        CloudEvent::HeartbeatVisible(heartbeat) => {
            let delay = now.duration_since(heartbeat.written);
            if delay < SignedDuration::from_secs(1) {
                return None;
            }
            format!(
                "The rules see the heartbeat of {} after {} s.",
                heartbeat.device,
                delay.as_secs()
            )
        }
        CloudEvent::OutageWritten(outage) => handed_over(outage),
        CloudEvent::Line { severity, text } => match severity {
            Severity::Error | Severity::Critical => format!("The function wrote an error: {text}"),
            Severity::Warning => format!("The function wrote a warning: {text}"),
            Severity::Verbose | Severity::Information => format!("The function wrote: {text}"),
        },
        CloudEvent::Evaluated { mails: 0 } => "The rules were evaluated: no mail.".to_owned(),
        CloudEvent::Evaluated { .. } => return None,
        CloudEvent::Mail { mail, file, .. } => {
            format!("MAIL  {}  {}", mail.subject, file.display())
        }
        CloudEvent::MailLost(error) => {
            format!("A mail was lost: {}.", ErrorChain(error))
        }
    };
    Some(format!("{}  {}", now.strftime("%H:%M:%S"), replace_control_characters(&text)))
}

fn written(heartbeat: &HeartbeatRow, devices: &[String]) -> String {
    let HeartbeatRow { device, note, state, quiet, client_address, .. } = heartbeat;
    let mut parts = vec![format!("Heartbeat from {device}")];
    let key = comparison_key(device);
    if !devices.iter().any(|expected| comparison_key(expected) == key) {
        parts.push("which no rule monitors".to_owned());
    }
    parts.extend(state.clone());
    parts.extend(client_address.as_ref().map(|address| format!("seen at {address}")));
    parts.extend(note.as_ref().map(|note| format!("note: {note}")));
    if !quiet.is_zero() {
        let minutes = quiet.as_secs().div_euclid(60);
        parts.push(format!("may be silent for {minutes} min"));
    }
    parts.join(", ") + "."
}

fn handed_over(outage: &HandedOver) -> String {
    let HandedOver { device, id, kind, cause, started, ended } = outage;
    let (from, to) = (started.strftime("%Y-%m-%d %H:%M:%S"), ended.strftime("%H:%M:%S"));
    format!("Handed over by {device}: {kind} {id}, {cause}, {from} to {to}.")
}

/// Escapes line breaks and control characters, so that a terminal cannot interpret them.
fn replace_control_characters(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use std::{io, path::PathBuf, time::Duration};

    use super::*;
    use crate::{host::restart::Ending, mail::MailError};

    fn now() -> Timestamp {
        "2026-03-01T12:05:07Z".parse().expect("a time")
    }

    fn device_names() -> [String; 1] {
        ["DL-Home".to_owned()]
    }

    fn heartbeat() -> HeartbeatRow {
        HeartbeatRow {
            device: "dl-home".to_owned(),
            note: None,
            state: None,
            quiet: SignedDuration::ZERO,
            client_address: None,
            written: now() - SignedDuration::from_secs(12),
        }
    }

    #[test]
    fn every_event_is_a_sentence() {
        let function = || "Ping".to_owned();
        let events = [
            CloudEvent::FunctionReady { took: Duration::from_micros(31_400) },
            CloudEvent::HeartbeatWritten(heartbeat()),
            CloudEvent::HeartbeatWritten(HeartbeatRow {
                note: Some("two\nlines \u{1b}[2J".to_owned()),
                state: Some("stopping".to_owned()),
                quiet: SignedDuration::from_mins(30),
                client_address: Some("192.0.2.1".to_owned()),
                ..heartbeat()
            }),
            CloudEvent::HeartbeatWritten(HeartbeatRow {
                device: "unknown".to_owned(),
                client_address: Some("192.0.2.1".to_owned()),
                ..heartbeat()
            }),
            CloudEvent::HeartbeatVisible(heartbeat()),
            CloudEvent::OutageWritten(HandedOver {
                device: "dl-home".to_owned(),
                id: "0198c0de-0000-7000-8000-000000000001".to_owned(),
                kind: "incident".to_owned(),
                cause: "isp".to_owned(),
                started: now() - SignedDuration::from_mins(20),
                ended: now() - SignedDuration::from_secs(3),
            }),
            CloudEvent::Invoked(InvocationResult {
                function: function(),
                method: hyper::Method::POST,
                status: 400,
            }),
            CloudEvent::Rejected(Rejection {
                method: hyper::Method::GET,
                path: "/api/ping".to_owned(),
                status: 401,
                caller: ([192, 0, 2, 1], 5).into(),
            }),
            CloudEvent::Rejected(Rejection {
                method: hyper::Method::PUT,
                path: "/api/ping".to_owned(),
                status: 404,
                caller: ([192, 0, 2, 1], 5).into(),
            }),
            CloudEvent::Line { severity: Severity::Error, text: "all is lost".to_owned() },
            CloudEvent::Evaluated { mails: 0 },
            CloudEvent::MailLost(MailError::Write {
                path: PathBuf::from("mails/1.eml"),
                source: io::Error::other("no space"),
            }),
            CloudEvent::FunctionEnded(HandlerEnd {
                ending: Ending::Code(1),
                consequence: Consequence::Restart,
                last_words: vec!["out of luck".to_owned()],
            }),
            CloudEvent::HostStopped { reason: "the function failed for the third time".to_owned() },
        ];
        let lines: Vec<_> = events
            .iter()
            .map(|event| line(now(), event, &device_names()).expect("a line"))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        12:05:07  The function is ready, 31 ms after its start.
        12:05:07  Heartbeat from dl-home.
        12:05:07  Heartbeat from dl-home, stopping, seen at 192.0.2.1, note: two�lines �[2J, may be silent for 30 min.
        12:05:07  Heartbeat from unknown, which no rule monitors, seen at 192.0.2.1.
        12:05:07  The rules see the heartbeat of dl-home after 12 s.
        12:05:07  Handed over by dl-home: incident 0198c0de-0000-7000-8000-000000000001, isp, 2026-03-01 11:45:07 to 12:05:04.
        12:05:07  POST to Ping: the answer was 400.
        12:05:07  GET /api/ping from 192.0.2.1: 401, no key, or a wrong one.
        12:05:07  PUT /api/ping from 192.0.2.1: 404, no function takes that.
        12:05:07  The function wrote an error: all is lost
        12:05:07  The rules were evaluated: no mail.
        12:05:07  A mail was lost: cannot write the mail `mails/1.eml`: no space.
        12:05:07  The function exited with code 1; it is started again. It wrote: out of luck
        12:05:07  The Functions host has stopped: the function failed for the third time.
        ");
    }

    #[test]
    fn an_event_covered_by_another_line_prints_nothing() {
        let invoked = CloudEvent::Invoked(InvocationResult {
            function: "Ping".to_owned(),
            method: hyper::Method::POST,
            status: 200,
        });
        let at_once = CloudEvent::HeartbeatVisible(HeartbeatRow { written: now(), ..heartbeat() });
        for event in [invoked, at_once, CloudEvent::Evaluated { mails: 1 }] {
            assert_eq!(line(now(), &event, &device_names()), None);
        }
    }
}
