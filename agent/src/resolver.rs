//! Name look-ups by the operating system, on a thread that nobody waits for.
//!
//! `getaddrinfo` cannot be interrupted, and it may hang exactly when the line does. On an async
//! runtime's blocking pool a few hanging look-ups would starve everything else in the pool and hold
//! up the end of the process. Here they have one thread of their own, which the process leaves
//! behind when it ends.
//!
//! 1. One look-up runs at a time; others wait in order.
//! 2. Whoever asks for a name that is being looked up, or waits for that, shares the answer.
//! 3. Each caller has a deadline of its own. A look-up that nobody waits for any more is skipped.
//! 4. A look-up that has run for 30 s is given up with its thread: the next caller, whatever the
//!    name, gets a fresh thread. With three such threads still hanging, callers fail at once with
//!    [`LookupError::Hanging`] until one of them comes back.
//!
//! Addresses and the names of this machine itself (RFC 6761, section 6.3) need no look-up and never
//! get here.

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

/// After this time a look-up is given up. The C library itself would by its defaults have asked
/// three servers twice for 5 s each (resolv.conf(5)); what hangs longer hangs elsewhere.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// How many threads with hanging look-ups are left behind at most.
const MOST_GIVEN_UP: usize = 3;

type LookupResult = Result<Vec<IpAddr>, LookupError>;
type LookUp = Box<dyn Fn(&str) -> LookupResult + Send + Sync>;

/// Looks names up, one at a time, on a thread that is started when it is first needed.
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
    /// The number of the thread that takes work; earlier ones were given up.
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
    /// Creates a resolver that asks the operating system.
    pub fn new() -> Self {
        Self::with(ask_system, GIVE_UP_AFTER)
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
    /// Every [`LookupError`]; [`LookupError::TimedOut`] at `deadline`, while the look-up itself
    /// goes on.
    pub async fn resolve(&self, name: &str, deadline: Instant) -> LookupResult {
        if let Some(addresses) = without_look_up(name) {
            return Ok(addresses);
        }
        let answer = self.ask(name, Instant::now())?;
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => answer,
            // Only a resolver that is gone drops its callers.
            Ok(Err(_)) => Err(LookupError::Failed {
                name: name.to_owned(),
                reason: "the look-up ended without a result".to_owned(),
            }),
            Err(_) => Err(LookupError::TimedOut { name: name.to_owned() }),
        }
    }

    /// Joins the look-up of the name, or queues one.
    fn ask(
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
            .spawn(move || shared.work_as(thread))
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
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a thread: takes one name after the other until it is given up or the resolver is gone.
    fn work_as(&self, thread: u64) {
        while let Some(name) = self.next_name(thread) {
            let answer = (self.look_up)(&name);
            for caller in self.finish(thread) {
                // Callers leave when their time is up.
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

fn ask_system(name: &str) -> LookupResult {
    // Any one socket type: without it each address comes once per type.
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

/// Why a name has no address now.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LookupError {
    /// The look-up takes longer than its caller can wait.
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
        /// What the C library says.
        reason: String,
    },
    /// The look-up failed in another way.
    #[error("the name {name} cannot be looked up ({reason})")]
    Failed {
        /// The name.
        name: String,
        /// What the C library says.
        reason: String,
    },
    /// So many earlier look-ups hang that no further one is tried.
    #[error("the name {name} cannot be looked up, because look-ups have been hanging for {}", Readable(*since))]
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
