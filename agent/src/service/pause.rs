//! A pause: nothing is probed, no heartbeat goes, and the cloud knows.

use std::{convert::Infallible, future, sync::Arc, time::Duration};

use ispmon_wire::State;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    clock::{Clock, Stamp},
    heartbeat::{HeartbeatClient, Outcome, Pacing},
};

/// How long whoever asked for a pause waits to hear whether the cloud knows of it. It is told again and
/// again in any case.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// A pause that has begun.
#[derive(Debug)]
pub(super) struct Pause {
    /// When it began.
    pub(super) since: Stamp,
    /// When it ends by itself.
    pub(super) ends: Ends,
    /// Whether the cloud knows of it; nothing until it was tried.
    announced: watch::Sender<Option<bool>>,
}

/// When a pause ends by itself: the earlier of two moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    until: Stamp,
    /// In the present boot. The wall clock, by which a pause from before it ends, may be wrong.
    latest: Stamp,
}

impl Ends {
    /// How much of it is left at `now`.
    pub(super) fn rest(&self, now: &Stamp) -> Duration {
        self.until.rest(now).min(self.latest.rest(now))
    }
}

impl Pause {
    /// A pause that nobody knows of yet.
    pub(super) fn begin(since: Stamp, until: Stamp) -> Self {
        Self::go_on(since, until, until)
    }

    /// One that an earlier run began, and that must be over at `latest`.
    pub(super) fn go_on(since: Stamp, until: Stamp, latest: Stamp) -> Self {
        Self { since, ends: Ends { until, latest }, announced: watch::Sender::new(None) }
    }

    /// Has the cloud told of it once more: what it heard meanwhile may say something else.
    pub(super) fn announce_again(&self) {
        self.announced.send_replace(None);
    }

    /// Tells, for [`ANSWER_WITHIN`] at most, whether the cloud knows of it by then.
    pub(super) fn told(&self) -> impl Future<Output = bool> + Send + use<> {
        let mut announced = self.announced.subscribe();
        async move {
            let tried = timeout(ANSWER_WITHIN, announced.wait_for(Option::is_some)).await;
            matches!(tried, Ok(Ok(known)) if *known == Some(true))
        }
    }

    /// How much of it is left at `now`.
    pub(super) fn rest(&self, now: &Stamp) -> Duration {
        self.ends.rest(now)
    }

    /// Tells the cloud, again and again until it knows: silence that it does not know of alarms.
    pub(super) async fn announce(
        &self,
        client: Option<&Arc<HeartbeatClient>>,
        mut pacing: Pacing,
        clock: &Clock,
    ) -> Infallible {
        while let Some(client) = client
            && *self.announced.borrow() != Some(true)
        {
            let started = Instant::now();
            let quiet = self.rest(&clock.now());
            let outcome = client.send(State::Paused, quiet, client.timeout()).await;
            let delivered = matches!(outcome, Outcome::Delivered { .. });
            self.announced.send_replace(Some(delivered));
            if !delivered {
                sleep(pacing.after(&outcome, started, Instant::now())).await;
            }
        }
        future::pending().await
    }
}
