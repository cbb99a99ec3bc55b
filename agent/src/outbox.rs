//! Hands the journal over: sends every closed incident and gap until the cloud has acknowledged it
//! twice.
//!
//! The journal itself is the outbox. A small file of its own holds the acknowledged position in it,
//! so a restart loses nothing and memory does not grow with the backlog: at most 100 incidents are
//! read at a time. An id that is sent twice counts once, so in doubt everything is sent again.
//!
//! 1. Nothing is sent while heartbeats fail: after an outage a heartbeat goes first.
//! 2. After a failure the next attempt waits about 10 s, then twice as long each time up to 10
//!    minutes, or as long as the response asks for.
//! 3. The journal is read to its end once per round, not again for each of many batches.
//! 4. While the clock shows an implausible time, everything waits: times once sent cannot be taken
//!    back.
//! 5. Only ispmon's function acknowledges, by the number of incidents that it accepted. It may
//!    still lose them, so everything is sent a second time some minutes later (`outbox/progress.rs`);
//!    new incidents go first.
//! 6. An incident whose content the cloud refuses is isolated and skipped, so that it blocks
//!    nothing else (`outbox/upload.rs`).

mod batch;
mod disk;
mod error;
mod message;
mod progress;
mod upload;

use std::{path::PathBuf, sync::Arc, time::Duration};

use fastrand::Rng;
use ispmon_wire::ReportedIncident;
use tokio::{
    select,
    sync::{Notify, mpsc::UnboundedSender, watch},
    time::{Instant, sleep_until},
};

use crate::{
    clock::Clock,
    error_chain::ErrorChain,
    event::{
        IncidentPassedOver, IncidentsHandedOver, IncidentsHandedOverAgain, IncidentsNotHandedOver,
        LogEvent,
    },
    heartbeat::{Backoff, CloudClient, HeartbeatOutcome},
    journal::{Journal, WallClockOffsets},
    monitor::MonitorMessage,
    outage::IncidentId,
    status::HandOverProblem,
};
use batch::{Backlog, Batch, read, read_backlog};
use disk::Disk;
use error::OutboxError;
use progress::{HandOverProgress, HandOverRound};
use upload::{UploadAction, UploadResult, UploadState};

/// The largest first delay after a failure; the actual one is random.
const BACKOFF_BASE: Duration = Duration::from_secs(20);
/// The longest delay after failures.
const BACKOFF_CAP: Duration = Duration::from_mins(10);
/// The time limit of one hand-over; a function that starts cold takes up to 10 s.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(30);
/// The delay between attempts while a refused incident is isolated.
const ISOLATION_DELAY: Duration = Duration::from_secs(1);

/// Dependencies of the outbox.
#[derive(Debug)]
pub struct OutboxDeps {
    /// The folder of the journal.
    pub folder: PathBuf,
    /// The journal.
    pub journal: Journal,
    /// The wall-clock offsets of earlier boots.
    pub clock_offsets: WallClockOffsets,
    /// The clock of this boot.
    pub clock: Clock,
    /// The client in use; `None` in local mode.
    pub client: watch::Receiver<Option<Arc<CloudClient>>>,
    /// Whether the newest heartbeat was delivered; updated by each heartbeat.
    pub delivered: watch::Receiver<bool>,
    /// Notified when an incident or gap was closed.
    pub closed: Arc<Notify>,
    /// The monitor, which receives the number of waiting incidents.
    pub monitor: UnboundedSender<MonitorMessage>,
}

/// The task that hands the journal over.
#[derive(Debug)]
pub struct Outbox {
    deps: OutboxDeps,
    disk: Disk,
    /// Whether the first round may have incidents to send.
    may_have_new: bool,
    /// When the second round is due.
    second_round_at: Option<Instant>,
    /// The incidents that wait after the newest accepted batch of a round.
    ahead: Option<(HandOverRound, Backlog)>,
    upload_state: UploadState,
    not_before: Instant,
    backoff: Backoff,
    random: Rng,
    /// How many incidents wait, as last reported to the monitor.
    waiting: u64,
    /// The current problem.
    problem: Option<HandOverProblem>,
    /// The statuses logged since the last success; `None` stands for no response.
    logged_statuses: Vec<Option<u16>>,
}

/// One batch, and the round that it belongs to.
struct Sending {
    round: HandOverRound,
    place: HandOverProgress,
    batch: Batch,
}

