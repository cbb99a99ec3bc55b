//! The simulated device and its agent: which heartbeats it sends, and when queries see them.
//!
//! The intervals between heartbeats are the agent's own ([`Pacing`]).

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use fastrand::Rng;
use ispmon_agent::{
    config::settings::{HeartbeatKind, HeartbeatMethod, HeartbeatSettings},
    heartbeat::Pacing,
};
use ispmon_wire::AgentState;
use tokio::time::Instant;

use super::{
    assumptions::{
        Assumptions, BACKOFF, COLD_START, HEARTBEAT_TIMEOUT, QUIET_AFTER_SLEEP, QUIET_AFTER_STOP,
        RECOVERY_DETECTION, ROUND_TRIP, SECOND_ANNOUNCEMENT, SECOND_HAND_OVER, SHORTEST_INCIDENT,
    },
    delay::IngestionDelays,
    lines::{LineContents, SimulatedLine},
    random::{fork, uniform},
    time::{MINUTE, Millis, SECOND, Span, timestamp},
    world::{Absence, AbsenceKind, SimulatedOutage, World},
};
use crate::clock;

/// The simulated device.
#[derive(Debug)]
pub struct SimulatedDevice<'world> {
    world: &'world World,
    assumptions: &'world Assumptions,
    settings: HeartbeatSettings,
    pacing: Pacing,
    origin: Instant,
    random: Rng,
    ingestion: IngestionDelays<'world>,
    /// When the next heartbeat is sent.
    next: Millis,
    next_absence: usize,
    hand_overs: BinaryHeap<Reverse<(Millis, usize, bool)>>,
    boot: u64,
    seq: u64,
    /// The current announced silence.
    announced: Option<Span>,
    announcements: Vec<Span>,
    /// Lines that are not visible yet, in the order in which they become visible.
    pending: VecDeque<(Millis, SimulatedLine)>,
}

impl<'world> SimulatedDevice<'world> {
    /// Creates a device that starts at time 0 and sends heartbeats at this interval.
    pub fn new(
        world: &'world World,
        assumptions: &'world Assumptions,
        interval: Duration,
        random: &mut Rng,
    ) -> Self {
        let settings = heartbeat_settings(interval);
        let mut random = fork(random);
        let ingestion = IngestionDelays::new(assumptions, &world.ingestion_down, fork(&mut random));
        let incidents = world.outages.iter().enumerate().filter(|(_, outage)| {
            !outage.is_power_cut && outage.span.length() >= SHORTEST_INCIDENT
        });
        let hand_overs = incidents
            .map(|(index, outage)| {
                let at = outage.span.to + uniform(&mut random, 5 * SECOND, 15 * SECOND);
                Reverse((at, index, false))
            })
            .collect();
        Self {
            world,
            assumptions,
            pacing: Pacing::with_seed(&settings, random.u64(..)),
            settings,
            origin: clock::monotonic(),
            ingestion,
            next: uniform(&mut random, 0, 3 * SECOND),
            random,
            next_absence: 0,
            hand_overs,
            boot: 1,
            seq: 0,
            announced: None,
            announcements: Vec::new(),
            pending: VecDeque::new(),
        }
    }

    /// Simulates everything up to `until`.
    pub fn advance(&mut self, until: Millis) {
        loop {
            let absence = self.world.absences.get(self.next_absence);
            let leaves = absence.map_or(Millis::MAX, |absence| absence.span.from);
            let hands_over = self.hand_overs.peek().map_or(Millis::MAX, |Reverse(first)| first.0);
            if self.next.min(leaves).min(hands_over) > until {
                return;
            }
            match absence {
                Some(absence) if leaves <= self.next && leaves <= hands_over => {
                    self.next_absence += 1;
                    self.stop_sending(*absence);
                }
                _ if hands_over <= self.next => self.hand_over(),
                _ => self.heartbeat(),
            }
        }
    }

    /// Returns the lines that have become visible by `now` and were not returned before.
    pub fn take_visible(&mut self, now: Millis) -> Vec<SimulatedLine> {
        let count = self.pending.iter().take_while(|(visible, _)| *visible <= now).count();
        self.pending.drain(..count).map(|(_, line)| line).collect()
    }

    /// The announced silences so far, each until the heartbeat that ended it.
    pub fn announcements(mut self) -> Vec<Span> {
        self.announcements.extend(self.announced);
        self.announcements
    }

    fn heartbeat(&mut self) {
        let at = self.next;
        self.seq += 1;
        if let Some(SimulatedOutage { span: outage, is_power_cut }) = self.world.outage(at) {
            self.next = if is_power_cut {
                self.boot += 1;
                self.restart();
                outage.to + uniform(&mut self.random, 20 * SECOND, MINUTE)
            } else if at + HEARTBEAT_TIMEOUT < outage.to && outage.length() >= SHORTEST_INCIDENT {
                let seen = uniform(&mut self.random, RECOVERY_DETECTION.0, RECOVERY_DETECTION.1);
                outage.to + seen + millis(self.pacing.after_reconnection())
            } else {
                at + HEARTBEAT_TIMEOUT + millis(self.pacing.after_failure())
            };
        } else if Span::at(&self.world.function_down, at).is_some() {
            self.next = at + ROUND_TRIP + millis(self.pacing.after_refusal(None, true));
        } else if self.random.f64() < self.assumptions.heartbeat_loss {
            self.next = at + HEARTBEAT_TIMEOUT + millis(self.pacing.after_failure());
        } else {
            let answered = at + ROUND_TRIP + self.cold_start();
            self.end_announcement(answered);
            let (sent, now) = (self.instant(at), self.instant(answered));
            self.write(answered, self.subject(AgentState::Running, 0));
            self.next = answered + millis(self.pacing.after_delivery(sent, now));
        }
    }

