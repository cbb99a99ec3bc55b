//! Heartbeats: what is sent, when, over which connection, and what came of it.
//!
//! - [`beat`] is the loop: send, judge, wait, for ever.
//! - [`HeartbeatClient`] sends one heartbeat and turns whatever happens into an [`HeartbeatOutcome`].
//! - [`Pacing`] decides how long to wait for the next one; [`Backoff`] is its part for a line that
//!   is down.
//! - [`HeartbeatFailure`] and [`FailureKind`] say in words and in kind why a heartbeat was not answered.
//!
//! A failed heartbeat is a value like any other, never an error: it is what this program is there
//! to notice.

mod answer;
mod backoff;
mod client;
mod failure;
mod message;
mod outcome;
mod pacing;
mod progress;
mod proxy;
mod retry_after;
mod tls;

use std::{cell::Cell, convert::Infallible, time::Duration};

use ispmon_wire::AgentState;
use tokio::{sync::Notify, time::Instant};

pub use backoff::Backoff;
pub use client::{ClientError, HeartbeatClient};
pub use failure::{FailureKind, HeartbeatFailure};
pub use message::{HeartbeatExtras, ReadExtras};
pub use outcome::{AnswerRefusal, HeartbeatOutcome, NetworkPath};
pub use pacing::Pacing;
pub use proxy::ProxyError;

/// Sends heartbeats for ever: the first at once and in `state`, each later one when `pacing` says so.
/// What `state` says is repeated until a heartbeat is delivered.
///
/// After each of them `observe` is told what came of it, and how long it is until the next try. Ask
/// the client to [hurry](HeartbeatClient::line_returned) when the line is known to be back.
pub async fn beat(
    client: &HeartbeatClient,
    pacing: Pacing,
    state: AgentState,
    observe: impl FnMut(&HeartbeatOutcome, Duration),
) -> Infallible {
    let state = Cell::new(state);
    let heartbeat = async || {
        let outcome = client.send(state.get(), Duration::ZERO, client.timeout()).await;
        if outcome.delivered() {
            state.set(AgentState::Running);
        }
        outcome
    };
    repeat(heartbeat, client.returned(), pacing, observe).await
}

async fn repeat(
    send: impl AsyncFn() -> HeartbeatOutcome,
    returned: &Notify,
    mut pacing: Pacing,
    mut observe: impl FnMut(&HeartbeatOutcome, Duration),
) -> Infallible {
    loop {
        let started = Instant::now();
        let outcome = send().await;
        let wait = pacing.after(&outcome, started, Instant::now());
        observe(&outcome, wait);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = returned.notified() => tokio::time::sleep(pacing.line_returned()).await,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
