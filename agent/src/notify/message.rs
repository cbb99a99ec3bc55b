//! One message to the service manager.

use std::{fmt, time::Duration};

use crate::printable::shortened;

/// The longest sentence of a status, in characters, of up to four bytes each. A message of more than 4,096
/// bytes is ignored as a whole (`NOTIFY_BUFFER_MAX` of systemd).
const MOST_STATUS_CHARACTERS: usize = 900;

/// What one message assigns, by the names of `sd_notify(3)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Assignment {
    /// The agent works, or works again after a reload.
    Ready,
    /// The configuration is being read again.
    ///
    /// The time since boot without sleep (`CLOCK_MONOTONIC`) has to stand in the same message: `Type=notify-reload`
    /// tells by it a reload that was asked for from an older one.
    Reloading { monotonic: Duration },
    /// The agent is about to end.
    Stopping,
    /// The state in one sentence.
    Status(String),
    /// The agent works on.
    Watchdog,
    /// The start goes on; it takes no longer than this from now on.
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

/// Assignments that the manager takes in together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotifyMessage(pub(super) Vec<Assignment>);

impl NotifyMessage {
    /// Whether a newer message of the same kind makes this one worthless.
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
    fn the_time_stands_in_the_message_of_the_reload() {
        let message =
            NotifyMessage(vec![Assignment::Reloading { monotonic: Duration::from_secs(3) }]);
        assert_eq!(message.to_string(), "RELOADING=1\nMONOTONIC_USEC=3000000\n");
    }

    #[test]
    fn a_sentence_stays_one_assignment_and_below_the_limit() {
        let text = format!("first\nREADY=1\r\u{1b}[2J{}", "\u{1f4e1}".repeat(5_000));
        let sent = NotifyMessage(vec![Assignment::Status(text)]).to_string();
        assert_eq!(sent.lines().count(), 1, "{sent:?}");
        assert!(sent.starts_with("STATUS=first"), "{sent:?}");
        assert!(!sent.contains(|character: char| character.is_control() && character != '\n'));
        assert!(sent.len() < 4_096, "{}", sent.len());
    }

    #[test]
    fn only_what_says_the_same_thing_anew_is_superseded() {
        use Assignment::{Ready, Status, Watchdog};
        let status = || Status(String::new());
        let message = |assignments: &[Assignment]| NotifyMessage(assignments.to_vec());
        assert!(message(&[status()]).is_superseded_by(&message(&[status()])));
        assert!(message(&[Watchdog]).is_superseded_by(&message(&[Watchdog])));
        assert!(!message(&[Ready, status()]).is_superseded_by(&message(&[status()])));
        assert!(!message(&[Watchdog]).is_superseded_by(&message(&[status()])));
    }
}
