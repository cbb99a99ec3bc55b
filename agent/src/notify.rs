//! What the service manager is told, by the protocol of `sd_notify(3)`: that the agent is ready, reloads
//! and stops, its state in a sentence, and that it still works. Without `NOTIFY_SOCKET` nothing is told.
//!
//! - The dialogue decides what is said when: a pure table of phases.
//! - The text is a pure function of the status snapshot.
//! - The socket never waits: a manager that is busy gets the message later, and the newest state only.
//!
//! **The watchdog** must notice a loop that waits for ever as well as a runtime that is blocked. So a sign of
//! life is handed through all loops that do the work: the monitor finds that one is due
//! ([`ServiceManager::pulse`]), which wakes the loop of the service, and that one sends it
//! ([`ServiceManager::confirm`]). If either of them hangs, none is sent, and the manager restarts the agent.
//! Nothing wakes the processor for it: the monitor looks at its clocks every two seconds in any case. What may
//! hang without harm is left out: the threads of journal, log and name look-ups.
//!
//! The crate `sd-notify` 0.5.0 was not taken: it takes an abstract address for a path, waits while the
//! manager is busy, and multiplies seconds in 32 bits on armv7, so that a reload after 36 minutes of uptime has a
//! wrong `MONOTONIC_USEC`.

mod dialogue;
mod message;
mod socket;
mod text;
mod watchdog;

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::{OsStr, OsString},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    clock::{self, Stamp},
    error_chain::ErrorChain,
    event::{Advice, LogEvent},
    status::{Presence, Status, text::DisplayContext},
};
use dialogue::{Dialogue, Occurrence};
use message::NotifyMessage;
use socket::NotifySocket;
use watchdog::Watchdog;

/// How many messages wait for a manager that does not take any. Signs of life and sentences replace older
/// ones, so that only reloads make more than a few.
const MOST_UNSENT: usize = 32;

/// The service manager, if one wants to be told. Clones share one dialogue.
#[derive(Clone, Debug)]
pub struct ServiceManager(Option<Arc<NotifyShared>>);

#[derive(Debug)]
struct NotifyShared {
    connection: Mutex<ManagerConnection>,
    /// Asks the loop of the service to confirm that it works.
    life_is_due: Notify,
}

#[derive(Debug)]
struct ManagerConnection {
    socket: NotifySocket,
    dialogue: Dialogue,
    watchdog: Option<Watchdog>,
    unsent: VecDeque<NotifyMessage>,
    /// Whether it was logged that the socket cannot be used.
    is_reported: bool,
}

impl ServiceManager {
    /// The manager that started this process, by its environment.
    pub fn of(environment: &BTreeMap<OsString, OsString>) -> Self {
        let variable = |name: &str| environment.get(OsStr::new(name)).map(OsString::as_os_str);
        let Some(name) = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self(None);
        };
        let own = std::process::id();
        let watchdog = Watchdog::new(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), own);
        match NotifySocket::open(name) {
            Ok(socket) => Self(Some(Arc::new(NotifyShared {
                connection: Mutex::new(ManagerConnection {
                    socket,
                    dialogue: Dialogue::new(),
                    watchdog,
                    unsent: VecDeque::new(),
                    is_reported: false,
                }),
                life_is_due: Notify::new(),
            }))),
            Err(error) => {
                report(&error);
                Self(None)
            }
        }
    }

    /// The journal in `folder` is opened, which takes no longer than `limit`.
    pub fn opening(&self, folder: &Path, limit: Duration) {
        self.occurred(Occurrence::Opening { folder, limit });
    }

    /// The agent cannot start; `reason` is a sentence.
    pub fn refused(&self, reason: &str) {
        self.occurred(Occurrence::Refused { reason });
    }

    /// The configuration is good, the journal is open, and the tasks run.
    pub fn ready(&self) {
        self.occurred(Occurrence::Ready);
    }

    /// The configuration is about to be read again.
    pub fn reloading(&self) {
        self.occurred(Occurrence::ReloadRequested { monotonic: clock::awake_time() });
    }

    /// The configuration was read again and is in use.
    pub fn reloaded(&self) {
        self.occurred(Occurrence::Reloaded { refusal: None });
    }

    /// The configuration was read again at `now` and refused; the old one stays in use.
    pub fn reload_refused(&self, now: &Stamp) {
        let refusal = text::refusal(now, &clock::local_zone());
        self.occurred(Occurrence::Reloaded { refusal: Some(&refusal) });
    }

    /// The agent leaves because of `signal`.
    pub fn stopping(&self, signal: &str) {
        self.occurred(Occurrence::Stopping { signal });
    }

    /// There is a new status snapshot, written just now.
    pub fn show(&self, status: &Status) {
        if self.0.is_some() {
            let zone = clock::local_zone();
            let context =
                DisplayContext { now: status.written, zone: &zone, presence: Presence::Running };
            self.occurred(Occurrence::News { status, context: &context });
        }
    }

    /// Called by the loop of the monitor whenever it turns, with the time since boot. Returns when it has to be
    /// called again at the latest; never without a watchdog.
    pub fn pulse(&self, now: Duration) -> Option<Duration> {
        let shared = self.0.as_ref()?;
        let mut connection = shared.lock();
        // What the manager could not take is tried again.
        connection.flush();
        let watchdog = connection.watchdog.as_mut()?;
        if watchdog.is_due(now) {
            shared.life_is_due.notify_one();
        }
        Some(watchdog.next())
    }

    /// Waits until the monitor asks for a sign of life, for ever without a watchdog. Nothing is lost when the wait
    /// is given up.
    pub async fn life_is_due(&self) {
        match &self.0 {
            Some(shared) => shared.life_is_due.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Called by the loop of the service after [`life_is_due`](Self::life_is_due): both loops turn.
    pub fn confirm(&self) {
        self.occurred(Occurrence::Alive);
    }

    fn occurred(&self, occurrence: Occurrence<'_>) {
        let Some(shared) = &self.0 else { return };
        let mut connection = shared.lock();
        if let Some(message) = connection.dialogue.step(occurrence) {
            connection.send(message);
        }
    }
}

impl NotifyShared {
    fn lock(&self) -> MutexGuard<'_, ManagerConnection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ManagerConnection {
    /// Sends a message behind those that wait.
    fn send(&mut self, message: NotifyMessage) {
        self.unsent.retain(|older| !older.is_superseded_by(&message));
        self.unsent.truncate(MOST_UNSENT - 1);
        self.unsent.push_back(message);
        self.flush();
    }

    /// Sends what waits, for as long as the manager takes it.
    fn flush(&mut self) {
        while let Some(message) = self.unsent.front() {
            match self.socket.send(&message.to_string()) {
                Ok(()) => self.is_reported = false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    if !std::mem::replace(&mut self.is_reported, true) {
                        report(&error);
                    }
                    return;
                }
            }
            self.unsent.pop_front();
        }
    }
}

fn report(error: &io::Error) {
    let advice =
        format!("The service manager is not told how the agent is: {}.", ErrorChain(error));
    Advice { advice: &advice }.emit();
}

#[cfg(test)]
mod tests;
