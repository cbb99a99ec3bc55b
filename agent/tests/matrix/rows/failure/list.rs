//! The rows of everything that breaks and is repaired.

use std::time::Duration;

use ispmon_agent::outage::{Cause, Party, Scope};

use super::{Failure, Witness};
use crate::play::{
    agent::Settings,
    endpoint::{Certificate, Reply},
    fault::Fault,
    finding::Expected,
    rows::{Play, Row},
};

const YOURS: Option<Party> = Some(Party::Yours);
const PROVIDER: Option<Party> = Some(Party::Provider);
const OTHER: Option<Party> = Some(Party::Other);

/// Nothing but the defaults.
fn defaults(_full: bool) -> Settings {
    Settings::default()
}

/// A probe each second.
fn hasty(_full: bool) -> Settings {
    Settings { probe: Duration::from_secs(1), ..Settings::default() }
}

/// A heartbeat every 5 s that may take 8 s, so that a failed one does not have to be waited for.
fn beating(full: bool) -> Settings {
    if full {
        return Settings::default();
    }
    Settings {
        heartbeat: Duration::from_secs(5),
        timeout: Duration::from_secs(8),
        ..Settings::default()
    }
}

/// The same, with less time for the clock to be set after the start.
fn beating_soon(full: bool) -> Settings {
    let settle = if full { Duration::from_mins(1) } else { Duration::from_secs(10) };
    Settings { settle, ..beating(full) }
}

const BEATING: &str = "heartbeat every 5 s, for at most 8 s";

/// A row whose failure the probes show.
fn probed(
    name: &'static str,
    title: &'static str,
    fault: Fault,
    cause: Cause,
    party: Option<Party>,
) -> Row {
    let lasts = [Duration::from_secs(20), Duration::from_mins(1)];
    let expected = Expected { cause, party, scope: Scope::Internet };
    let failure = Failure {
        habit: None,
        tunnel: false,
        fault,
        expected,
        witness: Witness::Probes,
        ends_with_beat: false,
        settings: defaults,
        lasts,
    };
    Row { name, title, scaled: "", seconds: [40, 80], play: Play::Failure(failure) }
}

/// A row whose failure heartbeats show.
fn beaten(
    name: &'static str,
    title: &'static str,
    fault: Fault,
    cause: Cause,
    party: Option<Party>,
) -> Row {
    let mut row = probed(name, title, fault, cause, party);
    row.scaled = BEATING;
    row.seconds = [60, 300];
    row.change(|failure| {
        failure.witness = Witness::Beat;
        failure.settings = beating;
        failure.lasts = [Duration::from_secs(25), Duration::from_secs(150)];
    });
    row
}

/// A row in which the endpoint alone is broken.
fn endpoint(name: &'static str, title: &'static str, fault: Fault, cause: Cause) -> Row {
    let party = cause.party(Party::Other);
    let mut row = beaten(name, title, fault, cause, party);
    row.change(|failure| {
        failure.witness = Witness::TwoBeats;
        failure.ends_with_beat = true;
        failure.expected.scope = Scope::Heartbeat;
    });
    row
}

impl Row {
    fn change(&mut self, change: impl FnOnce(&mut Failure)) {
        if let Play::Failure(failure) = &mut self.play {
            change(failure);
        }
    }

    /// Plays it in full only, because what it shows takes its time with any settings.
    fn only_in_full(mut self, seconds: u32) -> Self {
        self.seconds = [0, seconds];
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Failure)) -> Self {
        self.change(change);
        self
    }
}

/// All of them, in the order of the table.
pub(in crate::play::rows) fn rows() -> Vec<Row> {
    [line(), parts(), names_and_portals(), endpoints()].into_iter().flatten().collect()
}

