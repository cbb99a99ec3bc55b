//! The outcome of one heartbeat, its proof about the connection, and its sentence and advice for users.

use std::{fmt, net::IpAddr, time::Duration};

use jiff::Timestamp;
use reqwest::StatusCode;

use super::failure::{FailureKind, HeartbeatFailure};
use crate::{
    duration::Readable,
    printable::shortened,
    probe::{Family, LinkAnswer, Route, link},
};

/// How many characters of an unexpected answer a sentence shows.
const SHOWN_CHARACTERS: usize = 60;

/// The outcome of one heartbeat. Its Display is a sentence for users, without any secret.
#[derive(Clone, Debug, PartialEq)]
pub enum HeartbeatOutcome {
    /// The server answered with a 2xx and the expected body.
    Delivered {
        /// The source address of the heartbeat as the cloud saw it, if the answer contains it.
        client_address: Option<IpAddr>,
        /// Whether an alert rule expects this device, if the answer states it.
        expected: Option<bool>,
        /// The time of the server's clock, in whole seconds, if the answer is proof and its date is
        /// plausible: any host on the path can forge the date of an answer that is no proof.
        date: Option<Timestamp>,
        /// The proof of the answer ([`HeartbeatOutcome::proof`]).
        proof: Option<NetworkPath>,
        /// The time from the start of the lookup to the end of the answer.
        took: Duration,
    },
    /// The server answered, but not as expected: the heartbeat does not count.
    Refused {
        /// The status of the answer.
        status: u16,
        /// The reason.
        refusal: AnswerRefusal,
        /// The answer's `Retry-After`, unbounded.
        retry_after: Option<Duration>,
        /// The proof of the answer ([`HeartbeatOutcome::proof`]).
        proof: Option<NetworkPath>,
        /// The time from the start of the lookup to the end of the answer.
        took: Duration,
    },
    /// No answer came.
    Failed(HeartbeatFailure),
}

/// Why an answer does not count as a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerRefusal {
    /// Its status is not the expected one, such as a 4xx.
    Status,
    /// Azure answered for an app that is stopped.
    AppStopped,
    /// Its status is the expected one, but not its body: a service that does not know this device, or a
    /// login page.
    OtherAnswer {
        /// The expected body, as a phrase.
        expected: String,
        /// The beginning of the body, safe to print; empty if the body is empty.
        answer: String,
    },
}

impl AnswerRefusal {
    /// The refusal of an answer with the body `answer` instead of `expected`.
    pub(super) fn other_answer(expected: impl Into<String>, answer: &str) -> Self {
        let answer = shortened(answer.trim(), SHOWN_CHARACTERS);
        Self::OtherAnswer { expected: expected.into(), answer }
    }
}

/// An outcome without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutcomeKind {
    /// The server accepted the heartbeat.
    Delivered,
    /// The server answered with this status, which is not the expected one.
    Refused(u16),
    /// Azure answered for an app that is stopped, so the key was not checked.
    AppStopped,
    /// The server answered with the expected status, but another body.
    OtherAnswer,
    /// No answer came.
    Failed(FailureKind),
}

impl OutcomeKind {
    /// Whether it failed because the host name could not be looked up.
    pub fn hints_at_dns(self) -> bool {
        use FailureKind::{NameUnknown, ResolveFailed, ResolveTimeout};
        matches!(self, Self::Failed(NameUnknown | ResolveFailed | ResolveTimeout))
    }

    /// Whether it failed because the server's certificate is not valid yet by this device's clock.
    pub fn hints_at_clock(self) -> bool {
        matches!(self, Self::Failed(FailureKind::TlsNotYetValid))
    }

    /// Whether the server refuses this device. An app that is just starting gives the same answers.
    pub fn refuses_device(self) -> bool {
        matches!(self, Self::Refused(401 | 403 | 404))
    }

    /// The name in the journal.
    pub fn journal_name(self) -> String {
        match self {
            Self::Delivered => "delivered".to_owned(),
            Self::Refused(status) => format!("status_{status}"),
            Self::AppStopped => "app_stopped".to_owned(),
            Self::OtherAnswer => "other_answer".to_owned(),
            Self::Failed(kind) => kind.as_str().to_owned(),
        }
    }
}

