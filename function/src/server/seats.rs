//! Who is connected, and who makes room for a new connection.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::Limits;

/// What a connection is doing, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing; its next request may come.
    Idle(Instant),
    /// It reads a request's head, whose first byte came then.
    Head(Instant),
    /// Its request is being handled.
    Handling,
    /// It writes an answer that the client has not taken yet.
    Answering(Instant),
    /// It has said all and lets the client read it.
    Closing(Instant),
}

/// All open connections.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Mutex<Vec<Arc<Occupant>>>,
    left: Notify,
}

/// One open connection as others see it.
#[derive(Debug)]
pub(super) struct Occupant {
    phase: Mutex<Phase>,
    evicted: Notify,
}

/// A connection's own place; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    occupant: Arc<Occupant>,
}

impl Seats {
    /// Takes a place for a new connection.
    pub(super) fn take(seats: &Arc<Self>) -> Seat {
        let occupant = Arc::new(Occupant {
            phase: Mutex::new(Phase::Idle(Instant::now())),
            evicted: Notify::new(),
        });
        seats.taken().push(Arc::clone(&occupant));
        Seat { seats: Arc::clone(seats), occupant }
    }

    /// Returns when there is a free place. When there is none, the connection that has waited
    /// longest for a request has to go, once it has waited for [`Limits::grace`].
    pub(super) async fn make_room(&self, limits: &Limits) {
        while self.taken().len() >= limits.connections {
            self.evict_longest_idle(limits.grace);
            // The evicted one leaves when its task runs; without one, idling may become long enough.
            tokio::select! {
                () = self.left.notified() => {}
                () = sleep(limits.grace) => {}
            }
        }
    }

    /// Ends the connection that has waited longest for a request, when that is longer than `grace`.
    pub(super) fn evict_longest_idle(&self, grace: Duration) {
        let now = Instant::now();
        let taken = self.taken();
        let longest = taken
            .iter()
            .filter_map(|occupant| match occupant.phase() {
                Phase::Idle(since) | Phase::Head(since) | Phase::Closing(since) => {
                    Some((since, occupant))
                }
                Phase::Handling | Phase::Answering(_) => None,
            })
            .min_by_key(|(since, _)| *since);
        if let Some((since, occupant)) = longest
            && now.saturating_duration_since(since) >= grace
        {
            occupant.evicted.notify_one();
        }
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Arc<Occupant>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Occupant {
    /// What the connection is doing.
    pub(super) fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the connection does from now on.
    pub(super) fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}

impl Seat {
    /// What others see of this connection.
    pub(super) fn occupant(&self) -> &Arc<Occupant> {
        &self.occupant
    }

    /// Returns when this connection has to make room.
    pub(super) async fn evicted(&self) {
        self.occupant.evicted.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(place) = taken.iter().position(|other| Arc::ptr_eq(other, &self.occupant)) {
            taken.swap_remove(place);
        }
        self.seats.left.notify_one();
    }
}
