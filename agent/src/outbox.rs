//! Handing the record over: every closed incident and gap, until the cloud has acknowledged it twice.
//!
//! The record itself is the outbox. What is acknowledged is a place in it, in a small file of its own, so a
//! restart loses nothing and memory does not grow with what waits: at most 100 incidents are read at a time.
//! An id that is sent twice counts once, so in doubt everything is sent again.
//!
//! 1. Nothing is tried while heartbeats fail: the line that has just returned carries a heartbeat first.
//! 2. After a failure the next try waits, at first about 10 s, then twice as long each time up to 10
//!    minutes, or as long as the answer asked for.
//! 3. The record is read to its end once a round, and not again for each of many batches.
//! 4. While the clock shows a time that cannot be, everything waits: times once sent cannot be called
//!    back.
//! 5. Only ispmon's function acknowledges, by the number of what it took. It may lose that yet, so that
//!    everything goes a second time some minutes later (`outbox/place.rs`); what is new goes first.
//! 6. What the cloud refuses for its content is found and passed over, so that it holds up nothing else
//!    (`outbox/course.rs`).

mod batch;
mod course;
mod disk;
mod message;
mod place;

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
use batch::{Batch, OutboxError, Survey, read, survey};
use course::{UploadAction, UploadResult, UploadState};
use disk::Disk;
pub use message::{WallTime, gap, incident};
use place::{HandOverProgress, HandOverRound};

/// The first wait after a failure, at most.
const BACKOFF_BASE: Duration = Duration::from_secs(20);
/// The longest wait after failures.
const BACKOFF_CAP: Duration = Duration::from_mins(10);
/// How long one hand-over may take; a function that has slept takes up to 10 s to wake.
const LIMIT: Duration = Duration::from_secs(30);
/// How long the next try waits while a bad incident is looked for.
const PAUSE: Duration = Duration::from_secs(1);

/// What the outbox works with.
#[derive(Debug)]
pub struct OutboxDeps {
    /// The folder of the record.
    pub folder: PathBuf,
    /// The record.
    pub journal: Journal,
    /// The clocks of earlier boots.
    pub walls: WallClockOffsets,
    /// The clocks of this one.
    pub clock: Clock,
    /// The client in use; nothing in local mode.
    pub client: watch::Receiver<Option<Arc<CloudClient>>>,
    /// Whether the newest heartbeat was delivered; told at each.
    pub delivered: watch::Receiver<bool>,
    /// Told when something was closed.
    pub closed: Arc<Notify>,
    /// Who wants to know how much waits.
    pub monitor: UnboundedSender<MonitorMessage>,
}

/// The task that hands over.
#[derive(Debug)]
pub struct Outbox {
    deps: OutboxDeps,
    disk: Disk,
    /// Whether there may be something to hand over for the first time.
    maybe: bool,
    /// When there is something to hand over a second time.
    again_at: Option<Instant>,
    /// What is known to wait behind the newest batch of a round, which was taken.
    ahead: Option<(HandOverRound, Survey)>,
    course: UploadState,
    not_before: Instant,
    backoff: Backoff,
    random: Rng,
    /// How many wait, as the monitor knows.
    waiting: u64,
    /// What is wrong.
    problem: Option<HandOverProblem>,
    /// The statuses that were logged since the last success; nothing stands for no answer.
    told: Vec<Option<u16>>,
}

/// One batch, and what it belongs to.
struct Sending {
    round: HandOverRound,
    place: HandOverProgress,
    batch: Batch,
}

impl Outbox {
    /// An outbox that begins with whatever the record holds.
    pub fn new(deps: OutboxDeps) -> Self {
        Self {
            deps,
            disk: Disk::default(),
            maybe: true,
            again_at: None,
            ahead: None,
            course: UploadState::Whole,
            not_before: Instant::now(),
            backoff: Backoff::new(BACKOFF_BASE, BACKOFF_CAP),
            random: Rng::new(),
            waiting: 0,
            problem: None,
            told: Vec::new(),
        }
    }