/// The path of an answer, which decides what the answer proves if its certificate was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkPath {
    /// Over the internet by this address family: the internet and the family work.
    Internet(Family),
    /// Over the internet by an unknown family: through a proxy, or from one of several addresses of both
    /// families.
    Unknown,
    /// From this machine or its local network, which proves nothing about the internet.
    Nearby,
}

impl NetworkPath {
    /// The path to a peer without a proxy, by the kernel's present route to it.
    pub fn to(peer: IpAddr) -> Self {
        Self::by_routes(peer, &link::link_to(peer), || link::link_to(internet_address(peer)))
    }

    /// Nearby are loopback, link-local, private and shared addresses (RFC 1918, RFC 3927, RFC 4193,
    /// RFC 6598), and addresses that the kernel reaches without a gateway, except through a tunnel, or on
    /// an interface on which it needs none for the internet either: a point-to-point connection such as
    /// PPP reaches everything like that. `link` is the route to `peer`, `rest` the one to the internet.
    fn by_routes(peer: IpAddr, link: &LinkAnswer, rest: impl FnOnce() -> LinkAnswer) -> Self {
        let is_own_network = match peer.to_canonical() {
            IpAddr::V4(v4) => {
                let [first, second, ..] = v4.octets();
                let is_shared = first == 100 && second & 0xc0 == 64;
                v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_shared
            }
            IpAddr::V6(v6) => {
                v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unique_local()
            }
        };
        let is_on_link = |route: &Route| route.gateway.is_none() && !route.tunnel;
        let is_nearby = is_own_network
            || link.route().is_some_and(|route| {
                is_on_link(route)
                    && rest().route().is_none_or(|rest| {
                        rest.gateway.is_some() || rest.interface != route.interface
                    })
            });
        if is_nearby { Self::Nearby } else { Self::Internet(Family::of(peer)) }
    }

    /// The common part of the paths to `peers`, one of which was used; `None` if there are none.
    pub(super) fn common_path(peers: &[IpAddr]) -> Option<Self> {
        let mut ways = peers.iter().map(|peer| Self::to(*peer));
        let first = ways.next()?;
        Some(ways.fold(first, |common, way| match (common, way) {
            _ if common == way => way,
            (Self::Nearby, _) | (_, Self::Nearby) => Self::Nearby,
            _ => Self::Unknown,
        }))
    }

    /// The family, when it is known.
    pub fn family(self) -> Option<Family> {
        match self {
            Self::Internet(family) => Some(family),
            Self::Unknown | Self::Nearby => None,
        }
    }
}

/// An address on the internet in the family of `peer`, for a route lookup; nothing is sent there. Any
/// address will do for which no machine has a specific route.
fn internet_address(peer: IpAddr) -> IpAddr {
    match Family::of(peer) {
        Family::Ipv4 => IpAddr::V4(std::net::Ipv4Addr::new(1, 1, 1, 1)),
        Family::Ipv6 => {
            IpAddr::V6(std::net::Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111))
        }
    }
}

