//! What comes back from a probe.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{Family, Observation, ProbeKind};
use crate::clock::Stamp;

/// How an attempt to connect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Connect {
    /// The handshake was completed. Only this proves that an anchor is alive.
    Connected,
    /// A reset came back: from the host itself, or from a router or a portal in its name.
    Refused,
    /// The system or a router knows no way (`ENETUNREACH`, `EHOSTUNREACH`).
    Unreachable,
    /// Nothing came back in time.
    TimedOut,
    /// This device itself forbids it: a firewall or a sandbox (`EPERM`, `EACCES`).
    Forbidden,
    /// It failed in another way, for instance because the address went away meanwhile.
    Failed,
}

impl Connect {
    /// The word in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timeout",
            Self::Forbidden => "forbidden",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Connect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One attempt to connect, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Who was called.
    pub target: SocketAddr,
    /// When the attempt began.
    pub sent: Stamp,
    /// How long it took until it ended.
    pub took: Duration,
    /// How it ended.
    pub end: Connect,
}

/// How asking one anchor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnchorEnd {
    /// TLS was verified: the anchor proved itself.
    Proved,
    /// The handshake was completed, and no more was asked.
    Contact,
    /// It connected and proved nothing: TLS failed, was not trusted, named somebody else, or hung.
    Unproved,
    /// It is reached without a router: it proves nothing about the internet, whatever it answers.
    OnLink,
    /// A reset came back.
    Refused,
    /// The system or a router knows no way.
    Unreachable,
    /// Nothing came back in time.
    TimedOut,
    /// This device forbids it.
    Forbidden,
    /// A failure made on this device: the question counts as not asked.
    NotAsked(LocalFailure),
}

impl AnchorEnd {
    /// The word in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Contact => "connected",
            Self::Unproved => "connected_proved_nothing",
            Self::OnLink => "on_link",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timeout",
            Self::Forbidden => "forbidden",
            Self::NotAsked(_) => "not_asked",
        }
    }
}

/// Why this device could not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocalFailure {
    /// Too many files are open.
    NoDescriptors,
    /// The system has no memory for a socket.
    NoMemory,
    /// No port is free.
    NoPort,
    /// Something else.
    Other,
}

impl LocalFailure {
    /// The word in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoDescriptors => "no_descriptors",
            Self::NoMemory => "no_memory",
            Self::NoPort => "no_port",
            Self::Other => "other",
        }
    }

    /// What has failed.
    pub fn reason(self) -> &'static str {
        "this device could not open a network connection"
    }

    /// What to do about it.
    pub fn action(self) -> &'static str {
        "See the log of the kernel."
    }
}

/// What one anchor answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorAnswer {
    /// Who was asked.
    pub anchor: SocketAddr,
    /// When.
    pub sent: Stamp,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub end: AnchorEnd,
    /// Who sent a refusal, where the kernel tells.
    pub from: Option<IpAddr>,
    /// The anchor has a path of its own, so that its answer does not decide the family.
    pub own_path: bool,
}

impl AnchorAnswer {
    /// The answer as evidence for the journal.
    pub fn observation(&self, family: Family) -> Observation {
        let word = self.end.as_str();
        Observation {
            probe: ProbeKind::Tcp,
            target: self.anchor.to_string(),
            family: Some(family),
            answer: self.from.map_or_else(|| word.to_owned(), |from| format!("{word} by {from}")),
            ms: u64::try_from(self.took.as_millis()).ok(),
            at: self.sent,
        }
    }
}

/// How the kernel would send a packet to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The name of the interface that it would leave by, such as `eth0`.
    pub interface: String,
    /// The interface's number.
    pub index: u32,
    /// The address that it would leave from, when the kernel names one.
    pub source: Option<IpAddr>,
    /// The router that it would be handed to; `None` on a line without one (a tunnel, a modem).
    pub gateway: Option<IpAddr>,
    /// Whether the interface is a tunnel (WireGuard, TUN, IP in IP, utun …; not PPP), which says
    /// nothing about the line beneath it.
    pub tunnel: bool,
}

/// Whether, and how, the device could send to the anchors of one address family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// There is a route.
    Routed(Route),
    /// There is no route, although an interface is up and has an address.
    NoRoute,
    /// No interface that is up has an address of this family that reaches beyond the link.
    NoAddress,
    /// No interface has a carrier: the cable is out, or the Wi-Fi is not associated.
    NoCarrier,
    /// A rule or route of this device forbids it.
    Prohibited,
    /// The kernel could not be asked.
    Unknown,
}

impl Link {
    /// The word in the record.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Routed(_) => "routed",
            Self::NoRoute => "no_route",
            Self::NoAddress => "no_address",
            Self::NoCarrier => "no_carrier",
            Self::Prohibited => "prohibited",
            Self::Unknown => "unknown",
        }
    }

    /// The route, when there is one.
    pub fn route(&self) -> Option<&Route> {
        match self {
            Self::Routed(route) => Some(route),
            _ => None,
        }
    }
}

/// What the router said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gateway {
    /// It completed or refused a connection, or echoed: it is alive.
    Alive,
    /// It did not answer at all.
    Silent,
    /// The kernel's neighbour table says that nobody answers at its address any more (`FAILED`).
    Gone,
    /// There is none to ask, or the device may not.
    NotAsked,
}

impl Gateway {
    /// The word in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Silent => "silent",
            Self::Gone => "gone",
            Self::NotAsked => "not_asked",
        }
    }
}

/// What name servers said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dns {
    /// They answered as they should.
    Answered,
    /// Nothing came back.
    Silent,
    /// They answered, but with a failure (`SERVFAIL`, `REFUSED`), or could not be reached.
    Failed,
    /// They gave for our name an address that is nobody's, or one that they also give for a name that
    /// cannot exist: the answer is a lie.
    Lied,
    /// There is none to ask.
    NotAsked,
}

impl Dns {
    /// The word in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Silent => "silent",
            Self::Failed => "failed",
            Self::Lied => "lied",
            Self::NotAsked => "not_asked",
        }
    }
}

/// What came back from the plain HTTP request that a login page would intercept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Portal {
    /// The genuine answer.
    Genuine,
    /// Something else answered in its place. Only this means that there is a portal.
    Intercepted,
    /// Nothing, or nothing that tells.
    NoAnswer,
}

impl Portal {
    /// The word in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Genuine => "genuine",
            Self::Intercepted => "intercepted",
            Self::NoAnswer => "no_answer",
        }
    }
}
