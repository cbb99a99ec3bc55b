//! Handing the record over: every closed incident and gap, until the cloud has acknowledged it.
//!
//! The record itself is the outbox. What is acknowledged is one position in it, in a small file of its
//! own, so a restart loses nothing and memory does not grow with what waits: at most 100 incidents are
//! read at a time. An id that is sent twice counts once, so in doubt everything is sent again.
//!
//! 1. Nothing is tried while heartbeats fail: the line that has just returned carries a heartbeat first.
//! 2. After a failure the next try waits, at first about 10 s, then twice as long each time up to 10
//!    minutes, or as long as the answer asked for.
//! 3. The record is read to its end once, and not again for each of many batches.
//! 4. While the clock shows a time that cannot be, everything waits: times once sent cannot be called
//!    back.

mod batch;
mod disk;
mod message;

use std::{path::PathBuf, sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::{
    select,
    sync::{Notify, mpsc::UnboundedSender, watch},
    time::{Instant, sleep_until},
};

use crate::{
    clock::Clock,
    error_chain::Chain,
    event::Event,
    heartbeat::{Backoff, HeartbeatClient, Outcome},
    journal::{Journal, Walls},
    monitor::Message,
};
use batch::{Batch, OutboxError, Survey, acknowledge, read, survey};
use disk::Disk;
pub use message::{WallTime, gap, incident};

/// The first wait after a failure, at most.
const BACKOFF_BASE: Duration = Duration::from_secs(20);
/// The longest wait after failures.
const BACKOFF_CAP: Duration = Duration::from_mins(10);
/// How long one hand-over may take; a function that has slept takes up to 10 s to wake.
const LIMIT: Duration = Duration::from_secs(30);

/// What the outbox works with.
#[derive(Debug)]
pub struct Parts {
    /// The folder of the record.
    pub folder: PathBuf,
    /// The record.
    pub journal: Journal,
    /// The clocks of earlier boots.
    pub walls: Walls,
    /// The clocks of this one.
    pub clock: Clock,
    /// The client in use; nothing in local mode.
    pub client: watch::Receiver<Option<Arc<HeartbeatClient>>>,
    /// Whether the newest heartbeat was delivered; told at each.
    pub delivered: watch::Receiver<bool>,
    /// Told when something was closed.
    pub closed: Arc<Notify>,
    /// Who wants to know how much waits.
    pub monitor: UnboundedSender<Message>,
}

/// The task that hands over.
#[derive(Debug)]
pub struct Outbox {
    parts: Parts,
    disk: Disk,
    /// Whether there may be something to hand over.
    maybe: bool,
    /// What is known to wait behind the newest batch, which was taken.
    ahead: Option<Survey>,
    not_before: Instant,
    backoff: Backoff,
    random: Rng,
    told: bool,
}

impl Outbox {
    /// An outbox that begins with whatever the record holds.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            disk: Disk::default(),
            maybe: true,
            ahead: None,
            not_before: Instant::now(),
            backoff: Backoff::new(BACKOFF_BASE, BACKOFF_CAP),
            random: Rng::new(),
            told: false,
        }
    }

    /// Hands over for ever.
    pub async fn run(mut self) {
        loop {
            let ready = self.maybe && *self.parts.delivered.borrow_and_update();
            select! {
                () = sleep_until(self.not_before), if ready => self.hand_over().await,
                () = self.parts.closed.notified() => self.look_again(),
                // One that takes no record may have given way to one that does.
                Ok(()) = self.parts.client.changed() => self.look_again(),
                changed = self.parts.delivered.changed() => {
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
    async fn hand_over(&mut self) {
        let client = self.parts.client.borrow_and_update().clone();
        let Some(client) = client.filter(|_| self.parts.clock.is_plausible()) else {
            // The next heartbeat asks again.
            return self.wait(BACKOFF_BASE);
        };
        let (folder, walls) = (self.parts.folder.clone(), self.parts.walls.clone());
        let ahead = self.ahead.take();
        let now = self.parts.clock.now();
        let read = move || {
            let survey = ahead.map_or_else(|| survey(&folder, walls, now), Ok)?;
            read(&folder, survey)
        };
        let Batch { incidents, position, behind } = match self.disk.run(read).await {
            Some(Ok(batch)) => batch,
            Some(Err(error)) => return self.failed(&error),
            None => return self.wait(BACKOFF_CAP),
        };
        let Some(position) = position else {
            self.maybe = false;
            return self.say_pending(0);
        };
        let count = incidents.len() as u64;
        self.say_pending(count + behind.waiting);
        let head = self.parts.journal.state().head.clone();
        let outcome = client.hand_over(head, incidents, LIMIT).await;
        match outcome {
            // Nobody is there to take them, now or later.
            None => {
                self.maybe = false;
                self.say_pending(0);
            }
            Some(Outcome::Delivered { .. }) => {
                let folder = self.parts.folder.clone();
                let noted = self.disk.run(move || acknowledge(&folder, &position)).await;
                if let Some(Err(error)) = noted {
                    return self.failed(&error);
                }
                self.backoff.reset();
                self.told = false;
                self.maybe = behind.waiting > 0;
                self.say_pending(behind.waiting);
                self.ahead = self.maybe.then_some(behind);
                Event::HandedOver { count }.emit();
            }
            Some(outcome) => {
                let asked = match &outcome {
                    Outcome::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
                    _ => Duration::ZERO,
                };
                let wait = self.backoff.failed(&mut self.random).max(asked.min(BACKOFF_CAP));
                self.wait(wait);
                if !std::mem::replace(&mut self.told, true) {
                    Event::NotHandedOver { reason: &outcome }.emit();
                }
            }
        }
    }

    fn failed(&mut self, error: &OutboxError) {
        let wait = self.backoff.failed(&mut self.random);
        self.wait(wait);
        if !std::mem::replace(&mut self.told, true) {
            Event::NotHandedOver { reason: &Chain(error) }.emit();
        }
    }

    fn wait(&mut self, time: Duration) {
        self.not_before = Instant::now() + time;
    }

    fn say_pending(&self, count: u64) {
        // Without a monitor the agent is leaving.
        let _ = self.parts.monitor.send(Message::Pending(count));
    }
}
