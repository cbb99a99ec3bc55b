//! The connection fails, and another host on the path still answers under the addresses of others.

use std::time::Duration;

use ispmon_agent::outage::Cause;

use super::build::{
    PROVIDER, frequent_heartbeats, plain_http, shown_by_heartbeats, shown_by_probes,
    shown_once_a_minute,
};
use crate::play::{fault::Fault, rows::Row, settings::Heartbeats};

/// All rows, in the order of the table.
pub(super) fn rows() -> Vec<Row> {
    use Fault::{
        IspSilent, ProxyAccepts, RouterOwnsAnchor, RouterPage, RouterSpeaksTls, SmallPacketsOnly,
    };
    let isp = Cause::Isp;
    vec![
        shown_by_probes(
            "impostor",
            "The connection fails behind a router that answers as 1.1.1.1.",
            RouterOwnsAnchor,
            isp,
            PROVIDER,
        ),
        shown_by_probes(
            "impostor-local",
            "The same without heartbeats.",
            RouterOwnsAnchor,
            isp,
            PROVIDER,
        )
        .locally(),
        shown_by_heartbeats(
            "impostor-tls",
            "The connection fails behind a router that answers for all anchors, with TLS of its own.",
            RouterSpeaksTls,
            isp,
            PROVIDER,
        ),
        shown_once_a_minute(
            "impostor-tls-loc",
            "The same without heartbeats.",
            RouterSpeaksTls,
            isp,
            PROVIDER,
        ),
        shown_by_heartbeats(
            "proxy-accepts",
            "The connection fails behind a proxy that accepts every connection; lookups are answered.",
            ProxyAccepts,
            isp,
            PROVIDER,
        ),
        shown_once_a_minute(
            "proxy-acc-local",
            "The same without heartbeats.",
            ProxyAccepts,
            isp,
            PROVIDER,
        ),
        shown_by_heartbeats(
            "small-packets",
            "Only packets of at most 500 bytes pass the provider.",
            SmallPacketsOnly,
            isp,
            PROVIDER,
        ),
        shown_once_a_minute(
            "small-pack-local",
            "The same without heartbeats.",
            SmallPacketsOnly,
            isp,
            PROVIDER,
        ),
        shown_by_probes(
            "router-page",
            "The connection fails, and the router shows its own page for every name.",
            RouterPage,
            isp,
            PROVIDER,
        ),
        shown_by_probes(
            "router-page-loc",
            "The same without heartbeats.",
            RouterPage,
            isp,
            PROVIDER,
        )
        .locally(),
        shown_by_probes(
            "router-page-http",
            "The same with heartbeats by plain HTTP, which the page answers with 200.",
            RouterPage,
            isp,
            PROVIDER,
        )
        .with(plain_http),
        shown_by_probes(
            "home-endpoint",
            "The connection fails; heartbeats go to a server in the house by its global address.",
            IspSilent,
            isp,
            PROVIDER,
        )
        .with(|failure| {
            failure.prepare = |world| world.insert_home_endpoint();
            failure.settings = frequent_heartbeats;
            failure.adjust = |settings| settings.heartbeats = Heartbeats::AtHome;
            failure.lasts = [Duration::from_secs(50), Duration::from_mins(5)];
        })
        .taking([75, 330]),
    ]
}
