//! One message to the service manager.

use std::{fmt, time::Duration};

use crate::printable::shortened;

/// The longest status sentence, in characters of up to four bytes each. systemd ignores a whole message
/// of more than 4,096 bytes (`NOTIFY_BUFFER_MAX`).
const MOST_STATUS_CHARACTERS: usize = 900;

/// One assignment of a message, named as in `sd_notify(3)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Assignment {
    /// The agent is ready, initially or after a reload.
    Ready,
    /// The configuration is being reloaded.
    ///
    /// The message must include the time since boot without sleep (`CLOCK_MONOTONIC`), by which
    /// `Type=notify-reload` distinguishes the requested reload from an older one.
    Reloading { monotonic: Duration },
    /// The agent is stopping.
    Stopping,
    /// The state in one sentence.
    Status(String),
    /// The watchdog's keep-alive.
    Watchdog,
    /// Extends the start timeout to this long from now.
    ExtendTimeout(Duration),
}

impl fmt::Display for Assignment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => formatter.write_str("READY=1"),
            Self::Reloading { monotonic } => {
                write!(formatter, "RELOADING=1\nMONOTONIC_USEC={}", monotonic.as_micros())
            }
            Self::Stopping => formatter.write_str("STOPPING=1"),
            // A line break would begin another assignment.
            Self::Status(text) => {
                write!(formatter, "STATUS={}", shortened(text, MOST_STATUS_CHARACTERS))
            }
            Self::Watchdog => formatter.write_str("WATCHDOG=1"),
            Self::ExtendTimeout(limit) => {
                write!(formatter, "EXTEND_TIMEOUT_USEC={}", limit.as_micros())
            }
        }
    }
}

/// Assignments that the manager receives together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotifyMessage(pub(super) Vec<Assignment>);

impl NotifyMessage {
    /// Whether a newer message of the same kind makes this one obsolete.
    pub(super) fn is_superseded_by(&self, newer: &Self) -> bool {
        use Assignment::{Status, Watchdog};
        matches!((&self.0[..], &newer.0[..]), ([Status(_)], [Status(_)]) | ([Watchdog], [Watchdog]))
    }
}

impl fmt::Display for NotifyMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for assignment in &self.0 {
            writeln!(formatter, "{assignment}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_message_includes_its_time() {
        let message =
            NotifyMessage(vec![Assignment::Reloading { monotonic: Duration::from_secs(3) }]);
        assert_eq!(message.to_string(), "RELOADING=1\nMONOTONIC_USEC=3000000\n");
    }

    #[test]
    fn a_status_is_one_assignment_and_below_the_limit() {
        let text = format!("first\nREADY=1\r\u{1b}[2J{}", "\u{1f4e1}".repeat(5_000));
        let sent = NotifyMessage(vec![Assignment::Status(text)]).to_string();
        assert_eq!(sent.lines().count(), 1, "{sent:?}");
        assert!(sent.starts_with("STATUS=first"), "{sent:?}");
        assert!(!sent.contains(|character: char| character.is_control() && character != '\n'));
        assert!(sent.len() < 4_096, "{}", sent.len());
    }

    #[test]
    fn only_a_newer_message_of_the_same_kind_supersedes() {
        use Assignment::{Ready, Status, Watchdog};
        let status = || Status(String::new());
        let message = |assignments: &[Assignment]| NotifyMessage(assignments.to_vec());
        assert!(message(&[status()]).is_superseded_by(&message(&[status()])));
        assert!(message(&[Watchdog]).is_superseded_by(&message(&[Watchdog])));
        assert!(!message(&[Ready, status()]).is_superseded_by(&message(&[status()])));
        assert!(!message(&[Watchdog]).is_superseded_by(&message(&[status()])));
    }
}
