//! Monitors the connection: one task owns all state, and other tasks send it messages.
//!
//! - [`schedule`] decides which probe is due when, the prober sends it.
//! - The [`OutageMachine`] derives transitions from the results. The recorder writes each to the
//!   journal before it is logged and shown in the status.
//! - [`Tally`] counts for the hourly summary and for the next heartbeat.
//!
//! Nothing here waits for a disk, the resolver or the reader of the log.

mod evidence;
mod histogram;
mod message;
mod prober;
mod recorder;
pub mod schedule;
mod start;
mod status_builder;
mod tally;

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::{
    select,
    sync::{Notify, mpsc, oneshot},
    time::{Instant, sleep_until},
};

use crate::{
    clock::{self, Clock, ClockEvent, Stamp},
    event::{ClockStepped, LogEvent},
    journal::Entry,
    notify::ServiceManager,
    outage::{
        Evidence, Gap, GapCause, GraceReason, IncidentId, OutageMachine, ProbePlan, StatusKey,
    },
    pause::Pause,
    probe::link::LinkMonitor,
};
pub use histogram::Histogram;
pub use message::{MonitorDeps, MonitorMessage, MonitorSettings, SharedTally};
use prober::{ProbeResult, Prober};
use recorder::Recorder;
use schedule::{DueProbe, ProbeSchedule};
use status_builder::StatusBuilder;
pub use tally::Tally;

/// The longest time between two readings of the clocks. A suspension is dated by the readings before
/// and after it, so its record exceeds the sleep by this at most.
const CLOCK_EVERY: Duration = Duration::from_secs(2);
/// How often the journal's alive file is rewritten.
const ALIVE_EVERY: Duration = Duration::from_mins(1);
/// If the task runs this much too late, the process or its virtual machine was stopped: nothing was
/// monitored meanwhile, and earlier probes are void.
const STALLED_AFTER: Duration = Duration::from_secs(9);

/// The monitoring task.
#[derive(Debug)]
pub struct Monitor {
    settings: MonitorSettings,
    clock: Clock,
    machine: OutageMachine,
    schedule: ProbeSchedule,
    prober: Prober,
    results: mpsc::UnboundedReceiver<ProbeResult>,
    links: LinkMonitor,
    tally: SharedTally,
    recorder: Recorder,
    status_builder: StatusBuilder,
    manager: ServiceManager,
    random: Rng,
    connectivity_restored: Arc<Notify>,
    /// The current pause: no probes are sent, and all evidence is ignored.
    pause: Option<Pause>,
    /// Results of probes sent before this time since boot (in milliseconds) are void.
    void_before_ms: u64,
    /// The state that was last shown.
    status_key: Option<StatusKey>,
    /// Whether the warning about blocked anchors was logged, which happens once.
    has_warned_of_blocked: bool,
    clocks_read_at: Duration,
    alive_written_at: Duration,
    hour_ends: Duration,
}

impl Monitor {
    /// The counters, shared with the heartbeats.
    pub fn tally(&self) -> SharedTally {
        self.tally.clone()
    }

    /// Monitors until a stop is requested.
    pub async fn run(mut self, mut messages: mpsc::UnboundedReceiver<MonitorMessage>) {
        loop {
            let next = self.advance();
            let deadline = Instant::now() + next.saturating_sub(clock::boot_time());
            select! {
                biased;
                message = messages.recv() => match message {
                    Some(MonitorMessage::Stop { reason, done }) => return self.stop(reason, done).await,
                    Some(message) => self.handle_message(message),
                    None => return,
                },
                () = self.recorder.next_written() => self.show(),
                Some(answer) = self.results.recv() => self.handle_result(answer),
                () = self.links.changed() => self.links_changed(),
                () = sleep_until(deadline) => {}
            }
        }
    }

