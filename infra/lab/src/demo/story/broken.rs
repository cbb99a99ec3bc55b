//! How a story can go wrong.

use jiff::{SignedDuration, Timestamp};

use super::StoryStep;

/// What happened that should not have, or did not happen that should have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StoryFault {
    /// A step was not completed in time.
    #[error("By {} this should have happened, but did not: {step}.", clock_time(*deadline))]
    Missing {
        /// The step.
        step: StoryStep,
        /// By when it should have been completed.
        deadline: Timestamp,
    },
    /// Heartbeats stopped although the line works.
    #[error("No heartbeat came after {}, although the line works.", clock_time(*last))]
    HeartbeatsStopped {
        /// When the last heartbeat was written.
        last: Timestamp,
    },
    /// Something happened before its time.
    #[error("{what}, but what should have happened next is: {instead_of}.")]
    OutOfOrder {
        /// What happened, without the full stop.
        what: String,
        /// The step that should have come next.
        instead_of: StoryStep,
    },
    /// The story ended before another mail could have come.
    #[error("The story ended before {}, when another mail might still have come.", clock_time(*until))]
    TooShort {
        /// Until when it should have gone on.
        until: Timestamp,
    },
    /// Something happened when the story was over.
    #[error("Something happened after the end of the story.")]
    AfterTheEnd,
    /// The line was not cut.
    #[error("A heartbeat came through at {}, although the line was cut.", clock_time(*written))]
    ThroughTheCut {
        /// When it was written.
        written: Timestamp,
    },
    /// A mail is about something else.
    #[error("The mail does not name the device ({step}): it is about `{about}`.")]
    OtherDevice {
        /// The step that the mail would have completed.
        step: StoryStep,
        /// What it is about.
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
        /// How long after the last heartbeat, or after the first that came back.
        after: SignedDuration,
        /// The earliest right time.
        from: SignedDuration,
        /// The latest right time.
        until: SignedDuration,
    },
    /// A mail shows another silence than there was.
    #[error("The mail shows {shown:.1} minutes of silence, but there were {counted:.1} ({step}).")]
    WrongMinutes {
        /// The step that the mail would have completed.
        step: StoryStep,
        /// The minutes in the mail.
        shown: f64,
        /// The minutes since the last heartbeat.
        counted: f64,
    },
    /// The report says something else than what happened.
    #[error("The report mail shows the {what} as {shown}, but it was {right}.")]
    WrongReport {
        /// What is wrong in it.
        what: &'static str,
        /// What it shows.
        shown: String,
        /// What it should show.
        right: String,
    },
}

fn minutes(duration: SignedDuration) -> f64 {
    duration.as_secs_f64() / 60.0
}

fn clock_time(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%H:%M:%S")
}