/// The line, as a whole.
fn line() -> Vec<Row> {
    use Fault::{
        CablePulled, IspRejects, IspSilent, NoAddress, RouterDead, RouterDeadButKnown, RouterDeaf,
        RouterResets,
    };
    vec![
        probed("cable", "The cable is pulled.", CablePulled, Cause::Link, YOURS),
        probed("no-address", "The device loses its addresses.", NoAddress, Cause::Link, YOURS),
        probed("gateway", "The router dies.", RouterDead, Cause::Gateway, YOURS),
        probed(
            "gateway-known",
            "The router dies, but its entry in the neighbour table stays.",
            RouterDeadButKnown,
            Cause::Gateway,
            YOURS,
        ),
        probed(
            "gateway-deaf",
            "The line dies behind a router that never answers probes.",
            IspSilent,
            Cause::Isp,
            PROVIDER,
        )
        .with(|failure| failure.habit = Some(RouterDeaf)),
        probed("isp", "The provider swallows everything.", IspSilent, Cause::Isp, PROVIDER),
        probed("isp-hasty", "The same with a probe each second.", IspSilent, Cause::Isp, PROVIDER)
            .with(|failure| failure.settings = hasty),
        probed(
            "isp-rejects",
            "The provider refuses everything by ICMP.",
            IspRejects,
            Cause::Isp,
            PROVIDER,
        ),
        probed(
            "resets",
            "The router answers with TCP resets for the dead internet.",
            RouterResets,
            Cause::Isp,
            PROVIDER,
        ),
    ]
}

/// A part of the line, or what lies over it.
fn parts() -> Vec<Row> {
    use Fault::{IspSilentFor, TunnelDead};
    vec![
        probed(
            "ipv6",
            "IPv6 alone dies at the provider.",
            IspSilentFor("ipv6"),
            Cause::Isp,
            PROVIDER,
        )
        .with(|failure| failure.expected.scope = Scope::Ipv6),
        probed(
            "ipv4",
            "IPv4 alone dies at the provider.",
            IspSilentFor("ipv4"),
            Cause::Isp,
            PROVIDER,
        )
        .with(|failure| failure.expected.scope = Scope::Ipv4),
        probed("tunnel", "The tunnel dies, the line is up.", TunnelDead, Cause::Vpn, YOURS)
            .with(|failure| failure.tunnel = true),
    ]
}

/// What stands between names and addresses, or between the device and the internet.
fn names_and_portals() -> Vec<Row> {
    use Fault::{NamesLie, NamesSilent, Portal, PortalAcceptsAll};
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
    ]
}

/// The endpoint alone.
fn endpoints() -> Vec<Row> {
    use Fault::{Endpoint, EndpointNameGone, EndpointRefuses, EndpointShows};
    vec![
        endpoint(
            "endpoint-refuses",
            "The endpoint refuses connections.",
            EndpointRefuses,
            Cause::Endpoint,
        ),
        endpoint(
            "endpoint-hangs",
            "The endpoint does not answer.",
            Endpoint(Reply::Silence),
            Cause::Endpoint,
        ),
        endpoint(
            "endpoint-gone",
            "The endpoint's name does not exist any more.",
            EndpointNameGone,
            Cause::Endpoint,
        ),
        endpoint(
            "endpoint-500",
            "The endpoint answers 500.",
            Endpoint(Reply::Status(500)),
            Cause::Endpoint,
        ),
        endpoint(
            "endpoint-401",
            "The endpoint answers 401 for a minute.",
            Endpoint(Reply::Status(401)),
            Cause::Endpoint,
        ),
        endpoint(
            "tls-name",
            "The endpoint shows a certificate of another name.",
            EndpointShows(Certificate::WrongName),
            Cause::Endpoint,
        ),
        endpoint(
            "tls-expired",
            "The endpoint shows an expired certificate.",
            EndpointShows(Certificate::Expired),
            Cause::Endpoint,
        ),
        endpoint(
            "tls-untrusted",
            "The endpoint shows a certificate that nobody vouches for.",
            EndpointShows(Certificate::Untrusted),
            Cause::Endpoint,
        ),
        endpoint(
            "tls-future",
            "The endpoint's certificate is not valid yet, by the device's clock.",
            EndpointShows(Certificate::NotYetValid),
            Cause::Clock,
        )
        .with(|failure| {
            failure.witness = Witness::Beat;
            failure.settings = beating_soon;
        }),
        endpoint(
            "credentials",
            "The endpoint answers 401 for 30 minutes.",
            Endpoint(Reply::Status(401)),
            Cause::Credentials,
        )
        .only_in_full(1_950)
        .with(|failure| failure.lasts = [Duration::from_mins(30); 2]),
    ]
}
