//! The phase that one heartbeat is in: the HTTP client reports only that it timed out, not in which phase.
//!
//! Each heartbeat runs in a task-local scope with its [`Progress`]. The hooks of the client (name
//! resolver, TLS session store, connector layer) store there the phase that begins.

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    static PROGRESS: Arc<Progress>;
}

/// The current phase of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum HeartbeatPhase {
    /// The host's name is being looked up.
    Resolving,
    /// The connection is being made, to the host, or to the proxy and through it to the host.
    Connecting,
    /// The TLS handshake is running.
    TlsHandshake,
    /// The request is being sent, or the answer is outstanding.
    AwaitingAnswer,
}

/// The progress of one heartbeat.
#[derive(Debug)]
pub(super) struct Progress {
    phase: AtomicU8,
    deadline: Instant,
    announces_silence: bool,
    facts: Mutex<HookFacts>,
}

/// Facts that the hooks collect during one heartbeat.
#[derive(Debug, Default)]
struct HookFacts {
    /// The addresses that the name resolved to.
    addresses: Vec<IpAddr>,
    /// The error for a certificate whose only fault is that it is not valid yet, until the handshake's
    /// signature is verified.
    not_yet_valid: Option<rustls::Error>,
    /// Whether such a certificate's owner signed the handshake.
    proved: bool,
}

impl Progress {
    /// The progress of a heartbeat that must be answered before `deadline`.
    ///
    /// It starts in [`HeartbeatPhase::Connecting`]: a host that is an address is never looked up.
    pub(super) fn new(deadline: Instant, announces_silence: bool) -> Arc<Self> {
        let phase = AtomicU8::new(HeartbeatPhase::Connecting as u8);
        Arc::new(Self { phase, deadline, announces_silence, facts: Mutex::default() })
    }

    /// Runs `heartbeat` in a scope in which the hooks store to this progress.
    pub(super) async fn scope<F: Future>(self: &Arc<Self>, heartbeat: F) -> F::Output {
        PROGRESS.scope(Arc::clone(self), heartbeat).await
    }

    /// The phase that began last.
    pub(super) fn phase(&self) -> HeartbeatPhase {
        let phase = self.phase.load(Ordering::Relaxed);
        [
            HeartbeatPhase::Resolving,
            HeartbeatPhase::Connecting,
            HeartbeatPhase::TlsHandshake,
            HeartbeatPhase::AwaitingAnswer,
        ][usize::from(phase)]
    }

    /// The addresses that the name resolved to; empty if the host is an address.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.lock_facts().addresses.clone()
    }

    /// Whether the handshake failed only because the certificate is not valid yet, and the certificate's
    /// owner signed it.
    pub(super) fn proved(&self) -> bool {
        self.lock_facts().proved
    }

    fn lock_facts(&self) -> MutexGuard<'_, HookFacts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stores the addresses that the name of the current heartbeat's host, or of its proxy, resolved to.
pub(super) fn store_addresses(addresses: &[IpAddr]) {
    let _ = PROGRESS.try_with(|progress| progress.lock_facts().addresses = addresses.to_vec());
}

/// Stores the error for a certificate that is good except that it is not valid yet, until [`finish_signature_check`]
/// fails the handshake with it.
///
/// # Errors
/// `error` itself outside of a heartbeat, where there is nowhere to store it.
pub(super) fn store_not_yet_valid(error: rustls::Error) -> Result<(), rustls::Error> {
    let noted = PROGRESS.try_with(|progress| {
        progress.lock_facts().not_yet_valid = Some(error.clone());
    });
    noted.map_err(|_| error)
}

/// Records that the handshake's signature is good.
///
/// # Errors
/// The stored error, if the certificate is not valid yet: the handshake must fail all the same.
pub(super) fn finish_signature_check() -> Result<(), rustls::Error> {
    let error = PROGRESS.try_with(|progress| {
        let mut seen = progress.lock_facts();
        let error = seen.not_yet_valid.take();
        seen.proved |= error.is_some();
        error
    });
    error.ok().flatten().map_or(Ok(()), Err)
}

/// Stores the phase that the current heartbeat has reached.
pub(super) fn enter_phase(phase: HeartbeatPhase) {
    // Outside of a heartbeat there is no progress to store to.
    let _ = PROGRESS.try_with(|progress| progress.phase.store(phase as u8, Ordering::Relaxed));
}

/// The deadline of the current heartbeat.
pub(super) fn deadline() -> Option<Instant> {
    PROGRESS.try_with(|progress| progress.deadline).ok()
}

/// Whether the current heartbeat announces that the agent stops or this machine sleeps.
pub(super) fn announces_silence() -> bool {
    PROGRESS.try_with(|progress| progress.announces_silence).unwrap_or(false)
}

/// Wraps the client's connector to store when a connection is ready for the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectedLayer;

impl<S> Layer<S> for ConnectedLayer {
    type Service = PhaseConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        PhaseConnector(connector)
    }
}

/// A connector that stores [`HeartbeatPhase::AwaitingAnswer`] when it is done.
#[derive(Clone, Debug)]
pub(super) struct PhaseConnector<S>(S);

impl<S, Target> Service<Target> for PhaseConnector<S>
where
    S: Service<Target>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move {
            let connection = connecting.await?;
            enter_phase(HeartbeatPhase::AwaitingAnswer);
            Ok(connection)
        })
    }
}
