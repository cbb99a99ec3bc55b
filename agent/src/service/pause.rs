//! A pause: nothing is probed, no heartbeat goes, and the cloud knows.

use std::{convert::Infallible, future, sync::Arc, time::Duration};

use ispmon_wire::State;
use tokio::time::{Instant, sleep};

use crate::{
    clock::{Clock, Stamp},
    heartbeat::{HeartbeatClient, Outcome, Pacing},
};

/// A pause that has begun.
#[derive(Debug)]
pub(super) struct Pause {
    /// When it began.
    pub(super) since: Stamp,
    /// When it ends by itself.
    pub(super) until: Stamp,
    /// Whether the cloud knows of it.
    announced: bool,
}

impl Pause {
    /// A pause that nobody knows of yet.
    pub(super) fn begin(since: Stamp, until: Stamp) -> Self {
        Self { since, until, announced: false }
    }

    /// How much of it is left at `now`.
    pub(super) fn rest(&self, now: &Stamp) -> Duration {
        self.until.rest(now)
    }

    /// Tells the cloud, again and again until it knows: silence that it does not know of alarms.
    pub(super) async fn announce(
        &mut self,
        client: Option<&Arc<HeartbeatClient>>,
        mut pacing: Pacing,
        clock: &Clock,
    ) -> Infallible {
        while let Some(client) = client
            && !self.announced
        {
            let started = Instant::now();
            let quiet = self.rest(&clock.now());
            let outcome = client.send(State::Paused, quiet, client.timeout()).await;
            self.announced = matches!(outcome, Outcome::Delivered { .. });
            if !self.announced {
                sleep(pacing.after(&outcome, started, Instant::now())).await;
            }
        }
        future::pending().await
    }
}
