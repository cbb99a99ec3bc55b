//! Decides when each message is sent: a pure state machine of the service's phases.

use std::{path::Path, time::Duration};

use super::{
    message::{Assignment, NotifyMessage},
    text,
};
use crate::{
    clock::Stamp,
    status::{Status, text::DisplayContext},
    unit::NOT_STARTED,
};

/// How much longer than its known waits a start may take.
const START_MARGIN: Duration = Duration::from_secs(10);

/// The phase of the service.
///
/// | phase | occurrence | message | next phase |
/// |---|---|---|---|
/// | `Starting` | the journal is being opened | `EXTEND_TIMEOUT_USEC`, `STATUS` | `Starting` |
/// | `Starting` | the agent is ready | `READY=1`, `STATUS` | `Running` |
/// | `Starting` | the agent cannot start | `STATUS` | `Starting` |
/// | `Running`, `Reloading` | a reload is requested | `RELOADING=1`, `MONOTONIC_USEC` | `Reloading` |
/// | `Reloading` | the reload is over, successful or not | `READY=1`, `STATUS` | `Running` |
/// | `Running`, `Reloading` | the status changes, or a keep-alive is due | `STATUS`, `WATCHDOG=1` | the same |
/// | any but `Stopping` | the agent stops | `STOPPING=1`, `STATUS` | `Stopping` |
///
/// In all other cases nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServicePhase {
    Starting,
    Running,
    Reloading,
    Stopping,
}