    /// Does all work that is due, and returns when to run again, as time since boot.
    fn advance(&mut self) -> Duration {
        let now = self.read_clocks();
        let boot_time = Duration::from_millis(now.boot_ms);
        if self.deadline().is_some_and(|deadline| deadline.boot_ms <= now.boot_ms) {
            self.observe(&Evidence::Tick, now);
        }
        if boot_time >= self.hour_ends {
            self.end_hour(now);
        }
        if boot_time >= self.alive_written_at + ALIVE_EVERY || self.alive_written_at.is_zero() {
            self.recorder.note_alive(now);
            self.alive_written_at = boot_time;
            // A status that is not rewritten looks like that of a hung agent.
            self.show();
        }
        let (mut probes, mut next) = self.schedule.due(self.wanted(), boot_time);
        let needs_links =
            |probe: &DueProbe| matches!(probe, DueProbe::Probe(_) | DueProbe::Round(_));
        if probes.iter().any(needs_links) && self.look_up_links(now) {
            // A changed link may need more probes than were due before.
            let (more, again) = self.schedule.due(self.wanted(), boot_time);
            probes.extend(more);
            next = again;
        }
        for probe in probes {
            self.prober.send_probe(probe);
        }
        let deadline = self.deadline().map(|at| Duration::from_millis(at.boot_ms));
        let pulse = self.manager.poll_watchdog(boot_time);
        [next, self.hour_ends, self.alive_written_at + ALIVE_EVERY, boot_time + CLOCK_EVERY]
            .into_iter()
            .chain(deadline)
            .chain(pulse)
            .min()
            .unwrap_or(next)
    }

    /// When the machine must decide without new evidence; never during a pause.
    fn deadline(&self) -> Option<Stamp> {
        self.machine.deadline().filter(|_| !self.is_paused())
    }

    /// The current pause, after the start the one that an earlier run began.
    pub fn pause(&self) -> Option<Pause> {
        self.pause
    }

    fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Records the open incidents because monitoring stops at `now`. During a pause this has been done
    /// already.
    fn record_open_incidents(&mut self, now: Stamp) {
        if self.is_paused() {
            return;
        }
        for transition in self.machine.stop_monitoring(now) {
            self.recorder.progress(transition, now);
        }
    }

    /// Reads the clocks to detect that the machine slept or its wall clock was set.
    fn read_clocks(&mut self) -> Stamp {
        let events = self.clock.observe();
        let now = self.clock.now();
        let boot_time = Duration::from_millis(now.boot_ms);
        let since =
            boot_time.saturating_sub(std::mem::replace(&mut self.clocks_read_at, boot_time));
        let mut slept = false;
        for event in events {
            match event {
                ClockEvent::Suspended { from, to } => {
                    slept = true;
                    self.unmonitored(GapCause::Suspended, from, to);
                }
                ClockEvent::Stepped { by_ms, source } => {
                    self.recorder.write(Entry::ClockStepped { by_ms, source }, now);
                    ClockStepped { by_ms, source }.emit();
                    self.hour_ends = boot_time + self.tally.lock().time_to_full_hour(now);
                    let implausible = !self.clock.is_plausible();
                    self.observe(&Evidence::ClockImplausible(implausible), now);
                }
            }
        }
        if !slept && since > CLOCK_EVERY + STALLED_AFTER {
            self.unmonitored(GapCause::Suspended, now.earlier(since), now);
        }
        now
    }

    /// Records a gap: nothing was monitored from `from` to `to`.
    fn unmonitored(&mut self, cause: GapCause, from: Stamp, to: Stamp) {
        let mut tally = self.tally.lock();
        tally.stop_monitoring(from);
        if !self.is_paused() {
            tally.mark_monitored(to);
        }
        drop(tally);
        self.void_before_ms = to.boot_ms;
        if self.is_paused() {
            // The pause is the gap, and it has not ended.
            return;
        }
        self.note_gap(cause, from, to, 0);
        self.begin_grace(GraceReason::Resumed, to);
    }

