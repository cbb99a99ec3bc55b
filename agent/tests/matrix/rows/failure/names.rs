//! What stands between names and addresses, or between the device and the internet.

use ispmon_agent::outage::Cause;

use super::build::{OTHER, PROVIDER, beaten, endpoint, minutely, plain_http, probed};
use crate::play::{addresses::RESOLVER_V4, fault::Fault, rows::Row};

/// All of them, in the order of the table.
pub(super) fn rows() -> Vec<Row> {
    use Fault::{NamesLie, NamesSilent, Portal, PortalAcceptsAll, PortalSaysOk, RouterNamesSilent};
    vec![
        beaten("dns-silent", "The name servers are dead.", NamesSilent, Cause::Dns, PROVIDER),
        beaten("dns-lies", "The name server lies.", NamesLie, Cause::Dns, PROVIDER),
        probed(
            "portal",
            "A login page answers, and swallows the rest.",
            Portal,
            Cause::CaptivePortal,
            OTHER,
        ),
        beaten(
            "portal-accepts",
            "A login page accepts every connection.",
            PortalAcceptsAll,
            Cause::CaptivePortal,
            OTHER,
        ),
        minutely(
            "dns-silent-local",
            "The name servers are dead, and there are no heartbeats.",
            NamesSilent,
            Cause::Dns,
            PROVIDER,
        ),
        minutely(
            "dns-lies-local",
            "The name server lies, and there are no heartbeats.",
            NamesLie,
            Cause::Dns,
            PROVIDER,
        ),
        minutely(
            "portal-acc-local",
            "A login page accepts every connection, and there are no heartbeats.",
            PortalAcceptsAll,
            Cause::CaptivePortal,
            OTHER,
        ),
        // Who names a server has it asked in place of the system's, so names are not what failed.
        endpoint(
            "dns-other",
            "The device's name servers are dead, and the one that is set for the agent lives.",
            RouterNamesSilent,
            Cause::Endpoint,
        )
        .with(|failure| {
            failure.adjust = |settings| settings.resolver = Some(RESOLVER_V4.to_string());
        }),
        probed(
            "portal-says-ok",
            "A login page answers 200, to heartbeats by plain HTTP too.",
            PortalSaysOk,
            Cause::CaptivePortal,
            OTHER,
        )
        .with(plain_http),
    ]
}
