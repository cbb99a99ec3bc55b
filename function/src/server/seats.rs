//! Who is connected, and who makes room for a new connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::ServerLimits;

/// What a connection is doing, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionPhase {
    /// Nothing; its next request may come.
    Idle(Instant),
    /// It reads a request's head, whose first byte came then.
    Head(Instant),
    /// Its request, whose head had come then, is being handled.
    Handling(Instant),
    /// It writes an answer that the client has not taken yet.
    Answering(Instant),
    /// It has said all and lets the client read it.
    Closing(Instant),
    /// It has to make room, unless a request turns out to have come in time.
    Evicted,
}

impl ConnectionPhase {
    /// The lower, the sooner it has to make room: whether a request is in the works, and since when
    /// the phase lasts.
    fn rank(self) -> Option<(bool, Instant)> {
        match self {
            Self::Idle(since) | Self::Head(since) | Self::Closing(since) => Some((false, since)),
            Self::Handling(since) | Self::Answering(since) => Some((true, since)),
            Self::Evicted => None,
        }
    }
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
    phase: Mutex<ConnectionPhase>,
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
            phase: Mutex::new(ConnectionPhase::Idle(Instant::now())),
            evicted: Notify::new(),
        });
        seats.taken().push(Arc::clone(&occupant));
        Seat { seats: Arc::clone(seats), occupant }
    }

    /// Returns when there is a free place. When there is none, the connection that has waited
    /// longest for its client has to go, as soon as it has waited long enough.
    pub(super) async fn make_room(&self, limits: &ServerLimits) {
        while self.taken().len() >= limits.connections {
            self.let_one_leave(limits).await;
        }
    }

    /// Ends a connection if one may be ended now, and waits until one has gone or may be ended.
    pub(super) async fn let_one_leave(&self, limits: &ServerLimits) {
        self.evict_one(limits);
        tokio::select! {
            () = self.left.notified() => {}
            () = sleep(limits.grace) => {}
        }
    }

    /// Ends one connection: of those without a request the one that has been so longest, else the
    /// one whose request has been in the works longest. None is ended within its grace.
    fn evict_one(&self, limits: &ServerLimits) {
        let taken = self.taken();
        let next = taken
            .iter()
            .filter_map(|occupant| Some((occupant.phase().rank()?, occupant)))
            .min_by_key(|(rank, _)| *rank);
        if let Some(((busy, since), occupant)) = next {
            let grace = if busy { limits.busy_grace } else { limits.grace };
            if Instant::now().saturating_duration_since(since) >= grace {
                occupant.enter(ConnectionPhase::Evicted);
                occupant.evicted.notify_one();
            }
        }
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Arc<Occupant>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Occupant {
    /// What the connection is doing.
    pub(super) fn phase(&self) -> ConnectionPhase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the connection does from now on.
    pub(super) fn enter(&self, phase: ConnectionPhase) {
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
        loop {
            self.occupant.evicted.notified().await;
            if self.occupant.phase() == ConnectionPhase::Evicted {
                return;
            }
        }
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
