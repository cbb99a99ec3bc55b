//! Heartbeats: their content, their schedule, their connection and their outcome.
//!
//! - [`beat`] is the loop: send, judge, wait, for ever.
//! - [`CloudClient`] sends one heartbeat, or one hand-over, and returns a [`HeartbeatOutcome`] in every case.
//! - [`OutcomeKind`] is that outcome without its details, for the log and for the incident machine.
//! - [`Pacing`] decides how long to wait for the next one; [`Backoff`] is its part for a connection that
//!   is down.
//! - [`HeartbeatFailure`] and [`FailureKind`] describe why a heartbeat was not answered.
//!
//! A failed heartbeat is a value, never an error: to detect it is the purpose of this program.

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

use crate::clock;

pub use backoff::Backoff;
pub use client::{ClientError, CloudClient};
pub use failure::{FailureKind, HeartbeatFailure};
pub use message::{HeartbeatExtras, ReadExtras, Sequence};
pub use outcome::{AnswerRefusal, HeartbeatOutcome, NetworkPath, OutcomeKind};
pub use pacing::Pacing;
pub use proxy::ProxyError;

/// One heartbeat that has ended, as [`beat`] reports it.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// When it was started, as time since boot.
    pub started: Duration,
    /// Its outcome.
    pub outcome: &'a HeartbeatOutcome,
    /// The time until the next one.
    pub wait: Duration,
}

/// Sends heartbeats for ever: the first at once and in `state`, each later one when `pacing` says so.
/// `state` is repeated until a heartbeat is delivered.
///
/// `observe` is called after each of them. When `returned` is notified, connectivity has come back, and the next
/// heartbeat is sent within seconds.
pub async fn beat(
    client: &CloudClient,
    pacing: Pacing,
    state: AgentState,
    returned: &Notify,
    observe: impl FnMut(Attempt<'_>),
) -> Infallible {
    let state = Cell::new(state);
    let heartbeat = async || {
        let outcome = client.send(state.get(), Duration::ZERO, client.timeout()).await;
        if outcome.delivered() {
            state.set(AgentState::Running);
        }
        outcome
    };
    repeat(heartbeat, returned, pacing, observe).await
}

async fn repeat(
    send: impl AsyncFn() -> HeartbeatOutcome,
    returned: &Notify,
    mut pacing: Pacing,
    mut observe: impl FnMut(Attempt<'_>),
) -> Infallible {
    loop {
        let (started, begin) = (clock::boot_time(), Instant::now());
        let outcome = send().await;
        let wait = pacing.after(&outcome, begin, Instant::now());
        observe(Attempt { started, outcome: &outcome, wait });
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = returned.notified() => tokio::time::sleep(pacing.line_returned()).await,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
