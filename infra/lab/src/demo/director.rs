//! Drives the demo: cuts and restores the connection, and reports events to the story.

use std::{
    fmt, future,
    io::{self, Write},
    process::ExitStatus,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    agent::{Agent, AgentEvent, LogLine},
    narrator::{Completed, Narrator},
    story::{
        Story, StoryEvent, StoryFault, StoryMail, StoryMailKind, StoryReport, StoryStep,
        TimedStoryEvent,
    },
};
use crate::{
    clock::StoryClock,
    cloud::{Cloud, CloudEvent},
    host::event::{HandlerEnd, Rejection},
    internet::Internet,
    mail::MailError,
    relay::RelayError,
    rules::{MonitorCondition, Notification, settings::RuleMode},
    signals::StopSignals,
};

/// When the connection is cut, from the start: late enough for some regular heartbeats, and so that
/// the evaluations, which run every five minutes, detect the silence early.
const CUT_AFTER: SignedDuration = SignedDuration::from_millis(6 * 60_000 + 30_000);
/// How long after the reminder the connection is restored.
const RESTORE_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// Why the demo did not complete.
#[derive(Debug, thiserror::Error)]
pub enum DemoFailure {
    /// A step was missing, late, repeated or wrong.
    #[error("the story went wrong")]
    Story(#[from] StoryFault),
    /// The agent exited.
    #[error("the agent has ended in the middle of the story: {0}")]
    AgentEnded(ExitStatus),
    /// The exit status of the agent could not be read.
    #[error("the agent was lost in the middle of the story")]
    AgentLost(#[source] io::Error),
    /// The function exited, whatever the host did then.
    #[error(
        "the function has ended in the middle of the story: it {}{}",
        .0.ending, LastLines(&.0.last_words)
    )]
    FunctionEnded(HandlerEnd),
    /// The host has stopped.
    #[error("the stand-in for the Functions host has stopped in the middle of the story: {reason}")]
    HostStopped {
        /// The reason.
        reason: String,
    },
    /// The host refused a request.
    #[error(
        "the stand-in for the Functions host answered {} {} with {}",
        .0.method, .0.path, .0.status
    )]
    Rejected(Rejection),
    /// A mail could not be written.
    #[error("a mail could not be sent")]
    Mail(#[source] MailError),
    /// The connection could not be cut.
    #[error("the connection could not be cut")]
    Line(#[from] RelayError),
    /// The user stopped the demo.
    #[error("stopped by {0} before the end of the story")]
    Interrupted(&'static str),
    /// Signal handlers could not be installed.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
}

/// The last lines of a process, as the end of a sentence.
struct LastLines<'words>(&'words [String]);

impl fmt::Display for LastLines<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(formatter, "; its last words: {}", self.0.join(" / "))
        }
    }
}

/// All parts of the demo, and the story that checks it.
#[derive(Debug)]
pub struct Director<W> {
    clock: StoryClock,
    cloud: Cloud,
    internet: Internet,
    agent: Agent,
    story: Story,
    narrator: Narrator<W>,
    completed: Vec<Completed>,
    heartbeats: Vec<Timestamp>,
}

/// The director's next own action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextAction {
    Cut,
    Restore,
    End,
}

impl<W: Write> Director<W> {
    /// Creates a director for a story that has just begun.
    pub fn new(
        cloud: Cloud,
        internet: Internet,
        agent: Agent,
        device: &str,
        clock: StoryClock,
        narrator: Narrator<W>,
    ) -> Self {
        let story = Story::new(device, clock.epoch());
        let (completed, heartbeats) = (Vec::new(), Vec::new());
        Self { clock, cloud, internet, agent, story, narrator, completed, heartbeats }
    }

    /// Runs until the story is complete or broken, and prints the summary either way.
    pub async fn run(&mut self, stop: &mut StopSignals) -> Result<(), DemoFailure> {
        let result = self.play(stop).await;
        self.narrator.summary(&self.completed);
        result
    }