/// An input of the state machine.
#[derive(Clone, Copy, Debug)]
pub(super) enum Occurrence<'a> {
    /// The journal in this folder is being opened, which takes the limit at most.
    Opening { folder: &'a Path, limit: Duration },
    /// The agent is ready.
    Ready,
    /// The agent cannot start, for this reason.
    StartFailed { reason: &'a str },
    /// A reload was requested at this time since boot, sleep excluded.
    ReloadRequested { monotonic: Duration },
    /// A reload is over; `refusal` is a sentence if the old configuration stays in use.
    Reloaded { refusal: Option<&'a str> },
    /// The agent stops because of this signal.
    Stopping { signal: &'a str },
    /// A new status snapshot was written.
    StatusChanged { status: &'a Status, context: &'a DisplayContext<'a> },
    /// A keep-alive is due.
    KeepAliveDue,
}

/// The state of the notifications, as sent to the service manager.
#[derive(Debug)]
pub(super) struct NotifyMachine {
    phase: ServicePhase,
    /// The status text that was sent last.
    last_sent: String,
    /// Since when the internet has been up; `None` while it is down or its state is unknown.
    up_since: Option<Stamp>,
    /// The newest sentence about the state.
    state: String,
    /// A sentence while the newest configuration is rejected.
    refusal: Option<String>,
}

impl NotifyMachine {
    /// The state before anything was sent.
    pub(super) fn new() -> Self {
        Self {
            phase: ServicePhase::Starting,
            last_sent: String::new(),
            up_since: None,
            state: "Started.".to_owned(),
            refusal: None,
        }
    }

    /// The message for an occurrence, by the table of [`ServicePhase`].
    pub(super) fn step(&mut self, occurrence: Occurrence<'_>) -> Option<NotifyMessage> {
        use ServicePhase::{Reloading, Running, Starting, Stopping};
        let assignments = match (self.phase, occurrence) {
            (Starting, Occurrence::Opening { folder, limit }) => {
                let text = format!("Opening the journal in {}.", folder.display());
                vec![Assignment::ExtendTimeout(limit + START_MARGIN), self.status_assignment(text)]
            }
            (Starting, Occurrence::Ready) => {
                self.phase = Running;
                vec![Assignment::Ready, self.status_assignment(self.text())]
            }
            (Starting, Occurrence::StartFailed { reason }) => {
                vec![self.status_assignment(format!("{NOT_STARTED}{reason}"))]
            }
            (Running | Reloading, Occurrence::ReloadRequested { monotonic }) => {
                self.phase = Reloading;
                vec![Assignment::Reloading { monotonic }]
            }
            (Reloading, Occurrence::Reloaded { refusal }) => {
                self.phase = Running;
                self.refusal = refusal.map(str::to_owned);
                vec![Assignment::Ready, self.status_assignment(self.text())]
            }
            (Starting | Running | Reloading, Occurrence::Stopping { signal }) => {
                self.phase = Stopping;
                let text = format!("Stopping because of {signal}.");
                vec![Assignment::Stopping, self.status_assignment(text)]
            }
            (Starting | Running | Reloading, Occurrence::StatusChanged { status, context }) => {
                self.up_since = text::up_since(self.up_since, status);
                self.state = text::sentence(status, self.up_since, context);
                let text = self.text();
                if self.phase == Starting || text == self.last_sent {
                    return None;
                }
                vec![self.status_assignment(text)]
            }
            (Running | Reloading, Occurrence::KeepAliveDue) => vec![Assignment::Watchdog],
            _ => return None,
        };
        Some(NotifyMessage(assignments))
    }

    /// The current status text.
    fn text(&self) -> String {
        match &self.refusal {
            None => self.state.clone(),
            Some(refusal) => format!("{} {refusal}", self.state),
        }
    }

    fn status_assignment(&mut self, text: String) -> Assignment {
        self.last_sent.clone_from(&text);
        Assignment::Status(text)
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::status::{Presence, working_status};

    const RELOAD: Occurrence<'_> =
        Occurrence::ReloadRequested { monotonic: Duration::from_secs(7) };
    const STOP: Occurrence<'_> = Occurrence::Stopping { signal: "SIGTERM" };
    const USED: Occurrence<'_> = Occurrence::Reloaded { refusal: None };

    fn sent(dialogue: &mut NotifyMachine, occurrence: Occurrence<'_>) -> String {
        dialogue
            .step(occurrence)
            .map_or_else(String::new, |message| message.to_string().trim_end().replace('\n', " "))
    }

    #[test]
    fn all_messages_from_start_to_stop() {
        let mut dialogue = NotifyMachine::new();
        let opening = Occurrence::Opening {
            folder: Path::new("/var/lib/ispmon"),
            limit: Duration::from_secs(10),
        };
        insta::assert_snapshot!(sent(&mut dialogue, opening), @"EXTEND_TIMEOUT_USEC=20000000 STATUS=Opening the journal in /var/lib/ispmon.");
        assert_eq!(
            sent(&mut dialogue, Occurrence::KeepAliveDue),
            "",
            "no keep-alive while starting"
        );
        assert_eq!(sent(&mut dialogue, Occurrence::Ready), "READY=1 STATUS=Started.");
        assert_eq!(sent(&mut dialogue, Occurrence::Ready), "", "once");
        assert_eq!(sent(&mut dialogue, Occurrence::KeepAliveDue), "WATCHDOG=1");
        assert_eq!(sent(&mut dialogue, USED), "", "no reload was requested");
        assert_eq!(sent(&mut dialogue, RELOAD), "RELOADING=1 MONOTONIC_USEC=7000000");
        assert_eq!(sent(&mut dialogue, Occurrence::KeepAliveDue), "WATCHDOG=1");
        assert_eq!(sent(&mut dialogue, RELOAD), "RELOADING=1 MONOTONIC_USEC=7000000");
        assert_eq!(sent(&mut dialogue, USED), "READY=1 STATUS=Started.");
        assert_eq!(sent(&mut dialogue, STOP), "STOPPING=1 STATUS=Stopping because of SIGTERM.");
        for late in [STOP, RELOAD, USED, Occurrence::Ready, Occurrence::KeepAliveDue] {
            assert_eq!(sent(&mut dialogue, late), "", "{late:?}");
        }
    }

    #[test]
    fn a_failed_start_sends_its_reason() {
        let mut dialogue = NotifyMachine::new();
        let reason = Occurrence::StartFailed { reason: "the configuration has a problem." };
        assert_eq!(
            sent(&mut dialogue, reason),
            "STATUS=Not started: the configuration has a problem."
        );
    }

    #[test]
    fn a_refusal_is_shown_until_a_configuration_is_accepted() {
        let mut dialogue = NotifyMachine::new();
        dialogue.step(Occurrence::Ready);
        let refused = Occurrence::Reloaded { refusal: Some("The configuration was refused.") };
        dialogue.step(RELOAD);
        assert_eq!(
            sent(&mut dialogue, refused),
            "READY=1 STATUS=Started. The configuration was refused."
        );
        let status = working_status();
        let context = DisplayContext {
            now: status.written,
            zone: &TimeZone::UTC,
            presence: Presence::Running,
        };
        let news = Occurrence::StatusChanged { status: &status, context: &context };
        let text = sent(&mut dialogue, news);
        assert!(text.starts_with("STATUS=Internet up since"), "{text}");
        assert!(text.ends_with(". The configuration was refused."), "{text}");
        assert_eq!(sent(&mut dialogue, news), "", "nothing changed");
        dialogue.step(RELOAD);
        let text = sent(&mut dialogue, USED);
        assert!(text.starts_with("READY=1 STATUS=Internet up since"), "{text}");
        assert!(!text.contains("refused"), "{text}");
    }

    #[test]
    fn a_status_before_the_start_is_over_is_sent_with_ready() {
        let mut dialogue = NotifyMachine::new();
        let status = working_status();
        let context = DisplayContext {
            now: status.written,
            zone: &TimeZone::UTC,
            presence: Presence::Running,
        };
        assert_eq!(
            sent(&mut dialogue, Occurrence::StatusChanged { status: &status, context: &context }),
            ""
        );
        let text = sent(&mut dialogue, Occurrence::Ready);
        assert!(text.starts_with("READY=1 STATUS=Internet up since"), "{text}");
    }
}
