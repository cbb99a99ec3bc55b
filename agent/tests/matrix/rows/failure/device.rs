//! Failures of the device itself, and a device that gives the agent no netlink.

use ispmon_agent::outage::{Cause, Party};

use super::build::{YOURS, shown_by_heartbeats, shown_by_probes, shown_once_a_minute};
use crate::play::{
    fault::Fault,
    rows::Row,
    settings::{Heartbeats, Names},
};

/// All rows, in the order of the table.
pub(super) fn rows() -> Vec<Row> {
    use Fault::{FirewallDrops, FirewallRejects, KillSwitch, OwnNamesGone, RouterDead};
    vec![
        firewall(
            "firewall-rejects",
            "The device's own packet filter rejects all.",
            FirewallRejects,
        ),
        firewall("firewall-drops", "The device's own packet filter drops all.", FirewallDrops),
        firewall(
            "kill-switch",
            "The device's own packet filter drops what leaves its network.",
            KillSwitch,
        ),
        firewall(
            "firewall-local",
            "The device's own packet filter rejects all, and there are no heartbeats.",
            FirewallRejects,
        )
        .locally(),
        shown_by_heartbeats(
            "own-names",
            "The name server on the device itself stops.",
            OwnNamesGone,
            Cause::Dns,
            YOURS,
        )
        .with(|failure| {
            failure.prepare = |world| world.serve_own_names();
            failure.adjust = |settings| settings.names = Names::Own;
        }),
        shown_once_a_minute(
            "own-names-local",
            "The same without heartbeats.",
            OwnNamesGone,
            Cause::Dns,
            YOURS,
        )
        .with(|failure| {
            failure.prepare = |world| world.serve_own_names();
            failure.adjust = |settings| {
                settings.names = Names::Own;
                settings.heartbeats = Heartbeats::Nowhere;
            };
        }),
        shown_by_probes(
            "no-netlink",
            "The router dies, and the system denies the agent netlink.",
            RouterDead,
            Cause::Gateway,
            YOURS,
        )
        .with(|failure| failure.adjust = |settings| settings.netlink = false),
    ]
}

/// A row whose cause is the device's own packet filter.
fn firewall(name: &'static str, title: &'static str, fault: Fault) -> Row {
    shown_by_probes(name, title, fault, Cause::Firewall, Some(Party::Yours))
}
