//! Failures of DNS, and captive portals.

use ispmon_agent::outage::Cause;

use super::build::{
    OTHER, PROVIDER, endpoint, plain_http, shown_by_heartbeats, shown_by_probes,
    shown_once_a_minute,
};
use crate::play::{addresses::RESOLVER_V4, fault::Fault, rows::Row};

/// All rows, in the order of the table.
pub(super) fn rows() -> Vec<Row> {
    use Fault::{NamesLie, NamesSilent, Portal, PortalAcceptsAll, PortalSaysOk, RouterNamesSilent};
    vec![
        shown_by_heartbeats(
            "dns-silent",
            "The name servers are dead.",
            NamesSilent,
            Cause::Dns,
            PROVIDER,
        ),
        shown_by_heartbeats("dns-lies", "The name server lies.", NamesLie, Cause::Dns, PROVIDER),
        shown_by_probes(
            "portal",
            "A login page answers plain HTTP; the rest is dropped.",
            Portal,
            Cause::CaptivePortal,
            OTHER,
        ),
        shown_by_heartbeats(
            "portal-accepts",
            "A login page accepts every connection.",
            PortalAcceptsAll,
            Cause::CaptivePortal,
            OTHER,
        ),
        shown_once_a_minute(
            "dns-silent-local",
            "The name servers are dead, and there are no heartbeats.",
            NamesSilent,
            Cause::Dns,
            PROVIDER,
        ),
        shown_once_a_minute(
            "dns-lies-local",
            "The name server lies, and there are no heartbeats.",
            NamesLie,
            Cause::Dns,
            PROVIDER,
        ),
        shown_once_a_minute(
            "portal-acc-local",
            "A login page accepts every connection, and there are no heartbeats.",
            PortalAcceptsAll,
            Cause::CaptivePortal,
            OTHER,
        ),
        // The agent queries a configured name server in place of the system's, so DNS is not the cause.
        endpoint(
            "dns-other",
            "The device's name servers are dead, and the one that is set for the agent works.",
            RouterNamesSilent,
            Cause::Endpoint,
        )
        .with(|failure| {
            failure.adjust = |settings| settings.resolver = Some(RESOLVER_V4.to_string());
        }),
        shown_by_probes(
            "portal-says-ok",
            "A login page answers 200, to heartbeats by plain HTTP too.",
            PortalSaysOk,
            Cause::CaptivePortal,
            OTHER,
        )
        .with(plain_http),
    ]
}
