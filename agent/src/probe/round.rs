//! A round: every anchor of a family asked once, all at the same time.

use std::{net::SocketAddr, time::Duration};

use tokio::task::JoinSet;

use super::{Connect, Connected, Interface, tcp};
use crate::clock::Stamp;

/// A round that is under way. Dropping it gives up the connects that have not ended.
///
/// It is good as soon as one anchor is alive, and failed only when all have ended without that, so
/// its answers come one by one, in the order of their arrival, and nobody waits for the slowest to
/// learn of the fastest.
#[derive(Debug)]
pub struct Round {
    connects: JoinSet<Connected>,
}

impl Round {
    /// Starts a connect to each anchor, each for `limit` at most, through the interface `via` where
    /// one is given.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(
        anchors: impl IntoIterator<Item = SocketAddr>,
        limit: Duration,
        via: Option<&Interface>,
        clock: impl Fn() -> Stamp + Clone + Send + Sync + 'static,
    ) -> Self {
        let mut connects = JoinSet::new();
        for anchor in anchors {
            let (via, clock) = (via.cloned(), clock.clone());
            connects.spawn(async move { tcp::connect(anchor, limit, via.as_ref(), &clock).await });
        }
        Self { connects }
    }

    /// The next answer; `None` when all have come. Nothing is lost when the caller stops waiting.
    pub async fn next(&mut self) -> Option<Connected> {
        loop {
            // A connect cannot panic; if one did, the others' answers would count all the same.
            if let Ok(connected) = self.connects.join_next().await? {
                return Some(connected);
            }
        }
    }

    /// All answers that are still to come.
    pub async fn rest(mut self) -> Vec<Connected> {
        let mut answers = Vec::with_capacity(self.connects.len());
        while let Some(answer) = self.next().await {
            answers.push(answer);
        }
        answers
    }

    /// Waits until one anchor is alive and gives up the others; the answers so far, all of them
    /// when none is.
    pub async fn until_alive(mut self) -> Vec<Connected> {
        let mut answers = Vec::with_capacity(self.connects.len());
        while let Some(answer) = self.next().await {
            let alive = answer.end == Connect::Connected;
            answers.push(answer);
            if alive {
                break;
            }
        }
        answers
    }
}

/// Asks every anchor once and waits for all answers, `limit` at most.
pub async fn ask_all(
    anchors: &[SocketAddr],
    limit: Duration,
    clock: impl Fn() -> Stamp + Clone + Send + Sync + 'static,
) -> Vec<Connected> {
    Round::start(anchors.iter().copied(), limit, None, clock).rest().await
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::{clock::BootId, runtime};

    fn clock() -> Stamp {
        Stamp { boot: BootId::UNKNOWN, boot_ms: 7, wall: jiff::Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn a_round_brings_every_answer_but_needs_only_one_that_is_alive() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let alive = listener.local_addr().expect("its address");
        let closed = {
            let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            gone.local_addr().expect("its address")
        };
        let limit = Duration::from_mins(1);
        let mut answers = runtime::run(ask_all(&[alive, closed], limit, clock)).expect("a runtime");
        answers.sort_by_key(|answer| answer.target == closed);
        let ends: Vec<_> = answers.iter().map(|answer| (answer.target, answer.end)).collect();
        assert_eq!(ends, [(alive, Connect::Connected), (closed, Connect::Refused)]);

        let answers = runtime::run(async {
            Round::start([closed, alive], limit, None, clock).until_alive().await
        });
        let answers = answers.expect("a runtime");
        assert_eq!(answers.last().map(|answer| answer.end), Some(Connect::Connected));
    }
}
