//! Failures of the connection, or of a part of it.

use ispmon_agent::outage::{Cause, Scope};

use super::build::{PROVIDER, YOURS, hasty, shown_by_probes};
use crate::play::{fault::Fault, rows::Row, settings::Heartbeats, tunnel::Carries};

/// All rows, in the order of the table.
pub(super) fn rows() -> Vec<Row> {
    [whole(), parts()].into_iter().flatten().collect()
}

/// Failures of the whole connection.
fn whole() -> Vec<Row> {
    use Fault::{
        CablePulled, IspRejects, IspSilent, NoAddress, RouterDead, RouterDeadButKnown, RouterDeaf,
        RouterResets,
    };
    vec![
        shown_by_probes("cable", "The cable is pulled.", CablePulled, Cause::Link, YOURS),
        shown_by_probes("no-address", "The device loses its addresses.", NoAddress, Cause::Link, YOURS),
        shown_by_probes("gateway", "The router dies.", RouterDead, Cause::Gateway, YOURS),
        shown_by_probes(
            "gateway-known",
            "The router dies, but its entry in the neighbour table stays.",
            RouterDeadButKnown,
            Cause::Gateway,
            YOURS,
        ),
        shown_by_probes(
            "gateway-deaf",
            "The connection fails behind a router that never answers probes.",
            IspSilent,
            Cause::Isp,
            PROVIDER,
        )
        .with(|failure| failure.habit = Some(RouterDeaf)),
        shown_by_probes("isp", "The provider drops everything.", IspSilent, Cause::Isp, PROVIDER),
        shown_by_probes("isp-hasty", "The same with a probe each second.", IspSilent, Cause::Isp, PROVIDER)
            .with(|failure| failure.settings = hasty),
        shown_by_probes(
            "isp-rejects",
            "The provider rejects everything by ICMP.",
            IspRejects,
            Cause::Isp,
            PROVIDER,
        ),
        shown_by_probes(
            "resets",
            "The router answers with TCP resets for the dead internet.",
            RouterResets,
            Cause::Isp,
            PROVIDER,
        ),
        shown_by_probes(
            "isp-local",
            "The provider drops everything, and there are no heartbeats.",
            IspSilent,
            Cause::Isp,
            PROVIDER,
        )
        .locally(),
        shown_by_probes(
            "contact-anchors",
            "The provider drops everything, and the anchors are probed for contact only.",
            IspSilent,
            Cause::Isp,
            PROVIDER,
        )
        .with(|failure| {
            failure.adjust = |settings| {
                settings.anchors = Some("tcp://1.1.1.1:443, tcp://8.8.8.8:443, tcp://9.9.9.9:443");
            };
        }),
        shown_by_probes(
            "no-roots-local",
            "The provider drops everything; no anchor can prove itself, and there are no heartbeats.",
            IspSilent,
            Cause::Isp,
            PROVIDER,
        )
        .with(|failure| {
            failure.adjust = |settings| {
                settings.heartbeats = Heartbeats::Nowhere;
                settings.trusts = false;
            };
        }),
        shown_by_probes(
            "gateway-local",
            "The router dies, and there are no heartbeats.",
            RouterDead,
            Cause::Gateway,
            YOURS,
        )
        .locally(),
    ]
}

/// Failures of a part of the connection, or of a tunnel over it.
fn parts() -> Vec<Row> {
    use Fault::{IspSilent, IspSilentFor, RouterDead, TunnelDead};
    vec![
        shown_by_probes(
            "ipv6",
            "IPv6 alone dies at the provider.",
            IspSilentFor("ipv6"),
            Cause::Isp,
            PROVIDER,
        )
        .with(|failure| failure.expected.scope = Scope::Ipv6),
        shown_by_probes(
            "ipv4",
            "IPv4 alone dies at the provider.",
            IspSilentFor("ipv4"),
            Cause::Isp,
            PROVIDER,
        )
        .with(|failure| failure.expected.scope = Scope::Ipv4),
        shown_by_probes(
            "tunnel",
            "The tunnel dies; the connection works.",
            TunnelDead(Carries::All),
            Cause::Vpn,
            YOURS,
        )
        .with(|failure| failure.prepare = |world| world.insert_tunnel(Carries::All)),
        shown_by_probes(
            "tunnel-gateway",
            "The router beneath a tunnel dies.",
            RouterDead,
            Cause::Gateway,
            YOURS,
        )
        .with(|failure| failure.prepare = |world| world.insert_tunnel(Carries::All)),
        shown_by_probes(
            "tunnel-isp",
            "The provider drops everything, a tunnel included.",
            IspSilent,
            Cause::Isp,
            PROVIDER,
        )
        .with(|failure| failure.prepare = |world| world.insert_tunnel(Carries::All)),
        shown_by_probes(
            "tunnel-broker",
            "IPv6 comes through a tunnel whose far end dies; IPv4 works.",
            TunnelDead(Carries::Ipv6),
            Cause::Vpn,
            YOURS,
        )
        .with(|failure| {
            failure.prepare = |world| world.insert_tunnel(Carries::Ipv6);
            failure.expected.scope = Scope::Ipv6;
        }),
        shown_by_probes(
            "ipv6-local",
            "IPv6 alone dies at the provider, and there are no heartbeats.",
            IspSilentFor("ipv6"),
            Cause::Isp,
            PROVIDER,
        )
        .locally()
        .with(|failure| failure.expected.scope = Scope::Ipv6),
    ]
}
