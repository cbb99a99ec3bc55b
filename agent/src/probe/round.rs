//! A round: every anchor of a family asked for proof once, all at the same time.

use std::net::SocketAddr;

use tokio::task::JoinSet;

use super::{
    AnchorAnswer, AnchorEnd, Interface, Prover,
    link::AnchorPath,
    proof::{Handshake, prove},
};
use crate::clock::Stamp;

/// A round that is under way. Dropping it gives up what has not ended.
///
/// It is good as soon as one anchor has proved itself, and failed only when all have ended without that,
/// so its answers come one by one, in the order of their arrival, and nobody waits for the slowest to
/// learn of the fastest.
#[derive(Debug)]
pub struct Round {
    answers: JoinSet<AnchorAnswer>,
    /// Those that have not answered yet and can prove themselves.
    provable: Vec<SocketAddr>,
}

impl Round {
    /// Asks each anchor, through the interface `via` where one is given.
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
                prove(&anchor, Handshake::Whole, &prover, via.as_ref(), &clock).await
            });
        }
        Self { answers, provable }
    }

    /// The next answer; `None` when all have come. Nothing is lost when the caller stops waiting.
    pub async fn next(&mut self) -> Option<AnchorAnswer> {
        loop {
            // A question cannot panic; if one did, the others' answers would count all the same.
            if let Ok(answer) = self.answers.join_next().await? {
                self.provable.retain(|anchor| *anchor != answer.anchor);
                return Some(answer);
            }
        }
    }

    /// All answers that are still to come.
    pub async fn rest(mut self) -> Vec<AnchorAnswer> {
        let mut answers = Vec::with_capacity(self.answers.len());
        while let Some(answer) = self.next().await {
            answers.push(answer);
        }
        answers
    }

    /// Waits until nothing better can come and gives up the others: until one anchor has proved itself, or
    /// has given contact when no other can prove anything. The answers so far, all of them when it was
    /// none.
    pub async fn until_decided(mut self) -> Vec<AnchorAnswer> {
        let mut answers = Vec::with_capacity(self.answers.len());
        let mut has_contact = false;
        while let Some(answer) = self.next().await {
            // What an anchor with a path of its own answers does not decide.
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