impl HeartbeatOutcome {
    /// The outcome without its details.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Delivered { .. } => OutcomeKind::Delivered,
            Self::Refused { status, refusal, .. } => match refusal {
                AnswerRefusal::Status => OutcomeKind::Refused(*status),
                AnswerRefusal::AppStopped => OutcomeKind::AppStopped,
                AnswerRefusal::OtherAnswer { .. } => OutcomeKind::OtherAnswer,
            },
            Self::Failed(failure) => OutcomeKind::Failed(failure.kind),
        }
    }

    /// Whether the server accepted it.
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Delivered { .. })
    }

    /// The path that it proves to work. `None` unless the server proved its identity by a verified
    /// certificate, whatever it then answered. A certificate whose only fault is that it is not valid yet
    /// by this device's clock is proof too, although such a heartbeat fails.
    pub fn proof(&self) -> Option<NetworkPath> {
        match self {
            Self::Delivered { proof, .. } | Self::Refused { proof, .. } => *proof,
            Self::Failed(failure) => failure.proof,
        }
    }

    /// The time from the start of the lookup to the end of the answer, or to the failure.
    pub fn took(&self) -> Duration {
        match self {
            Self::Delivered { took, .. } | Self::Refused { took, .. } => *took,
            Self::Failed(failure) => failure.took,
        }
    }

    /// Why the message was not delivered, as the end of a sentence.
    pub fn reason(&self) -> impl fmt::Display {
        Reason(self)
    }

    /// A sentence with what the user can do about it; `None` if nothing.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Delivered { .. } => None,
            Self::Refused { status, refusal, .. } => match (refusal, status) {
                (AnswerRefusal::AppStopped, _) => Some(
                    "Start it: in the Azure portal, or with `az functionapp start`. The function key \
                     has nothing to do with it.",
                ),
                (AnswerRefusal::OtherAnswer { .. }, _) => Some(
                    "Check `heartbeat.url`: the other side does not know it, or a login page of this \
                     network answered in its place.",
                ),
                (AnswerRefusal::Status, 300..=399) => Some(
                    "Redirects are not followed: set `heartbeat.url` to the final address, or \
                     sign in if this network has a login page.",
                ),
                (AnswerRefusal::Status, 401 | 403) => Some(
                    "Check the function key, which a service gets only when it starts, or the whole URL if it \
                     is a plain heartbeat. An app that is just starting may answer so too.",
                ),
                (AnswerRefusal::Status, 404 | 405) => Some(
                    "Check the path of `heartbeat.url`. An app that is just starting may answer \
                     so too.",
                ),
                (AnswerRefusal::Status, 407) => Some(PROXY_ADVICE),
                (AnswerRefusal::Status, _) => None,
            },
            Self::Failed(failure) => failure_advice(failure),
        }
    }

    /// The same for a hand-over, which is tried only while heartbeats are delivered, so that the
    /// heartbeat URL is known to be right.
    pub fn hand_over_advice(&self) -> Option<&'static str> {
        match self {
            Self::Refused { refusal: AnswerRefusal::Status, status: 401 | 403, .. } => Some(
                "Check the function key: a key of the app (a host key) opens both addresses, that of one \
                 function only its own.",
            ),
            Self::Refused { refusal: AnswerRefusal::OtherAnswer { .. }, .. }
            | Self::Refused {
                refusal: AnswerRefusal::Status, status: 200..=400 | 404 | 405, ..
            } => Some(
                "Heartbeats arrive, but the address beside theirs, which ends in `outages`, is not \
                     that of ispmon's function, or something on the way answers in its place.",
            ),
            _ => self.advice(),
        }
    }
}

const PROXY_ADVICE: &str = "Check the proxy in the agent's environment (https_proxy, http_proxy or \
                            all_proxy), or take it out of there.";

fn failure_advice(failure: &HeartbeatFailure) -> Option<&'static str> {
    use FailureKind as Kind;

    match failure.kind {
        Kind::ResolveTimeout
        | Kind::NameUnknown
        | Kind::ResolveFailed
        | Kind::ConnectRefused
        | Kind::HostUnreachable
        | Kind::ConnectTimeout
        | Kind::ConnectFailed
        | Kind::ProxyRefused
            if failure.is_proxy_failure =>
        {
            Some(PROXY_ADVICE)
        }
        Kind::ProxyRefused => Some(PROXY_ADVICE),
        Kind::NameUnknown => Some("Check the host name in `heartbeat.url`."),
        Kind::ConnectForbidden => Some(
            "Check the firewall of this device, that of the router, and the sandbox of the agent's \
             service.",
        ),
        Kind::TlsExpired | Kind::TlsNotYetValid => Some("Check the clock of this device."),
        Kind::TlsUntrusted => Some(
            "Either something on this network reads encrypted traffic, or this system's list of \
             trusted roots lacks one.",
        ),
        Kind::TlsWrongName => Some(
            "Check the host name in `heartbeat.url`; a login page of this network may answer in its \
             place.",
        ),
        Kind::TlsCertificate => Some(
            "The server needs another certificate; a login page of this network may answer in its \
             place.",
        ),
        _ => None,
    }
}

