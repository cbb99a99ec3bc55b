//! Heartbeats: their content, their schedule, their connection and their outcome.
//!
//! - [`run`] is the endless loop: send a heartbeat, compute the wait, sleep.
//! - [`CloudClient`] sends one heartbeat, or one hand-over, and returns a [`HeartbeatOutcome`] in every case.
//! - [`OutcomeKind`] is that outcome without its details, for the log and for the incident machine.
//! - [`Pacing`] computes the wait before the next heartbeat; while heartbeats fail, it uses [`Backoff`].
//! - [`HeartbeatFailure`] and [`FailureKind`] describe why a heartbeat was not answered.
//!
//! A failed heartbeat is a value, never an error: to detect it is the purpose of this program.

mod advice;
mod answer;
mod backoff;
mod client;
mod failure;
mod message;
mod network_path;
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
pub use network_path::NetworkPath;
pub use outcome::{AnswerRefusal, HeartbeatOutcome, OutcomeKind};
pub use pacing::Pacing;
pub use proxy::ProxyError;

/// One finished heartbeat, as [`run`] reports it to its observer.
#[derive(Debug)]
pub struct HeartbeatAttempt<'a> {
    /// Boot time of its start.
    pub started: Duration,
    /// Its outcome.
    pub outcome: &'a HeartbeatOutcome,
    /// The time from its end to the next heartbeat.
    pub wait: Duration,
}

/// Sends heartbeats for ever: the first at once, each later one after the wait that `pacing` computes.
/// They carry `state` until one is delivered, and [`AgentState::Running`] from then on.
///
/// Calls `observe` after each heartbeat. The caller notifies `returned` when connectivity is back; the
/// next heartbeat follows within 3 s.
pub async fn run(
    client: &CloudClient,
    pacing: Pacing,
    state: AgentState,
    returned: &Notify,
    observe: impl FnMut(HeartbeatAttempt<'_>),
) -> Infallible {
    let state = Cell::new(state);
    let heartbeat = async || {
        let outcome = client.send(state.get(), Duration::ZERO, client.timeout()).await;
        if outcome.is_delivered() {
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
    mut observe: impl FnMut(HeartbeatAttempt<'_>),
) -> Infallible {
    loop {
        let (started, begin) = (clock::boot_time(), Instant::now());
        let outcome = send().await;
        let wait = pacing.after_outcome(&outcome, begin, Instant::now());
        observe(HeartbeatAttempt { started, outcome: &outcome, wait });
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = returned.notified() => tokio::time::sleep(pacing.after_reconnection()).await,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
