//! How asking an anchor ended.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{Connect, LocalFailure};
use crate::{
    clock::Stamp,
    probe::{Family, Observation, ProbeKind},
};

/// How asking one anchor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnchorEnd {
    /// TLS was verified: the anchor proved itself.
    Proved,
    /// The handshake was completed, and no more was asked (`tcp://` anchors, scheduled probes).
    Contact,
    /// It completed the connection and proved nothing: TLS failed, was not trusted, named another
    /// server, or hung.
    Unproved,
    /// The anchor is reached without a router and not through a tunnel: it proves nothing about the
    /// internet, whatever it answers. It was not asked.
    OnLink,
    /// A reset came back, or an ICMP error that says so.
    Refused,
    /// The system or a router knows no way (`ENETUNREACH`, `EHOSTUNREACH`).
    Unreachable,
    /// Nothing came back in time.
    TimedOut,
    /// This device forbids it: `EPERM`, `EACCES`, or an ICMP error whose sender is this device.
    Forbidden,
    /// A failure made on this device says nothing about the internet: the question counts as not asked.
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
            Self::NotAsked(failure) => failure.as_str(),
        }
    }

    /// Whether a TCP handshake was completed, by whoever.
    pub fn is_connected(self) -> bool {
        matches!(self, Self::Proved | Self::Contact | Self::Unproved)
    }
}

impl From<Connect> for AnchorEnd {
    fn from(connect: Connect) -> Self {
        match connect {
            Connect::Connected => Self::Contact,
            Connect::Refused => Self::Refused,
            Connect::Unreachable => Self::Unreachable,
            Connect::TimedOut => Self::TimedOut,
            Connect::Forbidden => Self::Forbidden,
            Connect::NotAsked(failure) => Self::NotAsked(failure),
        }
    }
}

impl fmt::Display for AnchorEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One anchor, and how asking it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorAnswer {
    /// The anchor's address.
    pub anchor: SocketAddr,
    /// When the connect was sent.
    pub sent: Stamp,
    /// How long it took until the end, at most 4 s.
    pub took: Duration,
    /// How it ended.
    pub end: AnchorEnd,
    /// Who sent an ICMP error, where the kernel tells (Linux). A reset does not say who sent it.
    pub from: Option<IpAddr>,
    /// The anchor is reached by another interface or router than most anchors of its family: its answer
    /// is evidence and does not decide the family.
    pub own_path: bool,
}

impl AnchorAnswer {
    /// The moment of the end.
    pub fn ended(&self) -> Stamp {
        self.sent.later(self.took)
    }

    /// The same for the record: the answer's word, and who sent it where that is known, as in
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
    fn the_record_names_the_sender_of_a_refusal() {
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
