//! Name lookups by the operating system, on a separate thread, so that a hanging lookup blocks nothing else.
//!
//! `getaddrinfo` cannot be interrupted, and it may hang exactly during an outage. On an async runtime's
//! blocking pool a few hanging lookups would starve all other tasks of the pool and delay the end of the
//! process. Here they have a thread of their own, which is not joined when the process ends.
//!
//! 1. One lookup runs at a time; others wait in order.
//! 2. Callers of a name that is already running or queued share its result.
//! 3. Each caller has a deadline of its own. A queued lookup without callers is skipped.
//! 4. A lookup that has run for 30 s is abandoned with its thread: the next caller, for any name, starts a
//!    new thread. While three such threads still hang, callers fail at once with [`LookupError::Hanging`].
//!
//! IP addresses and the names of this machine itself (RFC 6761, section 6.3) need no lookup.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use thiserror::Error;
use tokio::{sync::oneshot, time::Instant};

use crate::{duration::Readable, loopback::is_local_name};

/// A lookup that takes longer is abandoned. By default the C library queries three servers twice for 5 s
/// each (resolv.conf(5)); what hangs longer hangs elsewhere.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// Maximum number of abandoned threads with hanging lookups.
const MOST_GIVEN_UP: usize = 3;

type LookupResult = Result<Vec<IpAddr>, LookupError>;
type LookUp = Box<dyn Fn(&str) -> LookupResult + Send + Sync>;

/// Looks names up, one at a time, on a thread that is started on first use.
pub struct Resolver {
    shared: Arc<ResolverShared>,
}

struct ResolverShared {
    look_up: LookUp,
    give_up_after: Duration,
    state: Mutex<ResolverState>,
    work: Condvar,
}

#[derive(Default)]
struct ResolverState {
    closed: bool,
    /// The number of the active thread; earlier ones were abandoned.
    thread: u64,
    threads_started: u64,
    given_up: Vec<RunningLookup>,
    running: Option<RunningLookup>,
    queue: VecDeque<Job>,
}

struct Job {
    name: String,
    callers: Vec<oneshot::Sender<LookupResult>>,
}

struct RunningLookup {
    thread: u64,
    since: Instant,
    job: Job,
}

impl Resolver {
    /// Creates a resolver that uses the operating system.
    pub fn new() -> Self {
        Self::with(lookup_with_system, GIVE_UP_AFTER)
    }

    pub(crate) fn with(
        look_up: impl Fn(&str) -> LookupResult + Send + Sync + 'static,
        give_up_after: Duration,
    ) -> Self {
        let shared = ResolverShared {
            look_up: Box::new(look_up),
            give_up_after,
            state: Mutex::default(),
            work: Condvar::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Returns the addresses of a host, at least one, in the order in which the system prefers
    /// them.
    ///
    /// # Errors
    /// Every [`LookupError`]; [`LookupError::TimedOut`] at `deadline`, while the lookup itself
    /// continues.
    pub async fn resolve(&self, name: &str, deadline: Instant) -> LookupResult {
        if let Some(addresses) = without_look_up(name) {
            return Ok(addresses);
        }
        let answer = self.join_or_queue(name, Instant::now())?;
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => answer,
            // The sender is dropped only if the resolver is.
            Ok(Err(_)) => Err(LookupError::Failed {
                name: name.to_owned(),
                reason: "the lookup ended without a result".to_owned(),
            }),
            Err(_) => Err(LookupError::TimedOut { name: name.to_owned() }),
        }
    }

    /// Joins the running or queued lookup of the name, or queues a new one.
    fn join_or_queue(
        &self,
        name: &str,
        now: Instant,
    ) -> Result<oneshot::Receiver<LookupResult>, LookupError> {
        let mut state = self.shared.lock();
        self.replace_hanging_thread(&mut state, name, now)?;
        let (caller, answer) = oneshot::channel();
        let ResolverState { running, queue, .. } = &mut *state;
        let jobs = running.iter_mut().map(|running| &mut running.job).chain(queue);
        match jobs.into_iter().find(|job| job.name == name) {
            Some(job) => job.callers.push(caller),
            None => state.queue.push_back(Job { name: name.to_owned(), callers: vec![caller] }),
        }
        self.shared.work.notify_all();
        Ok(answer)
    }

    fn replace_hanging_thread(
        &self,
        state: &mut ResolverState,
        name: &str,
        now: Instant,
    ) -> Result<(), LookupError> {
        let hangs = |running: &RunningLookup| {
            now.saturating_duration_since(running.since) >= self.shared.give_up_after
        };
        if state.thread != 0 && !state.running.as_ref().is_some_and(hangs) {
            return Ok(());
        }
        if state.running.is_some() && state.given_up.len() >= MOST_GIVEN_UP {
            let oldest = state.given_up.iter().map(|running| running.since).min().unwrap_or(now);
            return Err(LookupError::Hanging {
                name: name.to_owned(),
                since: now.saturating_duration_since(oldest),
            });
        }
        let thread = state.threads_started + 1;
        let shared = Arc::clone(&self.shared);
        std::thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || shared.run_thread(thread))
            .map_err(|error| LookupError::Failed {
                name: name.to_owned(),
                reason: format!("no thread could be started for it: {error}"),
            })?;
        state.given_up.extend(state.running.take());
        state.threads_started = thread;
        state.thread = thread;
        Ok(())
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Resolver")
    }
}

