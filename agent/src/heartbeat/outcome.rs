//! What came of one heartbeat.

use std::{fmt, net::IpAddr, time::Duration};

use jiff::Timestamp;
use reqwest::StatusCode;

use super::failure::{Failure, FailureKind};
use crate::{duration::Readable, probe::Family};

/// What came of one heartbeat. Its Display is a sentence for people, without any secret.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The other side answered with a status of the 200s.
    Delivered {
        /// The address that the cloud saw the heartbeat come from, when the answer names it.
        client_address: Option<IpAddr>,
        /// Whether an alert rule watches this device, when the answer says so.
        expected: Option<bool>,
        /// The time of the other side's clock, in whole seconds, when the answer names it.
        date: Option<Timestamp>,
        /// How it travelled.
        way: Way,
        /// The time from the first look-up to the answer's head.
        took: Duration,
    },
    /// The other side answered, but with another status: the line works, the heartbeat does not
    /// count.
    Refused {
        /// The status of the answer.
        status: u16,
        /// How long the other side asks to be left alone, as it said it: unbounded.
        retry_after: Option<Duration>,
        /// The time from the first look-up to the answer's head.
        took: Duration,
    },
    /// No answer came.
    Failed(Failure),
}

/// How a heartbeat travelled, and so what it proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Over the internet by this address family: both work.
    Internet(Family),
    /// Over the internet by a family that nobody knows: through a proxy, or the system does not say.
    Unknown,
    /// To this machine or to one in its own network, which proves nothing about the internet.
    Nearby,
}

impl Way {
    /// The way to a peer without a proxy. Nearby are loopback, link-local and private addresses
    /// (RFC 1918, RFC 3927, RFC 4193).
    pub fn to(peer: IpAddr) -> Self {
        let is_nearby = match peer.to_canonical() {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
            IpAddr::V6(v6) => {
                v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unique_local()
            }
        };
        if is_nearby { Self::Nearby } else { Self::Internet(Family::of(peer)) }
    }

    /// The family, when it is known.
    pub fn family(self) -> Option<Family> {
        match self {
            Self::Internet(family) => Some(family),
            Self::Unknown | Self::Nearby => None,
        }
    }
}

impl Outcome {
    /// The time from the first look-up to the answer's head, or to the failure.
    pub fn took(&self) -> Duration {
        match self {
            Self::Delivered { took, .. } | Self::Refused { took, .. } => *took,
            Self::Failed(failure) => failure.took,
        }
    }

    /// What the person who reads the sentence can do about it, as a sentence, when there is such a
    /// thing.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Delivered { .. } => None,
            Self::Refused { status, .. } => match status {
                300..=399 => Some(
                    "Redirects are not followed: set `heartbeat.url` to the final address, or \
                     sign in if this network has a login page.",
                ),
                401 | 403 => Some(
                    "Check the function key, or the whole URL if it is a plain heartbeat. An app \
                     that is just starting may answer so too.",
                ),
                404 | 405 => Some(
                    "Check the path of `heartbeat.url`. An app that is just starting may answer \
                     so too.",
                ),
                _ => None,
            },
            Self::Failed(failure) => match failure.kind {
                FailureKind::NameUnknown => Some("Check the host name in `heartbeat.url`."),
                FailureKind::ConnectForbidden => Some(
                    "Check the firewall of this device, that of the router, and the sandbox of \
                     the agent's service.",
                ),
                FailureKind::ProxyRefused => Some("Check the proxy settings in the environment."),
                FailureKind::TlsExpired | FailureKind::TlsNotYetValid => {
                    Some("Check the clock of this device.")
                }
                FailureKind::TlsUntrusted => Some(
                    "Either something on this network reads encrypted traffic, or this system's \
                     list of trusted roots lacks one.",
                ),
                FailureKind::TlsWrongName => Some(
                    "Check the host name in `heartbeat.url`; a login page of this network may \
                     answer in its place.",
                ),
                _ => None,
            },
        }
    }
}

impl fmt::Display for Outcome {
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
            Self::Refused { status, retry_after, .. } => {
                write!(formatter, "Heartbeat refused: the answer was {}", Status(*status))?;
                match retry_after {
                    Some(wait) => write!(formatter, ", to be tried again in {}.", Readable(*wait)),
                    None => formatter.write_str("."),
                }
            }
            Self::Failed(failure) => failure.fmt(formatter),
        }
    }
}

/// A status with its standard name, such as `401 Unauthorized`.
struct Status(u16);

impl fmt::Display for Status {
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

    fn refused(status: u16, retry_after: Option<Duration>) -> Outcome {
        Outcome::Refused { status, retry_after, took: Duration::ZERO }
    }

    #[test]
    fn what_goes_to_the_own_network_proves_nothing_about_the_internet() {
        let way = |peer: &str| Way::to(peer.parse().expect("an address"));
        for nearby in [
            "127.0.0.1",
            "::1",
            "192.168.1.7",
            "10.0.0.2",
            "172.16.5.5",
            "169.254.1.1",
            "fe80::1",
            "fd00::1",
            "::ffff:192.168.1.7",
        ] {
            assert_eq!(way(nearby), Way::Nearby, "{nearby}");
        }
        assert_eq!(way("20.50.60.70"), Way::Internet(Family::Ipv4));
        assert_eq!(way("2603:1020::70"), Way::Internet(Family::Ipv6));
        assert_eq!(Way::Internet(Family::Ipv6).family(), Some(Family::Ipv6));
    }

    #[test]
    fn each_outcome_is_a_sentence() {
        let delivered = Outcome::Delivered {
            client_address: Some("203.0.113.7".parse().expect("an address")),
            expected: None,
            date: None,
            way: Way::Unknown,
            took: Duration::from_millis(132),
        };
        insta::assert_snapshot!(delivered, @"Heartbeat delivered in 132 ms; the cloud saw it come from 203.0.113.7.");
        insta::assert_snapshot!(refused(401, None), @"Heartbeat refused: the answer was 401 Unauthorized.");
        insta::assert_snapshot!(refused(599, None), @"Heartbeat refused: the answer was 599.");
        insta::assert_snapshot!(
            refused(429, Some(Duration::from_secs(90))),
            @"Heartbeat refused: the answer was 429 Too Many Requests, to be tried again in 1 min 30 s."
        );
    }

    #[test]
    fn advice_is_given_where_the_reader_can_do_something() {
        assert!(refused(302, None).advice().is_some_and(|advice| advice.contains("Redirects")));
        assert!(refused(401, None).advice().is_some_and(|advice| advice.contains("key")));
        assert!(refused(404, None).advice().is_some_and(|advice| advice.contains("path")));
        assert_eq!(refused(503, None).advice(), None);
    }
}
