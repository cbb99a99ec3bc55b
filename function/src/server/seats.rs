//! Tracks open connections and evicts one when a new connection needs room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::limits::ServerLimits;

/// The phase of a connection, and its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionPhase {
    /// Idle: waiting for its next request.
    Idle(Instant),
    /// Reading a request head, since its first byte.
    Head(Instant),
    /// Handling a request, since its head was complete.
    Handling(Instant),
    /// Writing a response that the client has not read yet.
    Answering(Instant),
    /// Closing: the response is complete and the client may still read it.
    Closing(Instant),
    /// Evicted, unless a request turns out to have arrived in time.
    Evicted,
}

impl ConnectionPhase {
    /// Eviction order, lowest first: whether a request is in progress, then the start of the phase.
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
pub(super) struct ConnectionSlots {
    taken: Mutex<Vec<Arc<OpenConnection>>>,
    slot_freed: Notify,
}

/// One open connection, as seen by the other connections.
#[derive(Debug)]
pub(super) struct OpenConnection {
    phase: Mutex<ConnectionPhase>,
    evicted: Notify,
}

/// A connection's slot; dropping it frees the slot.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    seats: Arc<ConnectionSlots>,
    occupant: Arc<OpenConnection>,
}

impl ConnectionSlots {
    /// Allocates a slot for a new connection.
    pub(super) fn take(seats: &Arc<Self>) -> ConnectionSlot {
        let occupant = Arc::new(OpenConnection {
            phase: Mutex::new(ConnectionPhase::Idle(Instant::now())),
            evicted: Notify::new(),
        });
        seats.lock_open().push(Arc::clone(&occupant));
        ConnectionSlot { seats: Arc::clone(seats), occupant }
    }

    /// Returns when a slot is free. When none is, evicts the connection that has been idle longest,
    /// as soon as its grace is over.
    pub(super) async fn make_room(&self, limits: &ServerLimits) {
        while self.lock_open().len() >= limits.connections {
            self.evict_and_wait(limits).await;
        }
    }

    /// Evicts a connection if one may be evicted now, then waits until a connection has closed or
    /// another one may be evicted.
    pub(super) async fn evict_and_wait(&self, limits: &ServerLimits) {
        self.evict_one(limits);
        tokio::select! {
            () = self.slot_freed.notified() => {}
            () = sleep(limits.idle_grace) => {}
        }
    }

    /// Evicts one connection: the longest in its phase of those without a request, else the one
    /// whose request has been in progress longest. None is evicted within its grace.
    fn evict_one(&self, limits: &ServerLimits) {
        let taken = self.lock_open();
        let next = taken
            .iter()
            .filter_map(|occupant| Some((occupant.phase().rank()?, occupant)))
            .min_by_key(|(rank, _)| *rank);
        if let Some(((busy, since), occupant)) = next {
            let grace = if busy { limits.busy_grace } else { limits.idle_grace };
            if Instant::now().saturating_duration_since(since) >= grace {
                occupant.enter(ConnectionPhase::Evicted);
                occupant.evicted.notify_one();
            }
        }
    }

    fn lock_open(&self) -> MutexGuard<'_, Vec<Arc<OpenConnection>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnection {
    /// The connection's current phase.
    pub(super) fn phase(&self) -> ConnectionPhase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the connection's phase.
    pub(super) fn enter(&self, phase: ConnectionPhase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}

impl ConnectionSlot {
    /// The part of this connection that is visible to others.
    pub(super) fn occupant(&self) -> &Arc<OpenConnection> {
        &self.occupant
    }

    /// Returns when this connection is evicted.
    pub(super) async fn evicted(&self) {
        loop {
            self.occupant.evicted.notified().await;
            if self.occupant.phase() == ConnectionPhase::Evicted {
                return;
            }
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut taken = self.seats.lock_open();
        if let Some(place) = taken.iter().position(|other| Arc::ptr_eq(other, &self.occupant)) {
            taken.swap_remove(place);
        }
        self.seats.slot_freed.notify_one();
    }
}
