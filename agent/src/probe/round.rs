//! A round: every anchor of a family is probed once, all at the same time.

use std::net::SocketAddr;

use tokio::task::JoinSet;

use super::{
    AnchorAnswer, AnchorEnd, Interface, Prover,
    link::AnchorPath,
    proof::{Handshake, prove},
};
use crate::clock::Stamp;

/// A round that is running. Dropping it cancels the probes that have not ended.
///
/// A round succeeds as soon as one anchor proves its identity, and fails only when all probes have ended
/// without that. So its answers are returned one by one as they arrive, and the caller need not wait for the
/// slowest to receive the fastest.
#[derive(Debug)]
pub struct Round {
    answers: JoinSet<AnchorAnswer>,
    /// Anchors with TLS that have not answered yet.
    provable: Vec<SocketAddr>,
}

impl Round {
    /// Starts to probe each anchor, through the interface `via` if one is given.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(
        anchors: impl IntoIterator<Item = AnchorPath>,
        prover: &Prover,
        via: Option<&Interface>,
        clock: impl Fn() -> Stamp + Clone + Send + Sync + 'static,
    ) -> Self {
        let mut answers = JoinSet::new();
        let mut provable = Vec::new();
        for anchor in anchors {
            if anchor.anchor.tls {
                provable.push(anchor.anchor.address);
            }
            let (prover, via, clock) = (prover.clone(), via.cloned(), clock.clone());
            answers.spawn(async move {
                prove(&anchor, Handshake::Full, &prover, via.as_ref(), &clock).await
            });
        }
        Self { answers, provable }
    }

    /// The next answer; `None` when all have arrived. It is cancel-safe: a cancelled call loses no answer.
    pub async fn next(&mut self) -> Option<AnchorAnswer> {
        loop {
            // A probe does not panic; if one did, the answers of the others would still count.
            if let Ok(answer) = self.answers.join_next().await? {
                self.provable.retain(|anchor| *anchor != answer.anchor);
                return Some(answer);
            }
        }
    }

    /// Waits for all remaining answers.
    pub async fn collect_rest(mut self) -> Vec<AnchorAnswer> {
        let mut answers = Vec::with_capacity(self.answers.len());
        while let Some(answer) = self.next().await {
            answers.push(answer);
        }
        answers
    }

    /// Waits until no later answer can improve the result, and cancels the remaining probes: until one anchor
    /// has proved its identity, or has given contact when no other can prove anything. Returns the answers so
    /// far; if no anchor did either, all of them.
    pub async fn until_decided(mut self) -> Vec<AnchorAnswer> {
        let mut answers = Vec::with_capacity(self.answers.len());
        let mut has_contact = false;
        while let Some(answer) = self.next().await {
            // An anchor with its own path does not decide the family.
            let is = |end| answer.end == end && !answer.own_path;
            has_contact |= is(AnchorEnd::Contact);
            let is_decided = is(AnchorEnd::Proved) || has_contact && self.provable.is_empty();
            answers.push(answer);
            if is_decided {
                break;
            }
        }
        answers
    }
}