impl fmt::Display for HeartbeatOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered { client_address: Some(address), took, .. } => write!(
                formatter,
                "Heartbeat delivered in {}; the cloud saw it come from {address}.",
                Readable(*took)
            ),
            Self::Delivered { took, .. } => {
                write!(formatter, "Heartbeat delivered in {}.", Readable(*took))
            }
            Self::Refused { .. } => write!(formatter, "Heartbeat refused: {}.", self.reason()),
            Self::Failed(failure) => failure.fmt(formatter),
        }
    }
}

/// Why a message was not delivered.
struct Reason<'a>(&'a HeartbeatOutcome);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            HeartbeatOutcome::Delivered { .. } => formatter.write_str("it was delivered"),
            HeartbeatOutcome::Refused { status, refusal, retry_after, .. } => {
                write!(formatter, "the answer was {}", HttpStatus(*status))?;
                match refusal {
                    AnswerRefusal::Status => {}
                    AnswerRefusal::AppStopped => {
                        formatter.write_str(", because the app is stopped")?;
                    }
                    AnswerRefusal::OtherAnswer { expected, answer } if answer.is_empty() => {
                        write!(formatter, ", but empty in place of {expected}")?;
                    }
                    AnswerRefusal::OtherAnswer { expected, answer } => {
                        write!(formatter, ", but \"{answer}\" in place of {expected}")?;
                    }
                }
                match retry_after {
                    Some(wait) => write!(formatter, ", and asks to wait {}", Readable(*wait)),
                    None => Ok(()),
                }
            }
            HeartbeatOutcome::Failed(failure) => formatter.write_str(failure.reason()),
        }
    }
}

/// A status with its standard name, such as `401 Unauthorized`.
struct HttpStatus(u16);