    /// Stops the agent, then the cloud.
    pub async fn stop(mut self) {
        self.agent.terminate();
        while !matches!(self.agent.next().await, AgentEvent::Exited(_)) {}
        self.cloud.stop().await;
    }

    async fn play(&mut self, stop: &mut StopSignals) -> Result<(), DemoFailure> {
        while self.story.next().is_some() {
            let cue = self.next_action();
            let deadline = self.story.deadline();
            let clock = self.clock;
            tokio::select! {
                biased;
                by = stop.next() => return Err(DemoFailure::Interrupted(by)),
                event = self.cloud.next_event() => self.on_cloud_event(event)?,
                event = self.agent.next() => self.on_agent_event(event)?,
                cue = wait_for_action(clock, cue) => self.act(cue).await?,
                () = clock.sleep_until(deadline) => return Err(self.story.overdue().into()),
            }
        }
        Ok(())
    }

    /// The next action and its time.
    fn next_action(&self) -> Option<(Timestamp, NextAction)> {
        let after = |wait| {
            let last = self.completed.last().map_or(self.clock.epoch(), |(_, at)| *at);
            last.saturating_add(wait).unwrap_or(Timestamp::MAX)
        };
        match self.story.next()? {
            StoryStep::ConnectionCut => {
                let cut = self.clock.epoch().saturating_add(CUT_AFTER).unwrap_or(Timestamp::MAX);
                Some((cut, NextAction::Cut))
            }
            StoryStep::ConnectionRestored => Some((after(RESTORE_AFTER), NextAction::Restore)),
            StoryStep::Quiet => self.story.quiet_until().map(|until| (until, NextAction::End)),
            _ => None,
        }
    }

    async fn act(&mut self, cue: NextAction) -> Result<(), DemoFailure> {
        match cue {
            NextAction::Cut => {
                let from = self.clock.now();
                self.narrator
                    .print_event(from, "NETWORK  Cutting the connection between agent and cloud.");
                self.internet.cut().await?;
                let at = self.clock.now();
                let proof = "NETWORK  The connection is cut: new connects hang.";
                self.narrator.print_event(at, proof);
                self.report(at, StoryEvent::ConnectionCut)
            }
            NextAction::Restore => {
                let at = self.clock.now();
                self.internet.restore();
                self.narrator.print_event(at, "NETWORK  The connection is restored.");
                self.report(at, StoryEvent::ConnectionRestored)
            }
            NextAction::End => {
                let at = self.clock.now();
                self.narrator
                    .print_event(at, "cloud    another evaluation has passed without a mail");
                self.report(at, StoryEvent::Over)
            }
        }
    }

    fn on_cloud_event(&mut self, event: CloudEvent) -> Result<(), DemoFailure> {
        match event {
            CloudEvent::HeartbeatVisible(heartbeat) => self.heartbeat(heartbeat.written),
            CloudEvent::Mail { notification, mail, file } => {
                self.narrator.mail(&mail, &file);
                let at = self.clock.now().max(mail.sent);
                self.report(at, StoryEvent::Mail(StoryMail::of(&notification)))
            }
            CloudEvent::OutageWritten(outage) => {
                let minutes = outage.ended.duration_since(outage.started).as_mins();
                let text = format!(
                    "cloud    {} hands over: {} of {minutes} min, {}",
                    outage.device, outage.kind, outage.cause
                );
                self.narrator.print_event(self.clock.now(), text);
                Ok(())
            }
            CloudEvent::FunctionReady { took } => {
                let text = format!(
                    "cloud    the function answers {} ms after its start",
                    took.as_millis()
                );
                self.narrator.print_event(self.clock.now(), text);
                Ok(())
            }
            CloudEvent::FunctionEnded(end) => Err(DemoFailure::FunctionEnded(end)),
            CloudEvent::HostStopped { reason } => Err(DemoFailure::HostStopped { reason }),
            CloudEvent::MailLost(error) => Err(DemoFailure::Mail(error)),
            CloudEvent::Rejected(rejection) => Err(DemoFailure::Rejected(rejection)),
            // The story counts heartbeats when they are visible to queries, not before.
            CloudEvent::Invoked { .. }
            | CloudEvent::HeartbeatWritten(_)
            | CloudEvent::Line { .. }
            | CloudEvent::Evaluated { .. } => Ok(()),
        }
    }

