//! A pause: nothing is probed, no heartbeat goes, and the cloud knows.

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

/// How long whoever asked for a pause waits to hear whether the cloud knows of it. It is told again and
/// again in any case.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// How often the cloud is told of a pause.
const ANNOUNCEMENTS: u32 = 2;

/// A pause that has begun.
#[derive(Debug)]
pub(super) struct CurrentPause {
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
        self.until.time_left(now).min(self.latest.time_left(now))
    }
}

impl CurrentPause {
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

    /// Waits, for [`ANSWER_WITHIN`] at most, until it is known whether the cloud has accepted the announcement.
    pub(super) fn is_announced(&self) -> impl Future<Output = bool> + Send + use<> {
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

    /// Tells the cloud, again and again until it knows: silence that it does not know of alarms. About an
    /// interval later it is told once more, because what was answered may still be lost there; what is left
    /// of the pause by then is announced, so that both name the same end.
    pub(super) async fn announce(
        &self,
        client: Option<&CloudClient>,
        mut pacing: Pacing,
        clock: &Clock,
    ) -> Infallible {
        let Some(client) = client else { return future::pending().await };
        let is_known = *self.announced.borrow() == Some(true);
        let mut left = if is_known { 0 } else { ANNOUNCEMENTS };
        while left > 0 {
            let started = Instant::now();
            let quiet = self.rest(&clock.now());
            let outcome = client.send(AgentState::Paused, quiet, client.timeout()).await;
            if outcome.delivered() {
                left -= 1;
                self.announced.send_replace(Some(true));
            } else if left == ANNOUNCEMENTS {
                self.announced.send_replace(Some(false));
            }
            sleep(pacing.after(&outcome, started, Instant::now())).await;
        }
        future::pending().await
    }
}
