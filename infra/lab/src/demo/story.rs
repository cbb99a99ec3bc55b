//! The expected course of the demo, checked step by step.
//!
//! A [`Story`] receives events with their times, and returns the step that each completes, or an
//! error. It has no side effects and reads no clock. All times are story times.

mod fault;
mod step;

use jiff::{SignedDuration, Timestamp};

pub use fault::StoryFault;
pub use step::StoryStep;

/// An event and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedStoryEvent {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: StoryEvent,
}

/// The events of a story.
#[derive(Clone, Debug, PartialEq)]
pub enum StoryEvent {
    /// A heartbeat of the device has become visible to queries.
    Heartbeat {
        /// When the function wrote its line.
        written: Timestamp,
    },
    /// The connection between agent and cloud was cut.
    ConnectionCut,
    /// The agent logged that a heartbeat failed.
    AgentNoticed,
    /// A mail was sent.
    Mail(StoryMail),
    /// The connection between agent and cloud was restored.
    ConnectionRestored,
    /// The final wait is over.
    Over,
}

/// The parts of a mail that the story checks.
#[derive(Clone, Debug, PartialEq)]
pub struct StoryMail {
    /// The kind of mail.
    pub kind: StoryMailKind,
    /// The dimension values, which include the device.
    pub about: String,
    /// The minutes in the mail: of silence, or of downtime in a report.
    pub minutes: f64,
    /// The outage in a report; `None` for other mails.
    pub report: Option<StoryReport>,
    /// When the evaluation ran that sent it.
    pub evaluated: Timestamp,
}

/// The outage in a report mail, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryReport {
    /// Cause and party.
    pub cause: String,
    /// When it began.
    pub start: String,
    /// When it ended.
    pub end: String,
}

/// The expected kinds of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoryMailKind {
    /// A device is silent.
    Alert,
    /// It is still silent.
    Reminder,
    /// What failed, from when to when.
    Report,
    /// The device is back.
    Resolved,
}

/// The fewest heartbeats that count as regular.
const REGULAR_HEARTBEATS: usize = 5;
/// The longest time between two heartbeats while the connection works: one may be lost, two may
/// not.
const LONGEST_GAP: SignedDuration = SignedDuration::from_mins(3);
/// The first heartbeat must arrive before the first evaluation of the rules.
const FIRST_WITHIN: SignedDuration = SignedDuration::from_mins(5);
/// A heartbeat fails within one interval plus its timeout.
const NOTICED_WITHIN: SignedDuration = SignedDuration::from_mins(5);
/// A silence of 5 minutes is detected by the next evaluation; they run every 5 minutes.
const ALERT_AFTER: (SignedDuration, SignedDuration) = minutes(5, 10);
/// The marks at 10 and 15 minutes, each detected by the next evaluation.
const REMINDER_AFTER: (SignedDuration, SignedDuration) = minutes(10, 20);
/// One timeout and one back-off, which are seconds of real time.
const RETURNS_WITHIN: SignedDuration = SignedDuration::from_mins(3);
/// The first evaluation after the hand-over, or the second when ingestion is late.
const REPORT_AFTER: (SignedDuration, SignedDuration) = minutes(0, 12);
/// The agent's verdict when the connection is silent while a router answers.
const CAUSE: &str = "isp (provider)";
/// How far start and end in the report may be from the cut and the restoration: cutting takes a
/// moment, a probe is sent every 0.1 min, and a round every 1.5 min of story time.
const REPORT_WITHIN: SignedDuration = SignedDuration::from_mins(2);
/// Three healthy evaluations, the first within 5 minutes; one more when ingestion is late.
const RESOLVED_AFTER: (SignedDuration, SignedDuration) = minutes(10, 20);
/// Long enough to include the next evaluation.
const QUIET_FOR: SignedDuration = SignedDuration::from_millis(5 * 60_000 + 30_000);
/// How late the lab itself may be.
const SLACK: SignedDuration = SignedDuration::from_mins(1);
/// How far the minutes in a mail may differ from those counted here, in minutes: mails show tenths.
const SAME_MINUTES: f64 = 0.15;
/// The largest sum, in minutes, of the delays between the two address families in detecting failure
/// and recovery: each family has its own rounds, which start a minute and a half apart.
const FAMILIES_WITHIN: f64 = 3.0;

const fn minutes(from: i64, until: i64) -> (SignedDuration, SignedDuration) {
    (SignedDuration::from_mins(from), SignedDuration::from_mins(until))
}

/// A story so far.
#[derive(Clone, Debug)]
pub struct Story {
    device: String,
    next: Option<StoryStep>,
    heartbeats: Vec<Timestamp>,
    /// When the previous step was completed.
    since: Timestamp,
    cut: Option<Timestamp>,
    restored: Option<Timestamp>,
    returned: Option<Timestamp>,
}

impl Story {
    /// Starts a story about `device` at `start`.
    pub fn new(device: &str, start: Timestamp) -> Self {
        Self {
            device: device.to_owned(),
            next: Some(StoryStep::FIRST),
            heartbeats: Vec::new(),
            since: start,
            cut: None,
            restored: None,
            returned: None,
        }
    }

