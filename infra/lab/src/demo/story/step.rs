//! The steps of the story, in order.

use std::fmt;

/// One step. Its Display describes the expected event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoryStep {
    /// The agent sends the first heartbeat.
    FirstHeartbeat,
    /// It keeps sending heartbeats.
    RegularHeartbeats,
    /// The connection is cut.
    ConnectionCut,
    /// The agent logs that a heartbeat failed.
    AgentNotices,
    /// The owner receives the alert.
    AlertMail,
    /// The owner receives a reminder.
    ReminderMail,
    /// The connection is restored.
    ConnectionRestored,
    /// The agent sends heartbeats again.
    HeartbeatReturns,
    /// The owner receives the report: what failed, from when to when.
    ReportMail,
    /// The owner receives the resolved mail.
    ResolvedMail,
    /// No further mail follows.
    Quiet,
}

impl StoryStep {
    /// All steps in order.
    pub const ALL: [Self; 11] = [
        Self::FirstHeartbeat,
        Self::RegularHeartbeats,
        Self::ConnectionCut,
        Self::AgentNotices,
        Self::AlertMail,
        Self::ReminderMail,
        Self::ConnectionRestored,
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
            Self::ConnectionCut => "the connection is cut",
            Self::AgentNotices => "the agent notices",
            Self::AlertMail => "the alert mail, after 5 to 10 minutes of silence",
            Self::ReminderMail => "the reminder, at the mark of 10 or 15 minutes",
            Self::ConnectionRestored => "the connection is restored",
            Self::HeartbeatReturns => "a heartbeat comes through within seconds",
            Self::ReportMail => "the report mail, with cause, start, end and minutes",
            Self::ResolvedMail => "the resolved mail, after three healthy evaluations",
            Self::Quiet => "no further mail",
        })
    }
}
