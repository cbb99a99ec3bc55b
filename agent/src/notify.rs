//! Notifications to the service manager by the protocol of `sd_notify(3)`: ready, reloading, stopping,
//! a status sentence, and the watchdog's keep-alive. Without `NOTIFY_SOCKET` nothing is sent.
//!
//! - The dialogue decides which message an occurrence sends: a pure state machine.
//! - The status sentence is a pure function of the status snapshot.
//! - The socket never blocks: while its queue is full, messages wait here, of status sentences only the
//!   newest.
//!
//! **The watchdog** must detect a hung loop as well as a blocked runtime. A keep-alive therefore passes
//! through both main loops: the monitor loop finds that one is due ([`ServiceManager::poll_watchdog`]) and
//! wakes the service loop, which sends it ([`ServiceManager::send_keep_alive`]). If either loop hangs, no
//! keep-alive is sent, and the manager restarts the agent. This causes no extra wake-ups: the monitor
//! reads the clocks every two seconds in any case. The threads of journal, log and name lookups are not
//! covered, because they may hang without harm.
//!
//! The crate `sd-notify` 0.5.0 is not used: it treats an abstract address as a path, blocks while the
//! manager is busy, and multiplies seconds in 32 bits on armv7, so that a reload after 36 minutes of
//! uptime has a wrong `MONOTONIC_USEC`.

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
use dialogue::{NotifyMachine, Occurrence};
use message::NotifyMessage;
use socket::NotifySocket;
use watchdog::Watchdog;

/// The most messages that wait while the manager's queue is full. Keep-alives and status sentences
/// replace older ones, so only reloads queue up more than a few.
const MAX_UNSENT: usize = 32;

/// The service manager, if this process was started by one that accepts notifications. Clones share one
/// dialogue.
#[derive(Clone, Debug)]
pub struct ServiceManager(Option<Arc<NotifyShared>>);

#[derive(Debug)]
struct NotifyShared {
    connection: Mutex<ManagerConnection>,
    /// Wakes the service loop to confirm that it works.
    keep_alive_is_due: Notify,
}

#[derive(Debug)]
struct ManagerConnection {
    socket: NotifySocket,
    dialogue: NotifyMachine,
    watchdog: Option<Watchdog>,
    unsent: VecDeque<NotifyMessage>,
    /// Whether the current failure of the socket has been logged.
    is_reported: bool,
}

impl ServiceManager {
    /// The manager that started this process, according to its environment.
    pub fn from_environment(environment: &BTreeMap<OsString, OsString>) -> Self {
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
                    dialogue: NotifyMachine::new(),
                    watchdog,
                    unsent: VecDeque::new(),
                    is_reported: false,
                }),
                keep_alive_is_due: Notify::new(),
            }))),
            Err(error) => {
                log_failure(&error);
                Self(None)
            }
        }
    }

    /// The journal in `folder` is being opened, which takes `limit` at most.
    pub fn opening(&self, folder: &Path, limit: Duration) {
        self.handle(Occurrence::Opening { folder, limit });
    }

    /// The agent cannot start; `reason` is a sentence.
    pub fn refused(&self, reason: &str) {
        self.handle(Occurrence::StartFailed { reason });
    }

    /// The configuration is valid, the journal is open, and all tasks run.
    pub fn ready(&self) {
        self.handle(Occurrence::Ready);
    }

    /// The configuration is about to be reloaded.
    pub fn reloading(&self) {
        self.handle(Occurrence::ReloadRequested { monotonic: clock::awake_time() });
    }

    /// The configuration was reloaded and is in use.
    pub fn reloaded(&self) {
        self.handle(Occurrence::Reloaded { refusal: None });
    }

    /// The configuration reloaded at `now` was rejected; the old one stays in use.
    pub fn reload_refused(&self, now: &Stamp) {
        let refusal = text::refusal(now, &clock::local_zone());
        self.handle(Occurrence::Reloaded { refusal: Some(&refusal) });
    }

    /// The agent stops because of `signal`.
    pub fn stopping(&self, signal: &str) {
        self.handle(Occurrence::Stopping { signal });
    }

    /// Shows the status snapshot that was just written.
    pub fn show(&self, status: &Status) {
        if self.0.is_some() {
            let zone = clock::local_zone();
            let context =
                DisplayContext { now: status.written, zone: &zone, presence: Presence::Running };
            self.handle(Occurrence::StatusChanged { status, context: &context });
        }
    }

    /// Called at every turn of the monitor loop, with the time since boot. Returns the time since boot
    /// by which it must be called again; `None` without a watchdog.
    pub fn poll_watchdog(&self, now: Duration) -> Option<Duration> {
        let shared = self.0.as_ref()?;
        let mut connection = shared.lock();
        // Retries what did not fit into the manager's queue.
        connection.flush();
        let watchdog = connection.watchdog.as_mut()?;
        if watchdog.is_due(now) {
            shared.keep_alive_is_due.notify_one();
        }
        Some(watchdog.next())
    }

    /// Waits until the monitor loop requests a keep-alive; forever without a watchdog. Cancel-safe.
    pub async fn keep_alive_is_due(&self) {
        match &self.0 {
            Some(shared) => shared.keep_alive_is_due.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Called by the service loop after [`keep_alive_is_due`](Self::keep_alive_is_due): both loops work.
    pub fn send_keep_alive(&self) {
        self.handle(Occurrence::KeepAliveDue);
    }

    fn handle(&self, occurrence: Occurrence<'_>) {
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
    /// Sends a message after those that wait.
    fn send(&mut self, message: NotifyMessage) {
        self.unsent.retain(|older| !older.is_superseded_by(&message));
        self.unsent.truncate(MAX_UNSENT - 1);
        self.unsent.push_back(message);
        self.flush();
    }

    /// Sends the waiting messages until the manager's queue is full.
    fn flush(&mut self) {
        while let Some(message) = self.unsent.front() {
            match self.socket.send(&message.to_string()) {
                Ok(()) => self.is_reported = false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    if !std::mem::replace(&mut self.is_reported, true) {
                        log_failure(&error);
                    }
                    return;
                }
            }
            self.unsent.pop_front();
        }
    }
}

fn log_failure(error: &io::Error) {
    let advice = format!("The service manager cannot be notified: {}.", ErrorChain(error));
    Advice { advice: &advice }.emit();
}

#[cfg(test)]
mod tests;
