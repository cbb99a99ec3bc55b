//! Monitors the connection: one task owns all state, and other tasks send it messages.
//!
//! - [`schedule`] decides which probe is due when, the prober sends it.
//! - The [`OutageMachine`] derives transitions from the results. The recorder writes each to the
//!   journal before it is logged and shown in the status.
//! - [`Tally`] counts for the hourly summary and for the next heartbeat.
//!
//! Nothing here waits for a disk, the resolver or the reader of the log.

mod histogram;
mod message;
mod prober;
mod recorder;
pub mod schedule;
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
    event::{Advice, AnchorsBlocked, ClockStepped, LogEvent, MonitoringBlind},
    heartbeat::HeartbeatOutcome,
    journal::{Entry, PastGap, Recovered, Start},
    notify::ServiceManager,
    outage::{
        Evidence, FamilyState, Gap, GapCause, GraceReason, IncidentId, MachineSettings,
        OutageMachine, ProbePlan, StatusKey, Transition,
    },
    probe::{Family, LinkAnswer, PerFamily, link::LinkMonitor},
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

/// Monitoring or paused.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Monitoring,
    /// No probes are sent and all evidence is ignored.
    Paused {
        since: Stamp,
        until: Stamp,
    },
}

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
    mode: Mode,
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
    /// Prepares monitoring, and records what happened since the last run.
    ///
    /// # Panics
    /// When called outside of a tokio runtime.
    pub fn start(settings: MonitorSettings, deps: MonitorDeps) -> Self {
        let MonitorDeps {
            clock,
            resolver,
            journal,
            recovered,
            publisher,
            manager,
            state_dir,
            connectivity_restored: returned,
            hand_over_due: closed,
        } = deps;
        let now = clock.now();
        let mut random = Rng::new();
        let machine_settings =
            MachineSettings { grace: settings.probe.grace, ..MachineSettings::default() };
        let mut machine =
            OutageMachine::new(machine_settings, random.fork(), recovered.open.clone(), now);
        recovered.hours.iter().for_each(|summary| machine.learn(summary));
        recovered.networks.iter().for_each(|facts| machine.restore_network(facts));
        let (sender, answers) = mpsc::unbounded_channel();
        let prober = Prober::new(&settings, clock.clone(), resolver, sender);
        let phase = settings.probe.interval.mul_f64(random.f64());
        let boot_time = Duration::from_millis(now.boot_ms);
        let tally = Tally::new(now);
        let hour_ends = boot_time + tally.time_to_full_hour(now);
        let mut monitor = Self {
            schedule: ProbeSchedule::new(settings.probe.interval, phase, boot_time),
            status_builder: StatusBuilder::new(
                &settings,
                now,
                &state_dir,
                publisher,
                manager.clone(),
            ),
            manager,
            recorder: Recorder::new(journal, closed),
            settings,
            clock,
            machine,
            prober,
            results: answers,
            links: LinkMonitor::new(),
            tally: SharedTally::new(tally),
            random,
            connectivity_restored: returned,
            mode: Mode::Monitoring,
            void_before_ms: 0,
            status_key: None,
            has_warned_of_blocked: false,
            clocks_read_at: boot_time,
            alive_written_at: Duration::ZERO,
            hour_ends,
        };
        monitor.begin(&recovered, now);
        monitor
    }

    /// The counters, shared with the heartbeats.
    pub fn tally(&self) -> SharedTally {
        self.tally.clone()
    }

    /// Records how the last run ended and that this one has begun.
    fn begin(&mut self, recovered: &Recovered, now: Stamp) {
        for note in &recovered.notes {
            Advice { advice: note }.emit();
        }
        for incident in &recovered.superseded {
            self.recorder.progress(Transition::Closed(incident.clone()), now);
        }
        let Start { gaps, pause, must_record_pause: renews_pause } = recovered.start(now);
        for PastGap { cause, started, ended, uncertain_s } in gaps {
            self.note_gap(cause, started, ended, uncertain_s);
        }
        if let Some(pause) = pause {
            self.mode = Mode::Paused { since: pause.since, until: pause.until };
            self.tally.lock().stop_monitoring(now);
            if renews_pause {
                self.recorder.write(Entry::Paused { until: pause.until }, now);
            }
        }
        let (version, device) =
            (env!("CARGO_PKG_VERSION").to_owned(), self.settings.device.clone());
        self.recorder.write(Entry::AgentStarted { version, device }, now);
        self.begin_grace(GraceReason::Started, now);
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

    fn is_paused(&self) -> bool {
        matches!(self.mode, Mode::Paused { .. })
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

    /// Looks up the routes to the anchors and returns whether they changed. Whichever caller detects
    /// that a link came up starts the grace period.
    fn look_up_links(&mut self, now: Stamp) -> bool {
        let before = self.prober.links().clone();
        let evidence = self.prober.look_up_links();
        let after = self.prober.links();
        let returned = |family| {
            let (before, after) = (before[family].as_ref(), after[family].as_ref());
            before.zip(after).is_some_and(|(before, after)| after.has_come_up_since(before))
        };
        let has_returned = Family::BOTH.into_iter().any(returned);
        let way = |links: &PerFamily<Option<LinkAnswer>>| {
            PerFamily::from_fn(|family| links[family].as_ref().map(LinkAnswer::without_mac))
        };
        let has_changed = has_returned || way(after) != way(&before);
        if has_returned {
            self.observe(&Evidence::Grace(GraceReason::LinkUp), now);
        }
        self.observe(&evidence, now);
        has_changed
    }

    /// The kernel reported that interfaces, addresses or routes may have changed.
    fn links_changed(&mut self) {
        if self.is_paused() {
            return;
        }
        let now = self.clock.now();
        if self.look_up_links(now) {
            self.schedule.hurry();
            self.show();
        }
    }

    /// Handles the result of a probe.
    fn handle_result(&mut self, answer: ProbeResult) {
        let ProbeResult { sent: asked, evidence, ended } = answer;
        if let Some(probe) = ended {
            self.schedule.answered(probe);
        }
        let now = self.read_clocks();
        if asked.boot_ms < self.void_before_ms || self.is_paused() {
            return;
        }
        for evidence in evidence {
            match &evidence {
                Evidence::Probe { family, rtt, .. } if self.counts_probes(*family) => {
                    self.tally.lock().count_probe(*rtt);
                }
                Evidence::Round(round) => self.tally.lock().count_round(round.is_answered()),
                _ => {}
            }
            self.observe(&evidence, now);
        }
    }

    /// Whether probes of a family count for the quality: it has a route, and no outage is open.
    fn counts_probes(&self, family: Family) -> bool {
        self.machine.status_key().families[family] != FamilyState::Absent
            && !self.machine.is_failing()
    }

    /// Passes evidence to the machine and handles its transitions. During a pause evidence is ignored.
    fn observe(&mut self, evidence: &Evidence, now: Stamp) {
        if self.is_paused() {
            return;
        }
        let was_failing = self.machine.is_failing();
        let transitions = self.machine.observe(evidence, now);
        if was_failing && !self.machine.is_failing() {
            self.connectivity_restored.notify_one();
        }
        for network in self.machine.take_learned() {
            self.recorder.write(Entry::Network { network }, now);
        }
        let has_changed = !transitions.is_empty();
        for transition in transitions {
            self.recorder.transition(transition, now);
        }
        let status_key = self.machine.status_key();
        if self.status_key != Some(status_key) {
            self.note_status_key(status_key);
            self.show();
        } else if has_changed {
            self.show();
        }
    }

    /// Discards evidence of families without anchors, and of heartbeats when none are sent.
    fn discard_unprobed(&mut self, now: Stamp) {
        for family in Family::BOTH {
            if self.prober.links()[family].is_none() {
                self.observe(&Evidence::NoAnchors { family }, now);
            }
        }
        if self.settings.heartbeat.is_none() {
            self.observe(&Evidence::NoHeartbeats, now);
        }
    }

    /// Counts blips, logs once that anchors are blocked, and logs when this device can no longer send probes.
    fn note_status_key(&mut self, status_key: StatusKey) {
        let before = self.status_key.replace(status_key);
        let new = status_key.blips - before.map_or(0, |before| before.blips);
        if new > 0 {
            self.tally.lock().count_blips(u32::try_from(new).unwrap_or(u32::MAX));
        }
        if status_key.anchors_blocked && !std::mem::replace(&mut self.has_warned_of_blocked, true) {
            AnchorsBlocked.emit();
        }
        if let Some(reason) = status_key.blind
            && before.is_none_or(|before| before.blind.is_none())
        {
            MonitoringBlind { reason }.emit();
        }
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
                let since = match self.mode {
                    Mode::Monitoring => now,
                    Mode::Paused { since, .. } => since,
                };
                self.mode = Mode::Paused { since, until };
                self.tally.lock().stop_monitoring(now);
                self.recorder.write_and_notify(Entry::Paused { until }, now, noted);
            }
            MonitorMessage::Resume => {
                if let Mode::Paused { since, .. } = self.mode {
                    self.mode = Mode::Monitoring;
                    self.unmonitored(GapCause::Paused, since, now);
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

    fn heartbeat(&mut self, started: Duration, outcome: &HeartbeatOutcome, now: Stamp) {
        let started = now.earlier(Duration::from_millis(now.boot_ms).saturating_sub(started));
        self.tally.lock().count_heartbeat(outcome.is_delivered());
        self.status_builder.heartbeat(outcome, now);
        let proof = outcome.proof();
        // Any intermediary can send a `Date`; only a response that counts as proof is trusted.
        if let (HeartbeatOutcome::Delivered { date: Some(date), .. }, Some(_)) = (outcome, proof) {
            let step = self.clock.heartbeat_date(*date, started, now);
            if let Some(ClockEvent::Stepped { by_ms, source }) = step {
                // The record of the step is the first one with the right time.
                let now = now.corrected(&self.clock.now());
                self.recorder.write(Entry::ClockStepped { by_ms, source }, now);
                ClockStepped { by_ms, source }.emit();
            }
            self.observe(&Evidence::ClockImplausible(!self.clock.is_plausible()), now);
        }
        // The wall clock may just have been corrected.
        let now = now.corrected(&self.clock.now());
        if started.boot_ms < self.void_before_ms || self.is_paused() {
            return;
        }
        let evidence =
            Evidence::Heartbeat { started, finished: now, proof, outcome: outcome.kind() };
        self.observe(&evidence, now);
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
        let pause = match self.mode {
            Mode::Monitoring => None,
            Mode::Paused { until, .. } => Some(until),
        };
        let quality = self.tally.lock().quality(now);
        self.status_builder.quality(quality);
        self.status_builder.blind(self.machine.status_key().blind.filter(|_| pause.is_none()));
        self.status_builder.show(
            &self.machine.snapshot(),
            links,
            pause,
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
