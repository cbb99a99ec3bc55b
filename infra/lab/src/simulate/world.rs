//! The events of the simulated years, whether or not any component detects them.

use fastrand::Rng;

use super::{
    assumptions::{Assumptions, BUFFER, LONGEST_OUTAGE, QUIET_AFTER_SLEEP, QUIET_AFTER_STOP},
    random::{exponential, fork, log_normal, uniform},
    time::{HOUR, MINUTE, Millis, SECOND, Span, YEAR},
};

/// All events, each list in order of time and without overlaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Its length, from time 0.
    pub length: Millis,
    /// When no heartbeat can reach the cloud.
    pub outages: Vec<SimulatedOutage>,
    /// When the device or its agent is deliberately not running.
    pub absences: Vec<Absence>,
    /// When the host exits with the lines of the last half minute unsent.
    pub lost_buffers: Vec<Millis>,
    /// When the function responds 503.
    pub function_down: Vec<Span>,
    /// When no line becomes visible until the end of the span.
    pub ingestion_down: Vec<Span>,
    /// When no rule is evaluated.
    pub rules_down: Vec<Span>,
}

/// The connection or the power is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedOutage {
    /// Start and end.
    pub span: Span,
    /// Whether the device was off, too, so that its agent recorded nothing.
    pub is_power_cut: bool,
}

/// The device or its agent is not running, announced if possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Start and end.
    pub span: Span,
    /// The announced silence.
    pub quiet: Millis,
    /// The reason, which decides the agent's state and what is new afterwards.
    pub kind: AbsenceKind,
}

/// Why a device deliberately sends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbsenceKind {
    /// The device reboots.
    Reboot,
    /// The agent restarts.
    AgentRestart,
    /// The user paused it, for a given time.
    Pause,
    /// Asleep.
    Sleep,
}

impl World {
    /// Generates a world of `years` years, the same for the same seed.
    pub fn random(assumptions: &Assumptions, years: u32, seed: u64) -> Self {
        let length = YEAR * i64::from(years);
        let mut random = Rng::with_seed(seed);
        let outages = outages(assumptions, length, &mut fork(&mut random));
        let absences = absences(assumptions, length, &mut fork(&mut random));
        let lost_buffers = spans(assumptions.lost_buffers, length, &mut fork(&mut random), |_| 0);
        let lost_buffers = lost_buffers.into_iter().map(|span| span.from).collect();
        let mut platform = || platform(assumptions, length, &mut fork(&mut random));
        let (function_down, ingestion_down, rules_down) = (platform(), platform(), platform());
        Self { length, outages, absences, lost_buffers, function_down, ingestion_down, rules_down }
    }

    /// The outage at a time, if any.
    pub fn outage(&self, at: Millis) -> Option<SimulatedOutage> {
        let ended = self.outages.partition_point(|outage| outage.span.to <= at);
        self.outages.get(ended).copied().filter(|outage| outage.span.contains(at))
    }

    /// Whether a line written at `at` is lost, because the host exits before sending it on.
    pub fn loses(&self, at: Millis) -> bool {
        let ended = self.lost_buffers.partition_point(|end| *end < at);
        self.lost_buffers.get(ended).is_some_and(|end| *end < at + BUFFER)
    }

    /// All times in which a part of Azure is down.
    pub fn platform_down(&self) -> impl Iterator<Item = Span> {
        self.function_down.iter().chain(&self.ingestion_down).chain(&self.rules_down).copied()
    }
}

fn outages(assumptions: &Assumptions, length: Millis, random: &mut Rng) -> Vec<SimulatedOutage> {
    let median = assumptions.outage_median * MINUTE as f64;
    spans(assumptions.outages, length, random, |random| {
        let long = log_normal(random, median, assumptions.outage_spread);
        (long as Millis).clamp(SECOND, LONGEST_OUTAGE)
    })
    .into_iter()
    .map(|span| SimulatedOutage { span, is_power_cut: random.f64() < assumptions.power_cuts })
    .collect()
}

fn absences(assumptions: &Assumptions, length: Millis, random: &mut Rng) -> Vec<Absence> {
    let rate = assumptions.restarts + assumptions.pauses;
    let mut absences = Vec::new();
    let mut at = 0;
    while let Some(from) = next(rate, at, length, random) {
        let is_pause = random.f64() * rate >= assumptions.restarts;
        let half = random.bool();
        let long = |random: &mut Rng| {
            (log_normal(random, HOUR as f64, 1.2) as Millis).clamp(MINUTE, QUIET_AFTER_SLEEP)
        };
        let (kind, length, quiet) = match (is_pause, half) {
            (false, true) => {
                let length = uniform(random, 30 * SECOND, 120 * SECOND);
                (AbsenceKind::Reboot, length, QUIET_AFTER_STOP)
            }
            (false, false) => {
                let length = uniform(random, SECOND, 5 * SECOND);
                (AbsenceKind::AgentRestart, length, QUIET_AFTER_STOP)
            }
            (true, true) => {
                let length = long(random);
                (AbsenceKind::Pause, length, length)
            }
            (true, false) => (AbsenceKind::Sleep, long(random), QUIET_AFTER_SLEEP),
        };
        let span = Span { from, to: from + length };
        absences.push(Absence { span, quiet, kind });
        at = span.to;
    }
    absences
}

/// Generates a third of Azure's downtime.
fn platform(assumptions: &Assumptions, length: Millis, random: &mut Rng) -> Vec<Span> {
    if assumptions.platform_down <= 0.0 {
        return Vec::new();
    }
    let mean = assumptions.platform_down / assumptions.platform_failures * HOUR as f64;
    spans(assumptions.platform_failures / 3.0, length, random, |random| {
        (exponential(random, mean) as Millis).max(SECOND)
    })
}

/// Generates spans that begin a given number of times a year, one after the other.
fn spans(
    rate: f64,
    length: Millis,
    random: &mut Rng,
    mut long: impl FnMut(&mut Rng) -> Millis,
) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(from) = next(rate, at, length, random) {
        let span = Span { from, to: from + long(random) };
        spans.push(span);
        at = span.to;
    }
    spans
}

/// The next time after `at` of an event that happens randomly, `rate` times a year.
fn next(rate: f64, at: Millis, length: Millis, random: &mut Rng) -> Option<Millis> {
    if rate <= 0.0 {
        return None;
    }
    let moment = at + 1 + exponential(random, YEAR as f64 / rate) as Millis;
    (moment < length).then_some(moment)
}
