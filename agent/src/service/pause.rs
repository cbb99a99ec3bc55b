//! A pause: nothing is probed, no heartbeat is sent, and the silence is announced to the cloud.

use std::{convert::Infallible, future, time::Duration};

use ispmon_wire::AgentState;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    clock::{Clock, Stamp},
    heartbeat::{CloudClient, Pacing},
};

/// How long the reply to a pause request waits for the first announcement. The announcement is repeated
/// in any case.
const REPLY_LIMIT: Duration = Duration::from_secs(3);

/// How many announcements of a pause are delivered.
const ANNOUNCEMENTS: u32 = 2;

/// A pause that has begun.
#[derive(Debug)]
pub(super) struct CurrentPause {
    /// When it began.
    pub(super) since: Stamp,
    /// When it ends by itself.
    pub(super) ends: PauseEnd,
    /// Whether the cloud has accepted an announcement; `None` until the first attempt.
    announced: watch::Sender<Option<bool>>,
}

/// When a pause ends by itself: at the earlier of two times.
#[derive(Clone, Copy, Debug)]
pub(super) struct PauseEnd {
    until: Stamp,
    /// In the current boot. A pause from an earlier boot ends by the wall clock, which may be wrong.
    latest: Stamp,
}

impl PauseEnd {
    /// The time left at `now`, zero when it is over.
    pub(super) fn time_left(&self, now: &Stamp) -> Duration {
        self.until.time_left(now).min(self.latest.time_left(now))
    }
}

impl CurrentPause {
    /// Creates a pause that is not announced yet.
    pub(super) fn begin(since: Stamp, until: Stamp) -> Self {
        Self::continue_until(since, until, until)
    }

    /// Continues a pause that an earlier run began, until `latest` at most. It is announced again.
    pub(super) fn continue_until(since: Stamp, until: Stamp, latest: Stamp) -> Self {
        Self { since, ends: PauseEnd { until, latest }, announced: watch::Sender::new(None) }
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

    /// The time left at `now`, zero when it is over.
    pub(super) fn time_left(&self, now: &Stamp) -> Duration {
        self.ends.time_left(now)
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
            let quiet = self.time_left(&clock.now());
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
