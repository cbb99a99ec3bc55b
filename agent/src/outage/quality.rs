//! The quality of a working connection: the incidents of scope `quality`, which are never downtime.

mod up_time;
mod usual;
mod window;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, time::Duration};

use fastrand::Rng;

use self::{
    up_time::UpTime,
    usual::Usual,
    window::{ProbeFigures, Window},
};
use super::{
    Cause, IncidentId, Observation, ProbeKind, Scope, Transition,
    open::{OpenIncident, Opening},
    settings::MachineSettings,
};
use crate::{clock::Stamp, probe::Family, summary::Summary};

/// The share of lost probes at which a connection is degraded.
const BAD_LOSS: f64 = 0.10;
/// The share of lost probes below which it is good again.
const GOOD_LOSS: f64 = 0.05;
/// The multiple of the usual round-trip time above which a connection is slow.
const BAD_SLOWNESS: f64 = 3.0;
/// The multiple at or below which it is good again.
const GOOD_SLOWNESS: f64 = 2.0;
/// A round-trip time in milliseconds that is never too slow, whatever is usual.
const BAD_MS: f64 = 100.0;
/// The fewest probes for a decision: five minutes of one each 10 s, without those of a dead anchor.
const FEWEST_PROBES: usize = 20;
/// The fewest lost probes for an incident; fewer may be chance.
const FEWEST_LOST: usize = 3;
/// After this time it is known whether a probe, and each one sent before it, was lost: one second until
/// it counts as lost, and one more for a busy device.
const KNOWN_AFTER: Duration = Duration::from_secs(2);
/// How much longer than the window probes are kept, because an outage that began a while ago sets the
/// up-time back.
const REMEMBERED_LONGER: Duration = Duration::from_secs(90);
/// The shortest time between two decisions.
const DECIDED_EVERY: Duration = Duration::from_secs(1);

/// Monitors the quality of the connection.
///
/// The *window* is the last 5 minutes of up-time, until 2 s ago: connectivity was up, and the agent
/// monitored it. A probe that could not be sent for lack of a carrier or route counts as lost.
///
/// 1. An incident opens when at least 10 % of the scheduled probes in the window were lost (at least 3,
///    and not all by one anchor of a family while others of it answered), or when the 95th percentile
///    of the round-trip times is above three times the week's median and above 100 ms; the second rule
///    needs a day of samples. The window must be full and contain at least 20 probes.
/// 2. It closes when, over a window that began no earlier than the incident, less than 5 % are lost,
///    and the 95th percentile is not both above twice the median and above 100 ms. Between the two
///    limits nothing changes.
/// 3. Not counted are probes of a family while it is not judged, and those of an anchor that is dead
///    while others answer ([`Window`]). The figures in the evidence are those that decided.
/// 4. An outage or a gap ends a quality incident where it began, and its own time is excluded from the
///    window. The window keeps what it held before, so that a lossy connection with short outages in
///    between is still found. After an interruption longer than the window the earlier probes say too
///    little about the present: the window begins anew.
/// 5. An incident begins with the first lost, or slow, probe in the window that was sent after the last
///    interruption and after the last quality incident. Without such a probe it does not open: a
///    connection that works well again after an outage is not called degraded.
#[derive(Debug)]
pub(super) struct QualityMonitor {
    settings: MachineSettings,
    open: Option<OpenIncident>,
    usual: Usual,
    window: Window,
    up_time: UpTime,
    /// Probes before this up-time position are dropped.
    forgotten_before: u64,
    /// The next incident begins no earlier than this position.
    opens_from: u64,
    /// When the monitor was created; identifies the boot.
    created: Stamp,
    /// When the last decision was made, in milliseconds since boot.
    decided_ms: Option<u64>,
}

impl QualityMonitor {
    pub(super) fn new(settings: MachineSettings, open: Option<OpenIncident>, now: Stamp) -> Self {
        Self {
            settings,
            open,
            usual: Usual::default(),
            window: Window::default(),
            up_time: UpTime::new(now.boot_ms),
            forgotten_before: 0,
            opens_from: 0,
            created: now,
            decided_ms: None,
        }
    }

