//! Scores the mails: which outages they reported, and which mails were wrong.
//!
//! - An **outage** counts when no heartbeat could reach the cloud for 12 minutes or longer, without
//!   an announcement. Announced silence does not count: an outage that begins during it counts from
//!   its end.
//! - It was **mailed** when a mail about silence was sent during it, or after it about a silence
//!   that had begun in it, or when the alert of an earlier outage was still active. Otherwise it
//!   was **missed**; if a part of Azure was down during it, that is the reason.
//! - The **time to the first mail** starts when the outage begins to count. Outages that an earlier
//!   alert covers have none.
//! - A mail about silence is an **alarm about an outage** when an outage at least as long as the
//!   threshold lies in the silence that it reports; else it is an **early alarm** when a shorter
//!   one does; else **Azure's own** when a part of Azure was down in that silence; else a **false
//!   alarm**.
//! - A **false resolve** is a Resolved mail during an outage that had begun before its alert fired.

use serde::Serialize;

use super::{
    run::{Log, SimulatedMailKind},
    settings::SimulationSettings,
    time::{MINUTE, Millis, SECOND, Span},
    world::World,
};

/// The shortest outage that must be mailed.
pub const SHORTEST_OUTAGE: Millis = 12 * MINUTE;

/// The counts of one world, or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Score {
    /// Simulated milliseconds of one device.
    #[serde(skip)]
    pub observed: Millis,
    /// Outages of 12 minutes or longer.
    pub outages: usize,
    /// Outages that were mailed.
    pub mailed: usize,
    /// Outages that were not mailed although Azure worked.
    pub missed: usize,
    /// Outages that were not mailed while a part of Azure was down.
    pub missed_while_azure_failed: usize,
    /// Mails about silence without a cause.
    pub false_alarms: usize,
    /// Mails about silence in which only a part of Azure was down.
    pub alarms_while_azure_failed: usize,
    /// Mails about outages shorter than the threshold.
    pub alarms_about_short_outages: usize,
    /// All mails about silence.
    #[serde(skip)]
    pub silent_mails: usize,
    /// Resolved mails during the outage.
    pub false_resolves: usize,
    /// Resolved mails.
    #[serde(skip)]
    pub resolved_mails: usize,
    /// Reminders.
    #[serde(skip)]
    pub reminders: usize,
    /// Reports of outages that are over.
    #[serde(skip)]
    pub reports: usize,
    /// Mails that the limit suppressed.
    pub kept_back: usize,
    /// Times from an outage's start to its first mail, in seconds.
    #[serde(skip)]
    pub first_mails: Vec<u32>,
}

/// A mailed alert, from Fired to Resolved.
#[derive(Clone, Copy, Debug)]
struct MailedAlert {
    since: Millis,
    fired: Millis,
    resolved: Millis,
}

impl Score {
    /// Scores the mails of one world.
    pub fn of(world: &World, settings: &SimulationSettings, log: &Log) -> Self {
        let mut score =
            Self { observed: world.length, kept_back: log.kept_back, ..Self::default() };
        let platform: Vec<_> = world.platform_down().collect();
        score.count_mails(world, &platform, settings, log);
        let alerts = alerts(log, world.length);
        let mut first = 0;
        for outage in outages(world, log) {
            while alerts.get(first).is_some_and(|alert| alert.resolved <= outage.from) {
                first += 1;
            }
            score.outages += 1;
            let about = alerts[first..]
                .iter()
                .take_while(|alert| alert.fired < outage.to || alert.since < outage.to);
            match about.into_iter().next() {
                Some(alert) => {
                    score.mailed += 1;
                    if let Ok(took) = u32::try_from((alert.fired - outage.from) / SECOND)
                        && alert.fired >= outage.from
                    {
                        score.first_mails.push(took);
                    }
                }
                None if platform.iter().any(|down| down.overlap(outage) > 0) => {
                    score.missed_while_azure_failed += 1;
                }
                None => score.missed += 1,
            }
        }
        score
    }

    fn count_mails(
        &mut self,
        world: &World,
        platform: &[Span],
        settings: &SimulationSettings,
        log: &Log,
    ) {
        for mail in &log.mails {
            match mail.kind {
                SimulatedMailKind::Reminder => self.reminders += 1,
                SimulatedMailKind::Report => self.reports += 1,
                SimulatedMailKind::Resolved { fired } => {
                    self.resolved_mails += 1;
                    let lasts = |outage: &super::world::SimulatedOutage| {
                        outage.span.contains(mail.at) && outage.span.from < fired
                    };
                    self.false_resolves += usize::from(world.outages.iter().any(lasts));
                }
                SimulatedMailKind::Silent { since } => {
                    self.silent_mails += 1;
                    let silence = Span { from: since, to: mail.at };
                    let threshold = (settings.threshold * MINUTE as f64) as Millis;
                    let longest = world
                        .outages
                        .iter()
                        .filter(|outage| outage.span.overlap(silence) > 0)
                        .map(|outage| outage.span.length())
                        .max();
                    match longest {
                        Some(longest) if longest >= threshold => {}
                        Some(_) => self.alarms_about_short_outages += 1,
                        None if platform.iter().any(|down| down.overlap(silence) > 0) => {
                            self.alarms_while_azure_failed += 1;
                        }
                        None => self.false_alarms += 1,
                    }
                }
            }
        }
    }

    /// Adds the counts of another world.
    pub fn add(&mut self, other: Self) {
        self.observed += other.observed;
        self.outages += other.outages;
        self.mailed += other.mailed;
        self.missed += other.missed;
        self.missed_while_azure_failed += other.missed_while_azure_failed;
        self.false_alarms += other.false_alarms;
        self.alarms_while_azure_failed += other.alarms_while_azure_failed;
        self.alarms_about_short_outages += other.alarms_about_short_outages;
        self.silent_mails += other.silent_mails;
        self.false_resolves += other.false_resolves;
        self.resolved_mails += other.resolved_mails;
        self.reminders += other.reminders;
        self.reports += other.reports;
        self.kept_back += other.kept_back;
        self.first_mails.extend(other.first_mails);
    }

    /// The number of mails sent.
    pub const fn mails(&self) -> usize {
        self.silent_mails + self.resolved_mails + self.reminders + self.reports
    }
}

/// The parts of the outages that count, in order of time.
fn outages(world: &World, log: &Log) -> Vec<Span> {
    let mut announcements = log.announcements.as_slice();
    let mut outages = Vec::new();
    for outage in &world.outages {
        let Span { mut from, to } = outage.span;
        while let [first, rest @ ..] = announcements
            && first.to <= from
        {
            announcements = rest;
        }
        if let [first, ..] = announcements
            && first.from <= from
        {
            from = first.to;
        }
        if to - from >= SHORTEST_OUTAGE && to <= world.length {
            outages.push(Span { from, to });
        }
    }
    outages
}

fn alerts(log: &Log, end: Millis) -> Vec<MailedAlert> {
    let mut alerts: Vec<MailedAlert> = Vec::new();
    for mail in &log.mails {
        match mail.kind {
            SimulatedMailKind::Silent { since } => {
                alerts.push(MailedAlert { since, fired: mail.at, resolved: end });
            }
            SimulatedMailKind::Resolved { fired } => {
                if let Some(alert) = alerts.iter_mut().rev().find(|alert| alert.fired == fired) {
                    alert.resolved = mail.at;
                }
            }
            SimulatedMailKind::Reminder | SimulatedMailKind::Report => {}
        }
    }
    alerts
}
