//! Polls for changes of the network where the system sends no change events.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{Path, UNUSED_ADDRESSES, paths_to};

/// How often the paths are read: as often as an anchor is probed by default.
const PERIOD: Duration = Duration::from_secs(5);

/// Polls whether the default paths of this device have changed.
#[derive(Debug)]
pub(super) struct Poll {
    ticks: tokio::time::Interval,
    seen: Vec<Path>,
}

impl Poll {
    pub(super) fn new() -> Self {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, seen: paths_to(&UNUSED_ADDRESSES) }
    }

    pub(super) async fn changed(&mut self) {
        loop {
            self.ticks.tick().await;
            let now = paths_to(&UNUSED_ADDRESSES);
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
    }
}
