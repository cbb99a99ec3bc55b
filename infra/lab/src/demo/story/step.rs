//! The steps of the story, in their order.

use std::fmt;

/// One step. Its Display says what is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoryStep {
    /// The agent reports.
    FirstHeartbeat,
    /// It goes on reporting.
    RegularHeartbeats,
    /// The connection dies.
    LineCut,
    /// The agent sees that.
    AgentNotices,
    /// The owner is told.
    AlertMail,
    /// The owner is told again.
    ReminderMail,
    /// The connection comes back.
    LineRestored,
    /// The agent reports again.
    HeartbeatReturns,
    /// The owner is told what broke, from when to when.
    ReportMail,
    /// The owner is told that it is over.
    ResolvedMail,
    /// And is not told anything else.
    Quiet,
}

impl StoryStep {
    /// All steps in their order.
    pub const ALL: [Self; 11] = [
        Self::FirstHeartbeat,
        Self::RegularHeartbeats,
        Self::LineCut,
        Self::AgentNotices,
        Self::AlertMail,
        Self::ReminderMail,
        Self::LineRestored,
        Self::HeartbeatReturns,
        Self::ReportMail,
        Self::ResolvedMail,
        Self::Quiet,
    ];
    /// The first step.
    pub const FIRST: Self = Self::ALL[0];

    /// The step that follows.
    pub fn next(self) -> Option<Self> {
        Self::ALL.iter().copied().find(|step| *step > self)
    }
}

impl fmt::Display for StoryStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::FirstHeartbeat => "the first heartbeat can be queried",
            Self::RegularHeartbeats => "heartbeats come regularly",
            Self::LineCut => "the line is cut",
            Self::AgentNotices => "the agent notices",
            Self::AlertMail => "the alert mail, after 5 to 10 minutes of silence",
            Self::ReminderMail => "the reminder, at the mark of 10 or 15 minutes",
            Self::LineRestored => "the line is restored",
            Self::HeartbeatReturns => "a heartbeat comes through within seconds",
            Self::ReportMail => "the report mail, with cause, start, end and minutes",
            Self::ResolvedMail => "the resolved mail, after three healthy evaluations",
            Self::Quiet => "no further mail",
        })
    }
}
