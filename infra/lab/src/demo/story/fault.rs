//! The ways in which a story can fail.

use jiff::{SignedDuration, Timestamp};

use super::step::StoryStep;

/// An unexpected event, or a missing one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StoryFault {
    /// A step was not completed in time.
    #[error("By {} this should have happened, but did not: {step}.", clock_time(*deadline))]
    Missing {
        /// The step.
        step: StoryStep,
        /// Its deadline.
        deadline: Timestamp,
    },
    /// Heartbeats stopped although the connection works.
    #[error("No heartbeat arrived after {}, although the connection works.", clock_time(*last))]
    HeartbeatsStopped {
        /// When the last heartbeat was written.
        last: Timestamp,
    },
    /// An event came too early.
    #[error("{what}, but what should have happened next is: {instead_of}.")]
    OutOfOrder {
        /// The event, without the full stop.
        what: String,
        /// The step that was expected next.
        instead_of: StoryStep,
    },
    /// The story ended before a further mail could have arrived.
    #[error("The story ended before {}, when another mail might still have come.", clock_time(*until))]
    TooShort {
        /// The earliest allowed end.
        until: Timestamp,
    },
    /// An event happened after the story was complete.
    #[error("Something happened after the end of the story.")]
    AfterTheEnd,
    /// The connection was not cut.
    #[error("A heartbeat came through at {}, although the connection was cut.", clock_time(*written))]
    HeartbeatDuringCut {
        /// When the heartbeat was written.
        written: Timestamp,
    },
    /// A mail is about another device.
    #[error("The mail does not name the device ({step}): it is about `{about}`.")]
    OtherDevice {
        /// The step that the mail would have completed.
        step: StoryStep,
        /// The device in the mail.
        about: String,
    },
    /// A mail came too early or too late.
    #[error(
        "The mail came at a wrong time ({step}): {:.1} min after the last change, not {} to {} min.",
        minutes(*after), from.as_mins(), until.as_mins()
    )]
    WrongTime {
        /// The step that the mail would have completed.
        step: StoryStep,
        /// How long after the last heartbeat, or after the first one that came back.
        after: SignedDuration,
        /// The earliest expected time.
        from: SignedDuration,
        /// The latest expected time.
        until: SignedDuration,
    },
    /// A mail shows the wrong duration of silence.
    #[error("The mail shows {shown:.1} minutes of silence, but there were {counted:.1} ({step}).")]
    WrongMinutes {
        /// The step that the mail would have completed.
        step: StoryStep,
        /// The minutes in the mail.
        shown: f64,
        /// The minutes since the last heartbeat.
        counted: f64,
    },
    /// The report has wrong contents.
    #[error("The report mail shows the {what} as {shown}, but it was {right}.")]
    WrongReport {
        /// The wrong part.
        what: &'static str,
        /// Its value.
        shown: String,
        /// The expected value.
        right: String,
    },
}

fn minutes(duration: SignedDuration) -> f64 {
    duration.as_secs_f64() / 60.0
}

fn clock_time(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%H:%M:%S")
}
