//! Polls for changes of the network where the system sends no change events.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use super::{Path, paths_to};

/// How often the paths are read: as often as an anchor is probed by default.
const PERIOD: Duration = Duration::from_secs(5);
/// Addresses that no host has (RFC 5737, RFC 3849), so that the default route leads to them.
const UNUSED_ADDRESSES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

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