    /// The next expected step; `None` when the story is complete.
    pub const fn next(&self) -> Option<StoryStep> {
        self.next
    }

    /// Processes an event and returns the step that it completes, if any.
    ///
    /// # Errors
    /// [`StoryFault`] when the event is unexpected, too early, or has wrong contents.
    pub fn observe(&mut self, happened: &TimedStoryEvent) -> Result<Option<StoryStep>, StoryFault> {
        if happened.at > self.deadline() {
            return Err(self.overdue());
        }
        let completed = match &happened.event {
            StoryEvent::Heartbeat { written } => self.heartbeat(*written)?,
            StoryEvent::ConnectionCut => {
                self.complete(StoryStep::ConnectionCut, "The line was cut")?
            }
            StoryEvent::AgentNoticed => self.is_next(StoryStep::AgentNotices),
            StoryEvent::Mail(mail) => self.mail(mail)?,
            StoryEvent::ConnectionRestored => {
                self.complete(StoryStep::ConnectionRestored, "The line was restored")?
            }
            StoryEvent::Over => self.over(happened.at)?,
        };
        match completed {
            Some(StoryStep::ConnectionCut) => self.cut = Some(happened.at),
            Some(StoryStep::ConnectionRestored) => self.restored = Some(happened.at),
            _ => {}
        }
        if let Some(step) = completed {
            self.since = happened.at;
            self.next = step.next();
        }
        Ok(completed)
    }

    /// The deadline of the next step, or of the next heartbeat while the connection works.
    pub fn deadline(&self) -> Timestamp {
        let after = |from: Timestamp, wait: SignedDuration| {
            from.saturating_add(wait).unwrap_or(Timestamp::MAX)
        };
        let last_beat = self.heartbeats.last().copied().unwrap_or(self.since);
        let step = match self.next {
            Some(StoryStep::FirstHeartbeat) => after(self.since, FIRST_WITHIN),
            // The director decides when to cut and to restore.
            None
            | Some(
                StoryStep::RegularHeartbeats
                | StoryStep::ConnectionCut
                | StoryStep::ConnectionRestored,
            ) => Timestamp::MAX,
            Some(StoryStep::AgentNotices) => after(self.since, NOTICED_WITHIN),
            Some(StoryStep::AlertMail) => after(last_beat, ALERT_AFTER.1 + SLACK),
            Some(StoryStep::ReminderMail) => after(last_beat, REMINDER_AFTER.1 + SLACK),
            Some(StoryStep::HeartbeatReturns) => after(self.since, RETURNS_WITHIN),
            Some(StoryStep::ReportMail) => {
                after(self.returned.unwrap_or(last_beat), REPORT_AFTER.1 + SLACK)
            }
            Some(StoryStep::ResolvedMail) => {
                after(self.returned.unwrap_or(last_beat), RESOLVED_AFTER.1 + SLACK)
            }
            Some(StoryStep::Quiet) => after(self.since, QUIET_FOR + SLACK),
        };
        let line_works =
            !self.heartbeats.is_empty() && (self.cut.is_none() || self.returned.is_some());
        if line_works && self.next.is_some() {
            step.min(after(last_beat, LONGEST_GAP))
        } else {
            step
        }
    }

    /// The error when the deadline has passed.
    pub fn overdue(&self) -> StoryFault {
        let gap = self.heartbeats.last().copied().filter(|last| {
            last.saturating_add(LONGEST_GAP).is_ok_and(|latest| latest == self.deadline())
        });
        match (gap, self.next) {
            (Some(last), _) => StoryFault::HeartbeatsStopped { last },
            (None, Some(step)) => StoryFault::Missing { step, deadline: self.deadline() },
            (None, None) => StoryFault::AfterTheEnd,
        }
    }

    /// How long no mail may arrive before the story may end; `None` before the last step.
    pub fn quiet_until(&self) -> Option<Timestamp> {
        (self.next == Some(StoryStep::Quiet))
            .then(|| self.since.saturating_add(QUIET_FOR).unwrap_or(Timestamp::MAX))
    }

    /// Returns `step` as completed if it is the next one.
    fn is_next(&self, step: StoryStep) -> Option<StoryStep> {
        (self.next == Some(step)).then_some(step)
    }

    /// Completes `step`; an error if it is not the next one.
    fn complete(
        &self,
        step: StoryStep,
        what: &'static str,
    ) -> Result<Option<StoryStep>, StoryFault> {
        match self.next {
            Some(next) if next == step => Ok(Some(step)),
            Some(next) => Err(StoryFault::OutOfOrder { what: what.to_owned(), instead_of: next }),
            None => Err(StoryFault::AfterTheEnd),
        }
    }

    fn over(&self, at: Timestamp) -> Result<Option<StoryStep>, StoryFault> {
        let completed = self.complete(StoryStep::Quiet, "The story ended")?;
        match self.quiet_until() {
            Some(until) if at < until => Err(StoryFault::TooShort { until }),
            _ => Ok(completed),
        }
    }

