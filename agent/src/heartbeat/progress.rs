//! How far one heartbeat has come: the HTTP client says only that it took too long, not what did.
//!
//! Each heartbeat runs in a task-local scope with its [`Progress`]. The hooks that the client
//! offers (name resolver, TLS session store, connector layer) note there what they see begin.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
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
}

impl Progress {
    /// A heartbeat that must be answered before `deadline`.
    ///
    /// It begins with connecting: a host that is an address is never looked up.
    pub(super) fn new(deadline: Instant) -> Arc<Self> {
        Arc::new(Self { phase: AtomicU8::new(Phase::Connecting as u8), deadline })
    }

    /// Runs the heartbeat in whose course everything is noted here.
    pub(super) async fn follow<F: Future>(self: &Arc<Self>, heartbeat: F) -> F::Output {
        PROGRESS.scope(Arc::clone(self), heartbeat).await
    }

    /// The phase that began last.
    pub(super) fn phase(&self) -> Phase {
        let phase = self.phase.load(Ordering::Relaxed);
        [Phase::Resolving, Phase::Connecting, Phase::Securing, Phase::Asking][usize::from(phase)]
    }
}

/// Notes that the current heartbeat has reached a phase.
pub(super) fn reached(phase: Phase) {
    // Outside of a heartbeat there is nothing to note.
    let _ = PROGRESS.try_with(|progress| progress.phase.store(phase as u8, Ordering::Relaxed));
}

/// The deadline of the current heartbeat.
pub(super) fn deadline() -> Option<Instant> {
    PROGRESS.try_with(|progress| progress.deadline).ok()
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
            reached(Phase::Asking);
            Ok(connection)
        })
    }
}