impl Outbox {
    /// An outbox that starts with whatever the journal holds.
    pub fn new(deps: OutboxDeps) -> Self {
        Self {
            deps,
            disk: Disk::default(),
            may_have_new: true,
            second_round_at: None,
            ahead: None,
            upload_state: UploadState::Whole,
            not_before: Instant::now(),
            backoff: Backoff::new(BACKOFF_BASE, BACKOFF_CAP),
            random: Rng::new(),
            waiting: 0,
            problem: None,
            logged_statuses: Vec::new(),
        }
    }

    /// Hands over until the agent stops.
    pub async fn run(mut self) {
        loop {
            let (round, at) = match self.second_round_at {
                _ if self.may_have_new => (Some(HandOverRound::First), self.not_before),
                Some(at) => (Some(HandOverRound::Second), at.max(self.not_before)),
                None => (None, self.not_before),
            };
            let round = round.filter(|_| *self.deps.delivered.borrow_and_update());
            select! {
                () = sleep_until(at), if round.is_some() => {
                    self.hand_over(round.unwrap_or(HandOverRound::First)).await;
                }
                () = self.deps.closed.notified() => self.restart_first_round(),
                // The new client may send to a function that accepts incidents.
                Ok(()) = self.deps.client.changed() => self.restart_first_round(),
                changed = self.deps.delivered.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn restart_first_round(&mut self) {
        self.may_have_new = true;
        self.ahead = None;
    }

    /// Sends one batch and handles the response.
    async fn hand_over(&mut self, round: HandOverRound) {
        let client = self.deps.client.borrow_and_update().clone();
        let Some(client) = client.filter(|_| self.deps.clock.is_plausible()) else {
            // The next attempt checks again.
            return self.wait(BACKOFF_BASE);
        };
        let Some(sending) = self.read(round).await else { return };
        let Sending { batch, .. } = &sending;
        if batch.position.is_none() {
            return self.end_round(sending).await;
        }
        let sent = batch.incidents.len();
        if round == HandOverRound::First {
            self.report_waiting(sent as u64 + batch.remaining.waiting);
        }
        if sent == 0 {
            return self.save_sent(sending, None).await;
        }
        let Some((action, outcome)) = self.send(&client, &sending.batch.incidents).await else {
            // There is no recipient, now or later.
            self.may_have_new = false;
            self.second_round_at = None;
            self.clear_problem();
            return self.report_waiting(0);
        };
        match action {
            UploadAction::Save => self.save_sent(sending, None).await,
            UploadAction::PassOver => {
                self.wait(ISOLATION_DELAY);
                self.save_sent(sending, Some(&outcome)).await;
            }
            UploadAction::Halve | UploadAction::SendEmpty => {
                self.wait(ISOLATION_DELAY.max(requested_delay(&outcome)));
            }
            UploadAction::BackOff => {
                let status = match outcome {
                    HeartbeatOutcome::Refused { status, .. } => Some(status),
                    _ => None,
                };
                let reason = outcome.reason().to_string();
                self.failed(round, status, reason, outcome.hand_over_advice());
                let asked = Instant::now() + requested_delay(&outcome);
                self.not_before = self.not_before.max(asked);
            }
        }
    }

    /// Reads the next batch on the disk thread.
    async fn read(&mut self, round: HandOverRound) -> Option<Sending> {
        let (folder, walls) = (self.deps.folder.clone(), self.deps.clock_offsets.clone());
        let ahead = self.ahead.take().filter(|(of, _)| *of == round);
        let (now, most) = (self.deps.clock.now(), self.upload_state.most());
        let read = move || {
            let place = HandOverProgress::load(&folder);
            let ahead = ahead.map(|(_, ahead)| ahead);
            let survey = ahead
                .map_or_else(|| read_backlog(&folder, place.position_of(round), walls, now), Ok)?;
            let batch = read(&folder, &place, round, survey, most)?;
            Ok(Sending { round, place, batch })
        };
        self.on_disk(round, read).await
    }

    /// Sends incidents, and then an empty message if that shows whether their content was refused.
    /// Returns the action and the outcome for the incidents; that of the empty message if it was
    /// not accepted. `None` if there is no recipient.
    async fn send(
        &mut self,
        client: &CloudClient,
        incidents: &[ReportedIncident],
    ) -> Option<(UploadAction, HeartbeatOutcome)> {
        let head = self.deps.journal.state().head.clone();
        let outcome = client.hand_over(head.clone(), incidents.to_vec(), HAND_OVER_TIMEOUT).await?;
        let (course, action) = self.upload_state.step(incidents.len(), UploadResult::of(&outcome));
        self.upload_state = course;
        if action != UploadAction::SendEmpty {
            return Some((action, outcome));
        }
        let asked = client.hand_over(head, Vec::new(), HAND_OVER_TIMEOUT).await?;
        let (course, action) = self.upload_state.step(0, UploadResult::of(&asked));
        self.upload_state = course;
        Some((action, if asked.is_delivered() { outcome } else { asked }))
    }

    /// Saves that a batch was accepted, or that its only incident is skipped.
    async fn save_sent(&mut self, sending: Sending, refusal: Option<&HeartbeatOutcome>) {
        let Sending { round, mut place, batch } = sending;
        let Batch { incidents, first, position, remaining: behind } = batch;
        let Some(position) = position else { return };
        let now = self.deps.clock.now();
        match first.filter(|_| refusal.is_some()) {
            Some(seq) => place.pass_over(round, position, seq, now),
            None => place.advance(round, position, now),
        }
        if !self.save(round, place).await {
            return;
        }
        let count = incidents.len() as u64;
        match (refusal, incidents.first()) {
            (Some(refusal), Some(incident)) => {
                let reason = &refusal.reason();
                IncidentPassedOver { id: IncidentId(incident.id), reason }.emit();
            }
            _ if count == 0 => {}
            _ if round == HandOverRound::First => IncidentsHandedOver { count }.emit(),
            _ => IncidentsHandedOverAgain { count }.emit(),
        }
        self.backoff.reset();
        if round == HandOverRound::First {
            self.clear_problem();
            self.may_have_new = behind.waiting > 0;
            self.report_waiting(behind.waiting);
        }
        self.ahead = (behind.waiting > 0).then_some((round, behind));
    }

    /// Ends a round in which nothing is left to send.
    async fn end_round(&mut self, sending: Sending) {
        let Sending { round, mut place, .. } = sending;
        let now = self.deps.clock.now();
        match round {
            HandOverRound::First => {
                self.may_have_new = false;
                self.clear_problem();
                self.second_round_at = place.due_in(&now).map(|rest| Instant::now() + rest);
                self.report_waiting(0);
            }
            HandOverRound::Second => {
                place.end_second_round(now);
                self.save(round, place).await;
            }
        }
    }

    /// Saves the progress; returns whether it is on the disk.
    async fn save(&mut self, round: HandOverRound, place: HandOverProgress) -> bool {
        let folder = self.deps.folder.clone();
        let due_in = place.due_in(&self.deps.clock.now());
        let is_saved = self.on_disk(round, move || place.save(&folder)).await.is_some();
        if is_saved {
            self.second_round_at = due_in.map(|rest| Instant::now() + rest);
        }
        is_saved
    }

    /// Does work of a round on the disk thread. Backs off if it fails or the thread cannot be
    /// started.
    async fn on_disk<T: Send + 'static>(
        &mut self,
        round: HandOverRound,
        work: impl FnOnce() -> Result<T, OutboxError> + Send + 'static,
    ) -> Option<T> {
        match self.disk.run(work).await {
            Some(Ok(done)) => return Some(done),
            Some(Err(error)) => {
                let advice = error.advice(&self.deps.folder);
                self.failed(round, None, ErrorChain(&error).to_string(), Some(&advice));
            }
            None => self.wait(BACKOFF_CAP),
        }
        None
    }

    /// Backs off. A failed second round is not reported: the cloud has accepted all of it once.
    fn failed(
        &mut self,
        round: HandOverRound,
        status: Option<u16>,
        reason: String,
        advice: Option<&str>,
    ) {
        let wait = self.backoff.record_failure(&mut self.random);
        self.wait(wait);
        if round == HandOverRound::Second {
            return;
        }
        if !self.logged_statuses.contains(&status) {
            self.logged_statuses.push(status);
            IncidentsNotHandedOver { reason: &reason, advice }.emit();
        }
        self.problem = Some(HandOverProblem { reason, advice: advice.map(str::to_owned) });
        self.report_waiting(self.waiting);
    }

    fn clear_problem(&mut self) {
        self.problem = None;
        self.logged_statuses.clear();
    }

    fn wait(&mut self, time: Duration) {
        self.not_before = Instant::now() + time;
    }

    fn report_waiting(&mut self, waiting: u64) {
        self.waiting = waiting;
        // The send fails only when the monitor has stopped, because the agent stops.
        let problem = self.problem.clone();
        let _ = self.deps.monitor.send(MonitorMessage::HandOver { waiting, problem });
    }
}

/// The delay that the response asks for, at most [`BACKOFF_CAP`].
fn requested_delay(outcome: &HeartbeatOutcome) -> Duration {
    match outcome {
        HeartbeatOutcome::Refused { retry_after, .. } => {
            retry_after.unwrap_or_default().min(BACKOFF_CAP)
        }
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests;