    fn heartbeat(&mut self, written: Timestamp) -> Result<(), DemoFailure> {
        let number = self.heartbeats.len() + 1;
        let gap = self.heartbeats.last().map(|last| written.duration_since(*last).as_secs());
        self.heartbeats.push(written);
        let at = self.clock.now();
        match (gap, self.story.next()) {
            (None, _) => {
                let text = format!("cloud    heartbeat {number} can be queried");
                self.narrator.print_event(at, text);
            }
            // Regular heartbeats have been shown before; more of them only lengthen the output.
            (_, Some(StoryStep::ReportMail | StoryStep::ResolvedMail | StoryStep::Quiet)) => {}
            (Some(gap), _) => {
                let text = format!("cloud    heartbeat {number}, {gap} s after the one before");
                self.narrator.print_event(at, text);
            }
        }
        self.report(at, StoryEvent::Heartbeat { written })
    }

    /// Reports an event to the story, and prints the step that it completes.
    fn report(&mut self, at: Timestamp, what: StoryEvent) -> Result<(), DemoFailure> {
        if let Some(step) = self.story.observe(&TimedStoryEvent { at, event: what })? {
            self.completed.push((step, at));
        }
        Ok(())
    }

    fn on_agent_event(&mut self, event: AgentEvent) -> Result<(), DemoFailure> {
        let LogLine { level, message: sentence } = match event {
            AgentEvent::Logged(line) => line,
            AgentEvent::Exited(Ok(status)) => return Err(DemoFailure::AgentEnded(status)),
            AgentEvent::Exited(Err(error)) => return Err(DemoFailure::AgentLost(error)),
        };
        let at = self.clock.now();
        self.narrator.print_event(at, format_args!("agent    {sentence}"));
        if level == "WARN" && self.story.next() == Some(StoryStep::AgentNotices) {
            self.report(at, StoryEvent::AgentNoticed)
        } else {
            Ok(())
        }
    }
}

/// Waits until an action is due; forever without one.
async fn wait_for_action(clock: StoryClock, cue: Option<(Timestamp, NextAction)>) -> NextAction {
    match cue {
        Some((at, cue)) => {
            clock.sleep_until(at).await;
            cue
        }
        None => future::pending().await,
    }
}

impl StoryMail {
    /// Extracts what the story checks from a notification.
    fn of(notification: &Notification) -> Self {
        let dimension = |name: &str| {
            let found = notification.dimensions.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        // Of the stateless rules, only the outage report has a start and an end.
        let report = || {
            let (start, end) = (dimension("Start")?, dimension("End")?);
            Some(StoryReport { cause: dimension("Cause")?, start, end })
        };
        let report = report();
        let kind = match (notification.condition, notification.rule.mode) {
            (MonitorCondition::Fired, RuleMode::Stateful { .. }) if report.is_some() => {
                StoryMailKind::Report
            }
            (MonitorCondition::Resolved, _) => StoryMailKind::Resolved,
            (MonitorCondition::Fired, RuleMode::Stateful { .. }) => StoryMailKind::Alert,
            (MonitorCondition::Fired, RuleMode::Stateless) => StoryMailKind::Reminder,
        };
        let about: Vec<&str> =
            notification.dimensions.iter().map(|(_, value)| value.as_str()).collect();
        Self {
            kind,
            about: about.join(", "),
            minutes: notification.value.unwrap_or_default(),
            report,
            evaluated: notification.evaluated,
        }
    }
}