impl fmt::Display for HttpStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let status = StatusCode::from_u16(self.0).ok();
        match status.and_then(|status| status.canonical_reason()) {
            Some(reason) => write!(formatter, " {reason}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::tests::{refused, refused_with};

    fn routed(interface: &str, gateway: Option<&str>, tunnel: bool) -> LinkAnswer {
        let gateway = gateway.map(|gateway| gateway.parse().expect("an address"));
        let interface = interface.to_owned();
        LinkAnswer::Routed(Route {
            interface,
            index: 2,
            source: None,
            gateway,
            gateway_mac: None,
            tunnel,
        })
    }

    #[test]
    fn addresses_of_the_local_network_are_nearby() {
        let by_router = || routed("eth0", Some("192.168.1.1"), false);
        let way = |peer: &str| {
            NetworkPath::by_routes(
                peer.parse().expect("an address"),
                &by_router(),
                || unreachable!(),
            )
        };
        for nearby in [
            "127.0.0.1",
            "::1",
            "192.168.1.7",
            "10.0.0.2",
            "172.16.5.5",
            "169.254.1.1",
            "100.64.0.9",
            "100.127.255.1",
            "fe80::1",
            "fd00::1",
            "::ffff:192.168.1.7",
        ] {
            assert_eq!(way(nearby), NetworkPath::Nearby, "{nearby}");
        }
        assert_eq!(way("20.50.60.70"), NetworkPath::Internet(Family::Ipv4));
        assert_eq!(way("100.128.0.1"), NetworkPath::Internet(Family::Ipv4));
        assert_eq!(way("2603:1020::70"), NetworkPath::Internet(Family::Ipv6));
        assert_eq!(NetworkPath::Internet(Family::Ipv6).family(), Some(Family::Ipv6));
    }

    #[test]
    fn a_global_address_is_nearby_if_it_needs_no_gateway_and_the_internet_does() {
        let on_link = |interface| routed(interface, None, false);
        let by_router = |interface| routed(interface, Some("fe80::1"), false);
        for (link, rest, expected) in [
            (on_link("eth0"), by_router("eth0"), NetworkPath::Nearby),
            // This machine itself.
            (on_link("lo"), by_router("eth0"), NetworkPath::Nearby),
            (on_link("eth0"), LinkAnswer::NoRoute, NetworkPath::Nearby),
            (on_link("eth0"), on_link("wwan0"), NetworkPath::Nearby),
            // A point-to-point interface that carries all traffic.
            (on_link("ppp0"), on_link("ppp0"), NetworkPath::Internet(Family::Ipv6)),
            (routed("wg0", None, true), by_router("eth0"), NetworkPath::Internet(Family::Ipv6)),
            (by_router("eth0"), by_router("eth0"), NetworkPath::Internet(Family::Ipv6)),
            // The route was removed after the answer came.
            (LinkAnswer::NoRoute, LinkAnswer::NoRoute, NetworkPath::Internet(Family::Ipv6)),
        ] {
            let peer = "2001:db8::7".parse().expect("an address");
            assert_eq!(
                NetworkPath::by_routes(peer, &link, || rest.clone()),
                expected,
                "{link:?} {rest:?}"
            );
        }
    }

    #[test]
    fn a_path_that_may_be_nearby_counts_as_nearby() {
        let common = |peers: &[&str]| {
            let peers: Vec<IpAddr> =
                peers.iter().map(|peer| peer.parse().expect("an address")).collect();
            NetworkPath::common_path(&peers)
        };
        assert_eq!(common(&[]), None);
        assert_eq!(common(&["127.0.0.1"]), Some(NetworkPath::Nearby));
        assert_eq!(common(&["192.168.1.7", "127.0.0.1"]), Some(NetworkPath::Nearby));
    }

    #[test]
    fn each_outcome_is_a_sentence() {
        let delivered = HeartbeatOutcome::Delivered {
            client_address: Some("203.0.113.7".parse().expect("an address")),
            expected: None,
            date: None,
            proof: Some(NetworkPath::Unknown),
            took: Duration::from_millis(132),
        };
        insta::assert_snapshot!(delivered, @"Heartbeat delivered in 132 ms; the cloud saw it come from 203.0.113.7.");
        insta::assert_snapshot!(refused(401, None), @"Heartbeat refused: the answer was 401 Unauthorized.");
        insta::assert_snapshot!(refused(599, None), @"Heartbeat refused: the answer was 599.");
        insta::assert_snapshot!(
            refused(429, Some(Duration::from_secs(90))),
            @"Heartbeat refused: the answer was 429 Too Many Requests, and asks to wait 1 min 30 s."
        );
        insta::assert_snapshot!(
            refused_with(403, AnswerRefusal::AppStopped, None),
            @"Heartbeat refused: the answer was 403 Forbidden, because the app is stopped."
        );
        for (answer, sentence) in [
            (
                "OK (not found)",
                "Heartbeat refused: the answer was 200 OK, but \"OK (not found)\" in place of \"OK\".",
            ),
            ("", "Heartbeat refused: the answer was 200 OK, but empty in place of \"OK\"."),
            (
                "\u{1b}[2J<html>\n<title>Please log in to the wireless network of this hotel, then go on",
                "Heartbeat refused: the answer was 200 OK, but \"[2J<html><title>Please log in to the \
                 wireless network of thi…\" in place of \"OK\".",
            ),
        ] {
            let outcome = refused_with(200, AnswerRefusal::other_answer("\"OK\"", answer), None);
            assert_eq!(outcome.to_string(), sentence);
        }
    }

    #[test]
    fn advice_is_given_where_the_user_can_do_something() {
        assert!(refused(302, None).advice().is_some_and(|advice| advice.contains("Redirects")));
        assert!(refused(401, None).advice().is_some_and(|advice| advice.contains("key")));
        assert!(refused(404, None).advice().is_some_and(|advice| advice.contains("path")));
        assert_eq!(refused(503, None).advice(), None);
        let stopped = refused_with(403, AnswerRefusal::AppStopped, None);
        assert!(stopped.advice().is_some_and(|advice| advice.contains("az functionapp start")));
    }

    #[test]
    fn only_a_refusal_by_its_status_refuses_the_device() {
        let refused = |status, refusal| refused_with(status, refusal, None).kind();
        let other =
            AnswerRefusal::OtherAnswer { expected: "\"ok\"".to_owned(), answer: String::new() };
        for (outcome, word, refuses_device) in [
            (refused(403, AnswerRefusal::Status), "status_403", true),
            (refused(503, AnswerRefusal::Status), "status_503", false),
            (refused(403, AnswerRefusal::AppStopped), "app_stopped", false),
            (refused(200, other), "other_answer", false),
        ] {
            assert_eq!(
                (outcome.journal_name().as_str(), outcome.refuses_device()),
                (word, refuses_device)
            );
        }
    }
}
