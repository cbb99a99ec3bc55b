//! The story that the demo must tell, checked step by step.
//!
//! A [`Story`] is told what happens and when, and says which step that completes, or how it breaks
//! the story. It does nothing itself, reads no clock and prints nothing. All times are story times.

mod broken;
mod step;

use jiff::{SignedDuration, Timestamp};

pub use broken::StoryFault;
pub use step::StoryStep;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What can happen in a story.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A heartbeat of the device can be queried.
    Heartbeat {
        /// When the function wrote its line.
        written: Timestamp,
    },
    /// The line between agent and cloud is cut.
    LineCut,
    /// The agent logged that a heartbeat failed.
    AgentNoticed {
        /// Its own sentence.
        sentence: String,
    },
    /// A mail was sent.
    Mail(StoryMail),
    /// The line between agent and cloud is whole again.
    LineRestored,
    /// Nothing more is to be waited for.
    Over,
}

/// What the story has to know about a mail.
#[derive(Clone, Debug, PartialEq)]
pub struct StoryMail {
    /// Which of the expected mails it is.
    pub kind: StoryMailKind,
    /// The dimension values, which name the device.
    pub about: String,
    /// The minutes that the mail shows: of silence, or in a report of downtime.
    pub minutes: f64,
    /// What a report says of the outage; nothing in other mails.
    pub report: Option<StoryReport>,
    /// The evaluation that sent it.
    pub evaluated: Timestamp,
}

/// What a report mail says of an outage, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryReport {
    /// What broke, and whose it is.
    pub cause: String,
    /// When it began.
    pub start: String,
    /// When it ended.
    pub end: String,
}

/// The kinds of mail that the story knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoryMailKind {
    /// A device is silent.
    Alert,
    /// It still is.
    Reminder,
    /// What broke, from when to when.
    Report,
    /// It is back.
    Resolved,
}

/// The fewest heartbeats that show a rhythm.
const RHYTHM: usize = 5;
/// The longest time between two heartbeats while the line works: one may be lost, two may not.
const LONGEST_GAP: SignedDuration = SignedDuration::from_mins(3);
/// The first heartbeat must be there before the rules are first evaluated.
const FIRST_WITHIN: SignedDuration = SignedDuration::from_mins(5);
/// A heartbeat fails within an interval and its timeout.
const NOTICED_WITHIN: SignedDuration = SignedDuration::from_mins(5);
/// Silence of 5 minutes is found by the next of the evaluations that come every 5 minutes.
const ALERT_AFTER: (SignedDuration, SignedDuration) = minutes(5, 10);
/// The marks at 10 and 15 minutes, each found by the next evaluation.
const REMINDER_AFTER: (SignedDuration, SignedDuration) = minutes(10, 20);
/// One timeout and one back-off; on the real clock, seconds.
const RETURNS_WITHIN: SignedDuration = SignedDuration::from_mins(3);
/// The next evaluation after the hand-over, or the one behind it when ingestion is late.
const REPORT_AFTER: (SignedDuration, SignedDuration) = minutes(0, 12);
/// What the agent finds on a line that is silent while a router answers.
const CAUSE: &str = "isp (provider)";
/// How far start and end in the report may be from those of the cut: cutting takes a moment, a probe
/// comes every 0.1 min, and a round every 1.5 min of the story.
const REPORT_WITHIN: SignedDuration = SignedDuration::from_mins(2);
/// Three healthy evaluations, the first of them within 5 minutes; one more when ingestion is late.
const RESOLVED_AFTER: (SignedDuration, SignedDuration) = minutes(10, 20);
/// Until the next evaluation has certainly passed.
const QUIET_FOR: SignedDuration = SignedDuration::from_millis(5 * 60_000 + 30_000);
/// How late the lab itself may be.
const SLACK: SignedDuration = SignedDuration::from_mins(1);
/// How far the minutes in a mail may be from those counted here, in minutes: mails show whole tenths.
const SAME_MINUTES: f64 = 0.15;
/// How far apart the two address families may be noticed to fail, and to return, in minutes in all:
/// each is asked in rounds of its own, which begin a minute and a half apart.
const FAMILIES_WITHIN: f64 = 3.0;

const fn minutes(from: i64, until: i64) -> (SignedDuration, SignedDuration) {
    (SignedDuration::from_mins(from), SignedDuration::from_mins(until))
}

/// A story as far as it has been told.
#[derive(Clone, Debug)]
pub struct Story {
    device: String,
    next: Option<StoryStep>,
    beats: Vec<Timestamp>,
    /// When the step before the next was completed.
    since: Timestamp,
    cut: Option<Timestamp>,
    restored: Option<Timestamp>,
    returned: Option<Timestamp>,
}

impl Story {
    /// A story about `device` that begins at `start`.
    pub fn new(device: &str, start: Timestamp) -> Self {
        Self {
            device: device.to_owned(),
            next: Some(StoryStep::FIRST),
            beats: Vec::new(),
            since: start,
            cut: None,
            restored: None,
            returned: None,
        }
    }

    /// The step that is waited for; `None` when the story is complete.
    pub const fn next(&self) -> Option<StoryStep> {
        self.next
    }