    fn note_gap(&mut self, cause: GapCause, started: Stamp, ended: Stamp, uncertain_s: u32) {
        let id = IncidentId::new(ended, &mut self.random);
        let gap = Gap { id, cause, started, ended, uncertain_s, reason: None };
        self.observe(&Evidence::GapEnded(gap), ended);
    }

    /// Discards the known state and starts a grace period with a round.
    fn begin_grace(&mut self, reason: GraceReason, now: Stamp) {
        self.observe(&Evidence::Grace(reason), now);
        self.prober.forget_macs();
        self.look_up_links(now);
        self.discard_unprobed(now);
        self.observe(&Evidence::ClockImplausible(!self.clock.is_plausible()), now);
        self.schedule.resume(Duration::from_millis(now.boot_ms));
    }

    /// Handles a message from another task.
    fn handle_message(&mut self, message: MonitorMessage) {
        let now = self.read_clocks();
        match message {
            MonitorMessage::Heartbeat { started, outcome } => {
                self.heartbeat(started, &outcome, now);
            }
            MonitorMessage::Pause { until, noted } => {
                self.record_open_incidents(now);
                // By the clock of this task, so that the gap begins where the incidents end.
                let since = self.pause.map_or(now, |current| current.since);
                self.pause = Some(Pause::new(since, until));
                self.tally.lock().stop_monitoring(now);
                self.recorder.write_and_notify(Entry::Paused { until }, now, noted);
            }
            MonitorMessage::Resume => {
                if let Some(pause) = self.pause.take() {
                    self.unmonitored(GapCause::Paused, pause.since, now);
                }
            }
            MonitorMessage::Sleep => self.recorder.note_alive(now),
            MonitorMessage::Wake => self.schedule.hurry(),
            MonitorMessage::Change(settings) => {
                let (sender, answers) = mpsc::unbounded_channel();
                let resolver = self.prober.resolver();
                self.prober = Prober::new(&settings, self.clock.clone(), resolver, sender);
                self.results = answers;
                let boot_time = Duration::from_millis(now.boot_ms);
                self.schedule =
                    ProbeSchedule::new(settings.probe.interval, settings.probe.interval, boot_time);
                self.status_builder.apply_settings(&settings);
                self.settings = *settings;
                self.machine.set_grace(self.settings.probe.grace);
                self.look_up_links(now);
                self.discard_unprobed(now);
            }
            MonitorMessage::HandOver { waiting, problem } => {
                self.status_builder.hand_over(waiting, problem);
            }
            MonitorMessage::Stop { .. } => {}
        }
        self.show();
    }

    fn end_hour(&mut self, now: Stamp) {
        let mut tally = self.tally.lock();
        let summary = tally.summarise(now);
        self.hour_ends = Duration::from_millis(now.boot_ms) + tally.time_to_full_hour(now);
        drop(tally);
        if let Some(summary) = summary {
            self.machine.learn(&summary);
            self.recorder.write(Entry::Hour { summary }, now);
        }
    }

    /// The probes that the machine wants; none during a pause.
    fn wanted(&self) -> ProbePlan {
        if self.is_paused() { ProbePlan::default() } else { self.machine.plan() }
    }

    /// Publishes the current state.
    fn show(&mut self) {
        let now = self.clock.now();
        let links = self.prober.links();
        let quality = self.tally.lock().quality(now);
        self.status_builder.quality(quality);
        self.status_builder.blind(self.machine.status_key().blind.filter(|_| !self.is_paused()));
        self.status_builder.show(
            &self.machine.snapshot(),
            links,
            self.pause.map(|pause| pause.until),
            &self.recorder,
            &self.clock,
            now,
        );
    }

    async fn stop(mut self, reason: &'static str, done: oneshot::Sender<()>) {
        let now = self.read_clocks();
        self.end_hour(now);
        self.record_open_incidents(now);
        self.recorder.write(Entry::AgentStopped { reason: reason.to_owned() }, now);
        self.recorder.finish().await;
        self.status_builder.stopped(now);
        // The requester may have timed out.
        let _ = done.send(());
    }
}
