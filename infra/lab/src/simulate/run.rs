//! Simulates one world: the device sends, the rules are evaluated, mails are sent.

use std::{collections::VecDeque, time::Duration};

use fastrand::Rng;
use jiff::Timestamp;

use super::{
    assumptions::Assumptions,
    device::SimulatedDevice,
    lines::SimulatedLine,
    random::{fork, uniform},
    settings::SimulationSettings,
    time::{HOUR, Millis, Span, millis, timestamp},
    world::World,
};
use crate::{
    query::Query,
    rules::{
        MonitorCondition, Notification, Rule, index::TraceIndex, resolve::FrequencyError,
        running::RunningRule,
    },
};

/// The result of one world.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// The mails in order of time.
    pub mails: Vec<SimulatedMail>,
    /// Mails that Azure suppressed because the address had reached its hourly limit.
    pub kept_back: usize,
    /// The announced silences of the device, each until the heartbeat that ended it.
    pub announcements: Vec<Span>,
}

/// One mail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimulatedMail {
    /// When it was sent.
    pub at: Millis,
    /// Its kind.
    pub kind: SimulatedMailKind,
}

/// The kinds of mail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SimulatedMailKind {
    /// The device is silent.
    Silent {
        /// Since when, according to the mail.
        since: Millis,
    },
    /// The device is back.
    Resolved {
        /// When the alert had fired.
        fired: Millis,
    },
    /// The device is still silent.
    Reminder,
    /// An outage is over.
    Report,
}

/// A rule with the schedule of its evaluations.
#[derive(Debug)]
struct RuleSchedule {
    rule: RunningRule,
    frequency: Millis,
    jitter: Millis,
    nominal: Millis,
    actual: Millis,
    random: Rng,
}

/// The rules of the templates with these settings, for the simulated device.
pub fn rules(
    deployed: &[Rule],
    settings: &SimulationSettings,
) -> Result<Vec<Rule>, FrequencyError> {
    let device = [super::lines::DEVICE.to_owned()];
    deployed
        .iter()
        .map(|rule| {
            rule.with_devices(&device).with_timing(settings.threshold, settings.evaluation_minutes)
        })
        .collect()
}

/// The deployed silence threshold and evaluation frequency, both in minutes.
pub fn timing(deployed: &[Rule]) -> (f64, u32) {
    let silence = deployed.iter().find(|rule| matches!(rule.query(), Query::DeviceSilent(_)));
    silence.map_or((5.0, 5), |rule| {
        let settings = rule.settings();
        (settings.condition.threshold, settings.frequency.as_mins() as u32)
    })
}

/// Simulates a world with these rules; `seed` decides all randomness that is not part of the world.
pub fn run(
    world: &World,
    assumptions: &Assumptions,
    settings: &SimulationSettings,
    rules: &[Rule],
    seed: u64,
) -> Log {
    let mut index = TraceIndex::new(1);
    run_with(world, assumptions, settings, rules, seed, |rule, now, lines| {
        for line in lines {
            index.insert(line);
        }
        rule.evaluate_indexed(now, &mut index)
    })
}

/// The same with any function that evaluates a rule at a time, given the lines that have become
/// visible since the previous evaluation.
pub(super) fn run_with(
    world: &World,
    assumptions: &Assumptions,
    settings: &SimulationSettings,
    rules: &[Rule],
    seed: u64,
    mut evaluate: impl FnMut(&mut RunningRule, Timestamp, Vec<SimulatedLine>) -> Vec<Notification>,
) -> Log {
    let mut random = Rng::with_seed(seed);
    let interval = Duration::from_secs(settings.interval_s.into());
    let mut device = SimulatedDevice::new(world, assumptions, interval, &mut random);
    let mut schedules: Vec<_> =
        rules.iter().map(|rule| RuleSchedule::new(rule, assumptions, &mut random)).collect();
    let mut outbox = MailLimiter::new(assumptions.mail_limit);
    while let Some(schedule) = schedules.iter_mut().min_by_key(|schedule| schedule.actual) {
        let now = schedule.actual;
        if now >= world.length {
            break;
        }
        schedule.advance();
        if Span::at(&world.rules_down, now).is_some() {
            continue;
        }
        device.advance(now);
        let lines = device.take_visible(now);
        for notification in evaluate(&mut schedule.rule, timestamp(now), lines) {
            outbox.send(now, schedule.rule.rule().query(), &notification);
        }
    }
    let (mails, kept_back) = (outbox.sent, outbox.kept_back);
    Log { mails, kept_back, announcements: device.announcements() }
}

impl RuleSchedule {
    fn new(rule: &Rule, assumptions: &Assumptions, random: &mut Rng) -> Self {
        let frequency = rule.settings().frequency.as_millis() as Millis;
        let mut random = fork(random);
        // Azure documents no phase: the first evaluation of a rule is at a random time.
        let nominal = frequency + uniform(&mut random, 0, frequency - 1);
        let jitter = assumptions.jitter_at(frequency);
        let rule = RunningRule::new(rule.clone());
        let mut schedule = Self { rule, frequency, jitter, nominal, actual: 0, random };
        schedule.actual = schedule.jittered();
        schedule
    }

    fn advance(&mut self) {
        self.nominal += self.frequency;
        self.actual = self.jittered();
    }

    fn jittered(&mut self) -> Millis {
        self.nominal + uniform(&mut self.random, -self.jitter, self.jitter)
    }
}

/// Limits the mails to one address per hour.
#[derive(Debug)]
struct MailLimiter {
    limit: usize,
    last_hour: VecDeque<Millis>,
    sent: Vec<SimulatedMail>,
    kept_back: usize,
}

impl MailLimiter {
    const fn new(limit: usize) -> Self {
        Self { limit, last_hour: VecDeque::new(), sent: Vec::new(), kept_back: 0 }
    }

    fn send(&mut self, at: Millis, query: &Query, notification: &Notification) {
        while self.last_hour.front().is_some_and(|first| *first <= at - HOUR) {
            self.last_hour.pop_front();
        }
        if self.last_hour.len() >= self.limit {
            self.kept_back += 1;
            return;
        }
        self.last_hour.push_back(at);
        let minutes = notification.value.unwrap_or_default();
        let kind = match (query, notification.condition) {
            (Query::DeviceSilent(_), MonitorCondition::Fired) => {
                SimulatedMailKind::Silent { since: at - (minutes * 60_000.0) as Millis }
            }
            (Query::DeviceSilent(_), MonitorCondition::Resolved) => {
                SimulatedMailKind::Resolved { fired: millis(notification.fired) }
            }
            (Query::DeviceSilentReminder(_), _) => SimulatedMailKind::Reminder,
            (Query::OutageReport(_), _) => SimulatedMailKind::Report,
        };
        self.sent.push(SimulatedMail { at, kind });
    }
}
