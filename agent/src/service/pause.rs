//! A pause: nothing is probed, no heartbeat is sent, and the silence is announced to the cloud.

use std::{convert::Infallible, future, time::Duration};

use ispmon_wire::AgentState;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    clock::Clock,
    heartbeat::{CloudClient, Pacing},
    pause::Pause,
};

/// How long the reply to a pause request waits for the first announcement. The announcement is repeated
/// in any case.
const REPLY_LIMIT: Duration = Duration::from_secs(3);

/// How many announcements of a pause are delivered.
const ANNOUNCEMENTS: u32 = 2;

/// A pause that has begun, and its announcement.
#[derive(Debug)]
pub(super) struct CurrentPause {
    /// Its start and end.
    pub(super) pause: Pause,
    /// Whether the cloud has accepted an announcement; `None` until the first attempt.
    announced: watch::Sender<Option<bool>>,
}

impl CurrentPause {
    /// Begins or continues a pause. It is announced, also when an earlier run has announced it.
    pub(super) fn new(pause: Pause) -> Self {
        Self { pause, announced: watch::Sender::new(None) }
    }

    /// Has it announced again: the cloud may have received a different state since.
    pub(super) fn announce_again(&self) {
        self.announced.send_replace(None);
    }

    /// Waits at most [`REPLY_LIMIT`] for the first announcement; returns whether the cloud has accepted one.
    pub(super) fn wait_for_announcement(&self) -> impl Future<Output = bool> + Send + use<> {
        let mut announced = self.announced.subscribe();
        async move {
            let tried = timeout(REPLY_LIMIT, announced.wait_for(Option::is_some)).await;
            matches!(tried, Ok(Ok(known)) if *known == Some(true))
        }
    }

    /// Announces the pause, retrying until the cloud accepts it: unannounced silence raises the alarm. About
    /// an interval later it is announced once more, because an accepted message may still be lost in the
    /// cloud. Each announcement holds the time left, so that both give the same end.
    pub(super) async fn announce(
        &self,
        client: Option<&CloudClient>,
        mut pacing: Pacing,
        clock: &Clock,
    ) -> Infallible {
        let Some(client) = client else { return future::pending().await };
        let is_accepted = *self.announced.borrow() == Some(true);
        let mut left = if is_accepted { 0 } else { ANNOUNCEMENTS };
        while left > 0 {
            let started = Instant::now();
            let quiet = self.pause.time_left(&clock.now());
            let outcome = client.send(AgentState::Paused, quiet, client.timeout()).await;
            if outcome.is_delivered() {
                left -= 1;
                self.announced.send_replace(Some(true));
            } else if left == ANNOUNCEMENTS {
                self.announced.send_replace(Some(false));
            }
            sleep(pacing.after_outcome(&outcome, started, Instant::now())).await;
        }
        future::pending().await
    }
}