    /// The device or its agent stops, announced if possible.
    fn stop_sending(&mut self, absence: Absence) {
        let Absence { span, quiet, kind } = absence;
        if self.world.outage(span.from).is_some_and(|outage| outage.is_power_cut) {
            return;
        }
        let state = match kind {
            AbsenceKind::Reboot | AbsenceKind::AgentRestart => AgentState::Stopping,
            AbsenceKind::Pause => AgentState::Paused,
            AbsenceKind::Sleep => AgentState::Sleeping,
        };
        for at in [span.from, span.from + SECOND_ANNOUNCEMENT] {
            self.seq += 1;
            let arrives = self.reaches(at) && self.random.f64() >= self.assumptions.heartbeat_loss;
            if arrives {
                let written = at + ROUND_TRIP;
                self.announced.get_or_insert(Span { from: written, to: written + quiet });
                self.write(written, self.subject(state, quiet));
            }
        }
        match kind {
            AbsenceKind::Reboot => {
                self.boot += 1;
                self.restart();
            }
            AbsenceKind::AgentRestart => self.restart(),
            AbsenceKind::Pause | AbsenceKind::Sleep => {}
        }
        self.next = span.to + millis(self.pacing.after_reconnection());
    }

    /// Hands over an incident, for the first or second time, or schedules a retry.
    fn hand_over(&mut self) {
        let Some(Reverse((at, index, is_second))) = self.hand_overs.pop() else { return };
        let absent = self.next_absence.checked_sub(1).map(|last| self.world.absences[last].span);
        if !self.reaches(at) || absent.is_some_and(|absent| absent.contains(at)) {
            self.hand_overs.push(Reverse((at + SECOND_HAND_OVER, index, is_second)));
            return;
        }
        self.write(at, LineContents::Outage { index, span: self.world.outages[index].span });
        if !is_second {
            self.hand_overs.push(Reverse((at + SECOND_HAND_OVER, index, true)));
        }
    }

    /// The function writes a line; if the host sends it on, it becomes visible some time later.
    fn write(&mut self, at: Millis, subject: LineContents) {
        let visible = self.ingestion.visible(at);
        if self.world.loses(at) {
            return;
        }
        let line = SimulatedLine { timestamp: timestamp(at), subject };
        let behind = self.pending.iter().rev().take_while(|(other, _)| *other > visible).count();
        self.pending.insert(self.pending.len() - behind, (visible, line));
    }

    fn subject(&self, state: AgentState, quiet: Millis) -> LineContents {
        LineContents::Heartbeat { boot: self.boot, seq: self.seq, state, quiet_s: quiet / SECOND }
    }

    /// Sequence numbers keep growing: a run starts at the milliseconds since the boot.
    fn restart(&mut self) {
        self.pacing = Pacing::with_seed(&self.settings, self.random.u64(..));
    }

    fn end_announcement(&mut self, at: Millis) {
        if let Some(Span { from, to }) = self.announced.take() {
            self.announcements.push(Span { from, to: to.min(at) });
        }
    }

    fn cold_start(&mut self) -> Millis {
        if self.random.f64() < self.assumptions.cold_starts {
            uniform(&mut self.random, COLD_START.0, COLD_START.1)
        } else {
            0
        }
    }

    /// Whether a request sent at `at` gets a response from the function.
    fn reaches(&self, at: Millis) -> bool {
        self.world.outage(at).is_none() && Span::at(&self.world.function_down, at).is_none()
    }

    fn instant(&self, at: Millis) -> Instant {
        self.origin + Duration::from_millis(at.unsigned_abs())
    }
}

/// The agent's default settings with this interval.
fn heartbeat_settings(interval: Duration) -> HeartbeatSettings {
    let of = |millis: Millis| Duration::from_millis(millis.unsigned_abs());
    HeartbeatSettings {
        kind: HeartbeatKind::Ispmon,
        url: None,
        method: HeartbeatMethod::Get,
        expect: None,
        key: None,
        key_file: None,
        interval,
        timeout: of(HEARTBEAT_TIMEOUT),
        backoff_base: of(BACKOFF.0),
        backoff_cap: of(BACKOFF.1),
        quiet_after_stop: of(QUIET_AFTER_STOP),
        quiet_after_sleep: of(QUIET_AFTER_SLEEP),
    }
}

fn millis(wait: Duration) -> Millis {
    wait.as_millis() as Millis
}