    /// Takes in what happened, and says which step that completes, if any.
    ///
    /// # Errors
    /// [`StoryFault`] when it should not have happened, or not yet, or not so.
    pub fn tell(&mut self, happened: &Happened) -> Result<Option<StoryStep>, StoryFault> {
        if happened.at > self.deadline() {
            return Err(self.overdue());
        }
        let completed = match &happened.what {
            What::Heartbeat { written } => self.heartbeat(*written)?,
            What::LineCut => self.reach(StoryStep::LineCut, "The line was cut")?,
            What::AgentNoticed { .. } => self.is_next(StoryStep::AgentNotices),
            What::Mail(mail) => self.mail(mail)?,
            What::LineRestored => self.reach(StoryStep::LineRestored, "The line was restored")?,
            What::Over => self.over(happened.at)?,
        };
        match completed {
            Some(StoryStep::LineCut) => self.cut = Some(happened.at),
            Some(StoryStep::LineRestored) => self.restored = Some(happened.at),
            _ => {}
        }
        if let Some(step) = completed {
            self.since = happened.at;
            self.next = step.next();
        }
        Ok(completed)
    }

    /// By when the next step must be completed, or the line's next heartbeat be there.
    pub fn deadline(&self) -> Timestamp {
        let after = |from: Timestamp, wait: SignedDuration| {
            from.saturating_add(wait).unwrap_or(Timestamp::MAX)
        };
        let last_beat = self.beats.last().copied().unwrap_or(self.since);
        let step = match self.next {
            Some(StoryStep::FirstHeartbeat) => after(self.since, FIRST_WITHIN),
            // When to cut and to restore is for whoever tells the story.
            None
            | Some(StoryStep::RegularHeartbeats | StoryStep::LineCut | StoryStep::LineRestored) => {
                Timestamp::MAX
            }
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
        let line_works = !self.beats.is_empty() && (self.cut.is_none() || self.returned.is_some());
        if line_works && self.next.is_some() {
            step.min(after(last_beat, LONGEST_GAP))
        } else {
            step
        }
    }

    /// What is wrong when the deadline has passed.
    pub fn overdue(&self) -> StoryFault {
        let gap = self.beats.last().copied().filter(|last| {
            last.saturating_add(LONGEST_GAP).is_ok_and(|latest| latest == self.deadline())
        });
        match (gap, self.next) {
            (Some(last), _) => StoryFault::HeartbeatsStopped { last },
            (None, Some(step)) => StoryFault::Missing { step, deadline: self.deadline() },
            (None, None) => StoryFault::AfterTheEnd,
        }
    }

    /// Until when it must stay quiet before the story may end; `None` before the last step.
    pub fn quiet_until(&self) -> Option<Timestamp> {
        (self.next == Some(StoryStep::Quiet))
            .then(|| self.since.saturating_add(QUIET_FOR).unwrap_or(Timestamp::MAX))
    }

    /// Completes `step` if it is the next.
    fn is_next(&self, step: StoryStep) -> Option<StoryStep> {
        (self.next == Some(step)).then_some(step)
    }

    /// Completes `step`, which must be the next.
    fn reach(&self, step: StoryStep, what: &'static str) -> Result<Option<StoryStep>, StoryFault> {
        match self.next {
            Some(next) if next == step => Ok(Some(step)),
            Some(next) => Err(StoryFault::OutOfOrder { what: what.to_owned(), instead_of: next }),
            None => Err(StoryFault::AfterTheEnd),
        }
    }

    fn over(&self, at: Timestamp) -> Result<Option<StoryStep>, StoryFault> {
        let completed = self.reach(StoryStep::Quiet, "The story ended")?;
        match self.quiet_until() {
            Some(until) if at < until => Err(StoryFault::TooShort { until }),
            _ => Ok(completed),
        }
    }

    fn heartbeat(&mut self, written: Timestamp) -> Result<Option<StoryStep>, StoryFault> {
        if let (Some(cut), None) = (self.cut, self.restored)
            && written > cut
        {
            return Err(StoryFault::ThroughTheCut { written });
        }
        // Ingestion may swap neighbours; the rhythm is that of the times at which they were written.
        let place = self.beats.partition_point(|beat| *beat <= written);
        self.beats.insert(place, written);
        Ok(match self.next {
            Some(StoryStep::FirstHeartbeat) => Some(StoryStep::FirstHeartbeat),
            Some(StoryStep::RegularHeartbeats) if self.beats.len() >= RHYTHM => {
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
        let completed = self.reach(step, mail.kind.what())?;
        if !mail.about.contains(&self.device) {
            return Err(StoryFault::OtherDevice { step, about: mail.about.clone() });
        }
        let last_beat = self.beats.iter().rev().find(|beat| **beat <= mail.evaluated);
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
        // Of a silence that is over the mail shows the last measurement, whose rows may be late.
        let differs = (mail.minutes - counted).abs() > SAME_MINUTES;
        if mail.kind != StoryMailKind::Resolved && differs {
            return Err(StoryFault::WrongMinutes { step, shown: mail.minutes, counted });
        }
        Ok(completed)
    }

    /// Holds a report against what happened to the line.
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
        // The outage lasts until the later family is back, its downtime until the first one is.
        let families_apart = counted - mail.minutes;
        if !(-SAME_MINUTES..=FAMILIES_WITHIN + SAME_MINUTES).contains(&families_apart) {
            let step = StoryStep::ReportMail;
            return Err(StoryFault::WrongMinutes { step, shown: mail.minutes, counted });
        }
        Ok(())
    }
}

/// The time in a report's text, such as `2026-11-24 02:10:07 UTC`.
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