    fn heartbeat(&mut self, written: Timestamp) -> Result<Option<StoryStep>, StoryFault> {
        if let (Some(cut), None) = (self.cut, self.restored)
            && written > cut
        {
            return Err(StoryFault::HeartbeatDuringCut { written });
        }
        // Ingestion may reorder heartbeats; their times of writing count.
        let place = self.heartbeats.partition_point(|beat| *beat <= written);
        self.heartbeats.insert(place, written);
        Ok(match self.next {
            Some(StoryStep::FirstHeartbeat) => Some(StoryStep::FirstHeartbeat),
            Some(StoryStep::RegularHeartbeats) if self.heartbeats.len() >= REGULAR_HEARTBEATS => {
                Some(StoryStep::RegularHeartbeats)
            }
            Some(StoryStep::HeartbeatReturns) if self.restored.is_some_and(|at| written >= at) => {
                self.returned = Some(written);
                Some(StoryStep::HeartbeatReturns)
            }
            _ => None,
        })
    }

    fn mail(&self, mail: &StoryMail) -> Result<Option<StoryStep>, StoryFault> {
        let step = mail.kind.step();
        let completed = self.complete(step, mail.kind.what())?;
        if !mail.about.contains(&self.device) {
            return Err(StoryFault::OtherDevice { step, about: mail.about.clone() });
        }
        let last_beat = self.heartbeats.iter().rev().find(|beat| **beat <= mail.evaluated);
        let silent =
            last_beat.map_or(SignedDuration::MAX, |beat| mail.evaluated.duration_since(*beat));
        let (measured, (from, until)) = match mail.kind {
            StoryMailKind::Alert => (silent, ALERT_AFTER),
            StoryMailKind::Reminder => (silent, REMINDER_AFTER),
            StoryMailKind::Report | StoryMailKind::Resolved => {
                let returned = self.returned.unwrap_or(mail.evaluated);
                let allowed =
                    if mail.kind == StoryMailKind::Report { REPORT_AFTER } else { RESOLVED_AFTER };
                (mail.evaluated.duration_since(returned), allowed)
            }
        };
        if measured < from || measured > until {
            return Err(StoryFault::WrongTime { step, after: measured, from, until });
        }
        if mail.kind == StoryMailKind::Report {
            self.report(mail)?;
            return Ok(completed);
        }
        let counted = silent.as_secs_f64() / 60.0;
        // After the end of a silence the mail shows the last measurement, whose rows may be late.
        let differs = (mail.minutes - counted).abs() > SAME_MINUTES;
        if mail.kind != StoryMailKind::Resolved && differs {
            return Err(StoryFault::WrongMinutes { step, shown: mail.minutes, counted });
        }
        Ok(completed)
    }

    /// Checks a report against the cut and the restoration.
    fn report(&self, mail: &StoryMail) -> Result<(), StoryFault> {
        let wrong = |what, shown: &str, right: String| StoryFault::WrongReport {
            what,
            shown: shown.to_owned(),
            right,
        };
        let Some(report) = &mail.report else {
            return Err(wrong("outage", "nothing", "its cause, start and end".to_owned()));
        };
        if report.cause != CAUSE {
            return Err(wrong("cause", &report.cause, CAUSE.to_owned()));
        }
        let mut times = [Timestamp::UNIX_EPOCH; 2];
        for (time, (what, text, happened)) in times
            .iter_mut()
            .zip([("start", &report.start, self.cut), ("end", &report.end, self.restored)])
        {
            let happened = happened.unwrap_or_default();
            *time = time_of(text)
                .filter(|time| time.duration_since(happened).abs() <= REPORT_WITHIN)
                .ok_or_else(|| wrong(what, text, happened.to_string()))?;
        }
        let counted = times[1].duration_since(times[0]).as_secs_f64() / 60.0;
        // The outage lasts until the second family is back, its downtime only until the first one
        // is.
        let families_apart = counted - mail.minutes;
        if !(-SAME_MINUTES..=FAMILIES_WITHIN + SAME_MINUTES).contains(&families_apart) {
            let step = StoryStep::ReportMail;
            return Err(StoryFault::WrongMinutes { step, shown: mail.minutes, counted });
        }
        Ok(())
    }
}

/// Parses the time in a report's text, such as `2026-11-24 02:10:07 UTC`.
fn time_of(text: &str) -> Option<Timestamp> {
    format!("{}Z", text.strip_suffix(" UTC")?.replace(' ', "T")).parse().ok()
}

impl StoryMailKind {
    const fn step(self) -> StoryStep {
        match self {
            Self::Alert => StoryStep::AlertMail,
            Self::Reminder => StoryStep::ReminderMail,
            Self::Report => StoryStep::ReportMail,
            Self::Resolved => StoryStep::ResolvedMail,
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Alert => "An alert mail was sent",
            Self::Reminder => "A reminder was sent",
            Self::Report => "A report was sent",
            Self::Resolved => "A resolved mail was sent",
        }
    }
}

#[cfg(test)]
mod tests;
