//! How far one heartbeat has come: the HTTP client says only that it took too long, not what did.
//!
//! Each heartbeat runs in a task-local scope with its [`Progress`]. The hooks that the client
//! offers (name resolver, TLS session store, connector layer) note there what they see begin.

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

/// The part of a heartbeat that has begun and not yet ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum HeartbeatPhase {
    /// The host's name is being looked up.
    Resolving,
    /// The connection is being made, to the host or to the proxy and through it.
    Connecting,
    /// TLS is being negotiated.
    Securing,
    /// The request is being sent, or its answer is awaited.
    Asking,
}

/// The progress of one heartbeat.
#[derive(Debug)]
pub(super) struct Progress {
    phase: AtomicU8,
    deadline: Instant,
    announces_silence: bool,
    seen: Mutex<HeartbeatTrail>,
}

/// What a heartbeat has met on its way.
#[derive(Debug, Default)]
struct HeartbeatTrail {
    /// The addresses that its name was found to have.
    addresses: Vec<IpAddr>,
    /// Why the certificate that is being verified is not valid yet, while all else about it is good.
    not_yet_valid: Option<rustls::Error>,
    /// Whether the owner of such a certificate has proved that it is.
    proved: bool,
}

impl Progress {
    /// A heartbeat that must be answered before `deadline`.
    ///
    /// It begins with connecting: a host that is an address is never looked up.
    pub(super) fn new(deadline: Instant, announces_silence: bool) -> Arc<Self> {
        let phase = AtomicU8::new(HeartbeatPhase::Connecting as u8);
        Arc::new(Self { phase, deadline, announces_silence, seen: Mutex::default() })
    }

    /// Runs the heartbeat in whose course everything is noted here.
    pub(super) async fn follow<F: Future>(self: &Arc<Self>, heartbeat: F) -> F::Output {
        PROGRESS.scope(Arc::clone(self), heartbeat).await
    }

    /// The phase that began last.
    pub(super) fn phase(&self) -> HeartbeatPhase {
        let phase = self.phase.load(Ordering::Relaxed);
        [
            HeartbeatPhase::Resolving,
            HeartbeatPhase::Connecting,
            HeartbeatPhase::Securing,
            HeartbeatPhase::Asking,
        ][usize::from(phase)]
    }

    /// The addresses that the name was found to have; none of a host that is an address.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.seen().addresses.clone()
    }

    /// Whether the handshake failed for nothing but a certificate that is not valid yet, whose owner
    /// signed it.
    pub(super) fn proved(&self) -> bool {
        self.seen().proved
    }

    fn seen(&self) -> MutexGuard<'_, HeartbeatTrail> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes the addresses that the name of the current heartbeat's host, or of its proxy, has.
pub(super) fn found(addresses: &[IpAddr]) {
    let _ = PROGRESS.try_with(|progress| progress.seen().addresses = addresses.to_vec());
}

/// Notes that the certificate is good but for its time, until the handshake's signature is verified.
/// Outside of a heartbeat nobody would look at it again, so the error comes back.
pub(super) fn not_yet_valid(error: rustls::Error) -> Result<(), rustls::Error> {
    let noted = PROGRESS.try_with(|progress| {
        progress.seen().not_yet_valid = Some(error.clone());
    });
    noted.map_err(|_| error)
}

/// Fails the handshake whose signature is good when its certificate is not valid yet.
pub(super) fn signed() -> Result<(), rustls::Error> {
    let error = PROGRESS.try_with(|progress| {
        let mut seen = progress.seen();
        let error = seen.not_yet_valid.take();
        seen.proved |= error.is_some();
        error
    });
    error.ok().flatten().map_or(Ok(()), Err)
}

/// Notes that the current heartbeat has reached a phase.
pub(super) fn reached(phase: HeartbeatPhase) {
    // Outside of a heartbeat there is nothing to note.
    let _ = PROGRESS.try_with(|progress| progress.phase.store(phase as u8, Ordering::Relaxed));
}

/// The deadline of the current heartbeat.
pub(super) fn deadline() -> Option<Instant> {
    PROGRESS.try_with(|progress| progress.deadline).ok()
}

/// Whether the current heartbeat announces that this machine or the agent stops.
pub(super) fn announces_silence() -> bool {
    PROGRESS.try_with(|progress| progress.announces_silence).unwrap_or(false)
}

/// Wraps the client's connector: what it has connected is ready for the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoteConnected;

impl<S> Layer<S> for NoteConnected {
    type Service = NotingConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        NotingConnector(connector)
    }
}

/// A connector that notes when it is done.
#[derive(Clone, Debug)]
pub(super) struct NotingConnector<S>(S);

impl<S, Target> Service<Target> for NotingConnector<S>
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
            reached(HeartbeatPhase::Asking);
            Ok(connection)
        })
    }
}