    /// Hands over for ever.
    pub async fn run(mut self) {
        loop {
            let (round, at) = match self.again_at {
                _ if self.maybe => (Some(HandOverRound::First), self.not_before),
                Some(at) => (Some(HandOverRound::Second), at.max(self.not_before)),
                None => (None, self.not_before),
            };
            let round = round.filter(|_| *self.deps.delivered.borrow_and_update());
            select! {
                () = sleep_until(at), if round.is_some() => {
                    self.hand_over(round.unwrap_or(HandOverRound::First)).await;
                }
                () = self.deps.closed.notified() => self.look_again(),
                // One that takes no record may have given way to one that does.
                Ok(()) = self.deps.client.changed() => self.look_again(),
                changed = self.deps.delivered.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn look_again(&mut self) {
        self.maybe = true;
        self.ahead = None;
    }

    /// Hands one batch over.
    async fn hand_over(&mut self, round: HandOverRound) {
        let client = self.deps.client.borrow_and_update().clone();
        let Some(client) = client.filter(|_| self.deps.clock.is_plausible()) else {
            // The next heartbeat asks again.
            return self.wait(BACKOFF_BASE);
        };
        let Some(sending) = self.read(round).await else { return };
        let Sending { batch, .. } = &sending;
        if batch.position.is_none() {
            return self.end_round(sending).await;
        }
        let sent = batch.incidents.len();
        if round == HandOverRound::First {
            self.say_waiting(sent as u64 + batch.behind.waiting);
        }
        if sent == 0 {
            return self.note(sending, None).await;
        }
        let Some((action, outcome)) = self.send(&client, &sending.batch.incidents).await else {
            // Nobody is there to take them, now or later.
            self.maybe = false;
            self.again_at = None;
            self.all_is_well();
            return self.say_waiting(0);
        };
        match action {
            UploadAction::Note => self.note(sending, None).await,
            UploadAction::PassOver => {
                self.wait(PAUSE);
                self.note(sending, Some(&outcome)).await;
            }
            UploadAction::Halve | UploadAction::Ask => {
                self.wait(PAUSE.max(asked_to_wait(&outcome)));
            }
            UploadAction::BackOff => {
                let status = match outcome {
                    HeartbeatOutcome::Refused { status, .. } => Some(status),
                    _ => None,
                };
                let reason = outcome.reason().to_string();
                self.failed(round, status, reason, outcome.hand_over_advice());
                let asked = Instant::now() + asked_to_wait(&outcome);
                self.not_before = self.not_before.max(asked);
            }
        }
    }

    /// Reads what is handed over next, on the disk's thread.
    async fn read(&mut self, round: HandOverRound) -> Option<Sending> {
        let (folder, walls) = (self.deps.folder.clone(), self.deps.walls.clone());
        let ahead = self.ahead.take().filter(|(of, _)| *of == round);
        let (now, most) = (self.deps.clock.now(), self.course.most());
        let read = move || {
            let place = HandOverProgress::load(&folder);
            let ahead = ahead.map(|(_, ahead)| ahead);
            let survey = ahead.map_or_else(|| survey(&folder, place.of(round), walls, now), Ok)?;
            let batch = read(&folder, &place, round, survey, most)?;
            Ok(Sending { round, place, batch })
        };
        self.on_disk(round, read).await
    }

    /// Sends incidents, and an empty message behind them where that shows whether they are at fault.
    /// Returns what to do and what came of the incidents; of the empty message, when that was not taken.
    async fn send(
        &mut self,
        client: &CloudClient,
        incidents: &[ReportedIncident],
    ) -> Option<(UploadAction, HeartbeatOutcome)> {
        let head = self.deps.journal.state().head.clone();
        let outcome = client.hand_over(head.clone(), incidents.to_vec(), LIMIT).await?;
        let (course, action) = self.course.step(incidents.len(), UploadResult::of(&outcome));
        self.course = course;
        if action != UploadAction::Ask {
            return Some((action, outcome));
        }
        let asked = client.hand_over(head, Vec::new(), LIMIT).await?;
        let (course, action) = self.course.step(0, UploadResult::of(&asked));
        self.course = course;
        Some((action, if asked.delivered() { outcome } else { asked }))
    }

    /// Notes that a batch was taken, or that the one incident in it is passed over.
    async fn note(&mut self, sending: Sending, refusal: Option<&HeartbeatOutcome>) {
        let Sending { round, mut place, batch } = sending;
        let Batch { incidents, first, position, behind } = batch;
        let Some(position) = position else { return };
        let now = self.deps.clock.now();
        match first.filter(|_| refusal.is_some()) {
            Some(seq) => place.pass_over(round, position, seq, now),
            None => place.taken(round, position, now),
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
            self.all_is_well();
            self.maybe = behind.waiting > 0;
            self.say_waiting(behind.waiting);
        }
        self.ahead = (behind.waiting > 0).then_some((round, behind));
    }

    /// Notes that nothing is left of a round.
    async fn end_round(&mut self, sending: Sending) {
        let Sending { round, mut place, .. } = sending;
        let now = self.deps.clock.now();
        match round {
            HandOverRound::First => {
                self.maybe = false;
                self.all_is_well();
                self.again_at = place.due_in(&now).map(|rest| Instant::now() + rest);
                self.say_waiting(0);
            }
            HandOverRound::Second => {
                place.end_second_round(now);
                self.save(round, place).await;
            }
        }
    }

    /// Notes a place; tells whether it is on the disk.
    async fn save(&mut self, round: HandOverRound, place: HandOverProgress) -> bool {
        let folder = self.deps.folder.clone();
        let due_in = place.due_in(&self.deps.clock.now());
        let is_saved = self.on_disk(round, move || place.save(&folder)).await.is_some();
        if is_saved {
            self.again_at = due_in.map(|rest| Instant::now() + rest);
        }
        is_saved
    }

    /// Does work of a round on the disk's thread. Backs off where that fails, or cannot be done at all.
    async fn on_disk<T: Send + 'static>(
        &mut self,
        round: HandOverRound,
        work: impl FnOnce() -> Result<T, OutboxError> + Send + 'static,
    ) -> Option<T> {
        match self.disk.run(work).await {
            Some(Ok(done)) => return Some(done),
            Some(Err(error)) => self.failed(round, None, ErrorChain(&error).to_string(), None),
            None => self.wait(BACKOFF_CAP),
        }
        None
    }

    /// Backs off. Of a second round that fails nobody is told: the cloud has taken all of it once.
    fn failed(
        &mut self,
        round: HandOverRound,
        status: Option<u16>,
        reason: String,
        advice: Option<&str>,
    ) {
        let wait = self.backoff.failed(&mut self.random);
        self.wait(wait);
        if round == HandOverRound::Second {
            return;
        }
        if !self.told.contains(&status) {
            self.told.push(status);
            IncidentsNotHandedOver { reason: &reason, advice }.emit();
        }
        self.problem = Some(HandOverProblem { reason, advice: advice.map(str::to_owned) });
        self.say_waiting(self.waiting);
    }

    fn all_is_well(&mut self) {
        self.problem = None;
        self.told.clear();
    }

    fn wait(&mut self, time: Duration) {
        self.not_before = Instant::now() + time;
    }

    fn say_waiting(&mut self, waiting: u64) {
        self.waiting = waiting;
        // Without a monitor the agent is leaving.
        let problem = self.problem.clone();
        let _ = self.deps.monitor.send(MonitorMessage::HandOver { waiting, problem });
    }
}

/// How long the other side asks to be left alone, within bounds.
fn asked_to_wait(outcome: &HeartbeatOutcome) -> Duration {
    match outcome {
        HeartbeatOutcome::Refused { retry_after, .. } => {
            retry_after.unwrap_or_default().min(BACKOFF_CAP)
        }
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests;
