//! The result of an anchor probe.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{ConnectEnd, LocalFailure};
use crate::{
    clock::Stamp,
    probe::{Family, Observation, ProbeKind},
};

/// How the probe of an anchor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnchorEnd {
    /// The TLS handshake was verified: the anchor proved its identity.
    Proved,
    /// The TCP handshake completed, and TLS was not tried (`tcp://` anchors, scheduled probes).
    Contact,
    /// The TCP handshake completed, but TLS proved nothing: it failed, was not trusted, named another server
    /// or hung.
    Unproved,
    /// The anchor is reached without a router and not through a tunnel, so its answer would prove nothing about
    /// the internet. It was not probed.
    OnLink,
    /// A reset came back, or an ICMP error that means the same.
    Refused,
    /// The system or a router has no route (`ENETUNREACH`, `EHOSTUNREACH`).
    Unreachable,
    /// Nothing came back in time.
    TimedOut,
    /// This device forbids it: `EPERM`, `EACCES`, or an ICMP error whose sender is this device.
    Forbidden,
    /// A failure on this device, which shows nothing about the internet: the anchor counts as not probed.
    NotAsked(LocalFailure),
}

impl AnchorEnd {
    /// The word in the journal.
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
            Self::NotAsked(failure) => failure.as_str(),
        }
    }
}

impl From<ConnectEnd> for AnchorEnd {
    fn from(connect: ConnectEnd) -> Self {
        match connect {
            ConnectEnd::Connected => Self::Contact,
            ConnectEnd::Refused => Self::Refused,
            ConnectEnd::Unreachable => Self::Unreachable,
            ConnectEnd::TimedOut => Self::TimedOut,
            ConnectEnd::Forbidden => Self::Forbidden,
            ConnectEnd::NotAsked(failure) => Self::NotAsked(failure),
        }
    }
}

impl fmt::Display for AnchorEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One anchor, and the result of its probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorAnswer {
    /// The anchor's address.
    pub anchor: SocketAddr,
    /// When the connect was sent.
    pub sent: Stamp,
    /// Duration of the probe: 6.5 s at most, the limits of connect and TLS together.
    pub took: Duration,
    /// How it ended.
    pub end: AnchorEnd,
    /// Sender of an ICMP error, if the kernel reports it (Linux). The sender of a reset is unknown.
    pub from: Option<IpAddr>,
    /// The anchor is reached by another interface or router than most anchors of its family: its answer
    /// is evidence and does not decide the family.
    pub own_path: bool,
}

impl AnchorAnswer {
    /// When the probe ended.
    pub fn ended(&self) -> Stamp {
        self.sent.later(self.took)
    }

    /// The same for the journal: the answer's word, and the sender if it is known, as in
    /// `refused by 192.168.1.1`.
    pub fn observation(&self, family: Family) -> Observation {
        let answer = match self.from {
            Some(from) => format!("{} by {from}", self.end),
            None => self.end.as_str().to_owned(),
        };
        Observation {
            probe: ProbeKind::Tcp,
            target: self.anchor.to_string(),
            family: Some(family),
            answer,
            ms: u64::try_from(self.took.as_millis()).ok(),
            at: self.sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootId;

    #[test]
    fn the_journal_names_the_sender_of_a_refusal() {
        let sent = Stamp { boot: BootId::UNKNOWN, boot_ms: 7, wall: jiff::Timestamp::UNIX_EPOCH };
        let answer = AnchorAnswer {
            anchor: "1.1.1.1:443".parse().expect("an address"),
            sent,
            took: Duration::from_millis(9),
            end: AnchorEnd::Refused,
            from: "192.168.1.1".parse().ok(),
            own_path: false,
        };
        let seen = answer.observation(Family::Ipv4);
        assert_eq!((&*seen.target, &*seen.answer), ("1.1.1.1:443", "refused by 192.168.1.1"));
        assert_eq!((seen.ms, seen.at, answer.ended().boot_ms), (Some(9), sent, 16));
        let unproved = AnchorAnswer { end: AnchorEnd::Unproved, from: None, ..answer };
        assert_eq!(unproved.observation(Family::Ipv4).answer, "connected_proved_nothing");
    }
}