    pub(super) fn open(&self) -> Option<&OpenIncident> {
        self.open.as_ref()
    }

    /// Learns the usual round-trip time from an hourly summary of the journal.
    pub(super) fn learn(&mut self, summary: &Summary) {
        self.usual.learn(summary);
    }

    /// Adds a scheduled probe that was answered or lost.
    pub(super) fn add_probe(&mut self, anchor: SocketAddr, sent: Stamp, rtt: Option<Duration>) {
        if sent.is_same_boot(self.created)
            && let Some(position) = self.up_time.position(sent.boot_ms)
        {
            self.window.add(anchor, sent.boot_ms, position, rtt);
        }
    }

    /// A family is not judged, or is down by itself: its losses since its last answer are no evidence
    /// about the connection. No effect while connectivity is interrupted, because no probes count then.
    pub(super) fn disregard(&mut self, family: Family) {
        if self.up_time.stopped_at().is_none() {
            self.window.disregard(family);
        }
    }

    /// An outage has opened that began at `started`: its time does not count for quality.
    pub(super) fn outage_opened(&mut self, started: Stamp) -> Vec<Transition> {
        self.interrupt(started);
        let at = self.open.as_ref().map(|open| open.not_before(started));
        at.map(|at| self.close(at)).unwrap_or_default()
    }

    /// The outage has ended. If none had opened in this run, an earlier run had left it open, and
    /// nothing is known about the time before.
    pub(super) fn outage_closed(&mut self, at: Stamp) {
        self.resume(at);
    }

    /// A gap has ended at `again`.
    pub(super) fn unmonitored(&mut self, again: Stamp, gap: &super::Gap) -> Vec<Transition> {
        if self.up_time.stopped_at().is_none() {
            self.interrupt(gap.started);
            self.resume(again);
        }
        if let Some(open) = &mut self.open {
            open.apply_gap(gap);
        }
        self.close(again)
    }

    fn interrupt(&mut self, started: Stamp) {
        // An outage of an earlier boot began before all known probes.
        let started_ms = if started.is_same_boot(self.created) { started.boot_ms } else { 0 };
        self.up_time.stop(started_ms);
        self.window.interrupt(self.up_time.elapsed(started_ms));
    }

    fn resume(&mut self, at: Stamp) {
        let window_ms = self.window_ms();
        match self.up_time.stopped_at() {
            Some(stopped_ms) if at.boot_ms.saturating_sub(stopped_ms) <= window_ms => {
                self.up_time.restart(at.boot_ms);
            }
            _ => {
                self.up_time = UpTime::new(at.boot_ms);
                self.window = Window::default();
                self.forgotten_before = 0;
            }
        }
        self.opens_from = self.up_time.elapsed(at.boot_ms);
    }

    fn window_ms(&self) -> u64 {
        u64::try_from(self.settings.limits.quality_window.as_millis()).unwrap_or(u64::MAX)
    }

    fn close(&mut self, at: Stamp) -> Vec<Transition> {
        self.open.take().map(|open| Transition::Closed(open.close(at))).into_iter().collect()
    }

    /// Opens or closes an incident at `now`, while connectivity is up.
    pub(super) fn decide(&mut self, now: Stamp, random: &mut Rng) -> Vec<Transition> {
        if self.up_time.stopped_at().is_some() {
            // An outage has opened and closed with one piece of evidence.
            self.resume(now);
        }
        if let Some(open) = &mut self.open {
            open.extend(now);
        }
        let is_recent = |decided_ms: u64| {
            u128::from(now.boot_ms.abs_diff(decided_ms)) < DECIDED_EVERY.as_millis()
        };
        if self.decided_ms.is_some_and(is_recent) {
            return Vec::new();
        }
        self.decided_ms = Some(now.boot_ms);
        let known_ms = now.earlier(KNOWN_AFTER).boot_ms;
        self.window.take_until(known_ms);
        let Some(from) = self.up_time.elapsed(known_ms).checked_sub(self.window_ms()) else {
            return Vec::new();
        };
        let margin_ms = u64::try_from(REMEMBERED_LONGER.as_millis()).unwrap_or(u64::MAX);
        let forgotten = from.saturating_sub(margin_ms).max(self.forgotten_before);
        self.window.forget_before(forgotten);
        self.up_time.forget_before(forgotten);
        self.forgotten_before = forgotten;
        if from < forgotten {
            return Vec::new();
        }
        let figures = self.window.figures(from);
        match &self.open {
            None if figures.probes >= FEWEST_PROBES => self.begin(&figures, from, now, random),
            Some(open)
                if figures.loss() < GOOD_LOSS
                    && !self.is_slow(&figures, GOOD_SLOWNESS)
                    && self.is_covered(open.started(), from, now) =>
            {
                self.opens_from = self.up_time.elapsed(now.boot_ms);
                self.close(now)
            }
            _ => Vec::new(),
        }
    }