impl ResolverShared {
    fn lock(&self) -> MutexGuard<'_, ResolverState> {
        // No code in here panics in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Body of a thread: looks up one name after the other until it is abandoned or the resolver is dropped.
    fn run_thread(&self, thread: u64) {
        while let Some(name) = self.next_name(thread) {
            let answer = (self.look_up)(&name);
            for caller in self.finish(thread) {
                // The receiver is gone if the caller's deadline has passed.
                let _ = caller.send(answer.clone());
            }
        }
    }

    fn next_name(&self, thread: u64) -> Option<String> {
        let mut state = self.lock();
        loop {
            if state.closed || state.thread != thread {
                return None;
            }
            match state.queue.pop_front() {
                Some(job) if job.callers.iter().all(oneshot::Sender::is_closed) => {}
                Some(job) => {
                    let name = job.name.clone();
                    state.running = Some(RunningLookup { thread, since: Instant::now(), job });
                    return Some(name);
                }
                None => {
                    state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn finish(&self, thread: u64) -> Vec<oneshot::Sender<LookupResult>> {
        let mut state = self.lock();
        let own = state.running.take_if(|running| running.thread == thread);
        let own = own.or_else(|| {
            let place = state.given_up.iter().position(|running| running.thread == thread);
            place.map(|place| state.given_up.swap_remove(place))
        });
        own.map(|running| running.job.callers).unwrap_or_default()
    }
}

fn lookup_with_system(name: &str) -> LookupResult {
    // One socket type: without it each address is returned once per type.
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = getaddrinfo(Some(name), None, Some(hints)).map_err(|error| {
        let kind = error.kind();
        let text = error.to_string();
        let reason = text.rsplit(": ").next().unwrap_or(&text).to_owned();
        let name = name.to_owned();
        match kind {
            LookupErrorKind::NoName | LookupErrorKind::NoData => LookupError::Unknown { name },
            LookupErrorKind::Again => LookupError::Temporary { name, reason },
            _ => LookupError::Failed { name, reason },
        }
    })?;
    let addresses: Vec<IpAddr> = found.flatten().map(|found| found.sockaddr.ip()).collect();
    if addresses.is_empty() {
        return Err(LookupError::Unknown { name: name.to_owned() });
    }
    Ok(addresses)
}

fn without_look_up(name: &str) -> Option<Vec<IpAddr>> {
    if let Ok(address) = name.parse() {
        return Some(vec![address]);
    }
    is_local_name(name).then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
}

/// Why a lookup returned no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LookupError {
    /// The lookup takes longer than the caller's deadline.
    #[error("the name {name} cannot be looked up, because no name server answers")]
    TimedOut {
        /// The name.
        name: String,
    },
    /// The name does not exist, or it has no address.
    #[error("the name {name} does not exist")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The name servers could not answer now (`EAI_AGAIN`).
    #[error("the name {name} cannot be looked up now ({reason})")]
    Temporary {
        /// The name.
        name: String,
        /// The C library's error message.
        reason: String,
    },
    /// The lookup failed in another way.
    #[error("the name {name} cannot be looked up ({reason})")]
    Failed {
        /// The name.
        name: String,
        /// The C library's error message.
        reason: String,
    },
    /// So many earlier lookups hang that no further one is started.
    #[error("the name {name} cannot be looked up, because lookups have been hanging for {}", Readable(*since))]
    Hanging {
        /// The name.
        name: String,
        /// How long the oldest of them has been hanging.
        since: Duration,
    },
}

impl LookupError {
    /// The name that was looked up.
    pub fn name(&self) -> &str {
        match self {
            Self::TimedOut { name }
            | Self::Unknown { name }
            | Self::Temporary { name, .. }
            | Self::Failed { name, .. }
            | Self::Hanging { name, .. } => name,
        }
    }
}

#[cfg(test)]
mod tests;