    /// The figures of the last decision.
    #[cfg(test)]
    fn figures(&self) -> ProbeFigures {
        let known_ms = self.decided_ms.unwrap_or(0).saturating_sub(KNOWN_AFTER.as_millis() as u64);
        let elapsed = self.up_time.elapsed(known_ms);
        self.window.figures(elapsed.saturating_sub(self.window_ms()))
    }

    /// The limit in milliseconds above which a round-trip time is slow, for a multiple of the usual
    /// one.
    fn slow_ms(&self, times: f64) -> Option<f64> {
        self.usual.median_ms().map(|usual_ms| (times * usual_ms).max(BAD_MS))
    }

    fn is_slow(&self, figures: &ProbeFigures, times: f64) -> bool {
        figures.p95_ms.zip(self.slow_ms(times)).is_some_and(|(p95_ms, slow_ms)| p95_ms > slow_ms)
    }

    /// Whether an incident that began at `started` covers the whole window from `from` on. One of an
    /// earlier boot does.
    fn is_covered(&self, started: Stamp, from: u64, now: Stamp) -> bool {
        !started.is_same_boot(now) || self.stamp(from, now).is_at_or_after(started)
    }

    /// The stamp of an up-time position.
    fn stamp(&self, position: u64, now: Stamp) -> Stamp {
        let moment_ms = self.up_time.moment(position);
        now.earlier(Duration::from_millis(now.boot_ms.saturating_sub(moment_ms)))
    }

    fn begin(
        &mut self,
        figures: &ProbeFigures,
        from: u64,
        now: Stamp,
        random: &mut Rng,
    ) -> Vec<Transition> {
        let is_lossy = figures.loss() >= BAD_LOSS
            && figures.lost >= FEWEST_LOST
            && !self.window.is_of_one_anchor(from);
        let from = from.max(self.opens_from);
        let first = if is_lossy {
            self.window.first_lost(from)
        } else {
            self.slow_ms(BAD_SLOWNESS)
                .filter(|_| self.is_slow(figures, BAD_SLOWNESS))
                .and_then(|slow_ms| self.window.first_slower(from, slow_ms))
        };
        let Some(first) = first else { return Vec::new() };
        let started = self.stamp(first, now);
        let slowness = figures.p95_ms.map(|p95| format!(", p95 {p95:.0} ms")).unwrap_or_default();
        let evidence = vec![Observation {
            probe: ProbeKind::Tcp,
            target: format!(
                "{} probes: {:.0} % lost{slowness}",
                figures.probes,
                figures.loss() * 100.0
            ),
            family: None,
            answer: if is_lossy { "lossy" } else { "slow" }.to_owned(),
            ms: figures.p95_ms.map(|p95| p95 as u64),
            at: now,
        }];
        let open = OpenIncident::open(
            Opening {
                id: IncidentId::new(now, random),
                scope: Scope::Quality,
                cause: Cause::Degraded,
                is_flapping: false,
                name_servers: crate::outage::Party::Other,
                started,
                last_ok: None,
                evidence,
            },
            now,
        );
        let opened = Transition::Opened(open.snapshot());
        self.open = Some(open);
        vec![opened]
    }
}
