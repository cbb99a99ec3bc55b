//! What the probes tell the incident machine.

use std::{net::SocketAddr, time::Duration};

use super::{Gap, Observation};
use crate::{
    clock::Stamp,
    heartbeat::{FailureKind, Outcome, Way},
    probe::{Connect, Connected, Dns, Family, Gateway, Link, Portal},
};

/// One thing that the agent has learned. What was asked carries the moment of the *question*: an
/// answer that was asked for before a doubt began says nothing about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// What was known no longer holds: the state is unknown until the first good round, or until
    /// the time to settle is over. Comes before the other evidence of the new time.
    Settle(SettleReason),
    /// How the kernel would send to the anchors of one family, after a query or a change.
    Link {
        /// The family.
        family: Family,
        /// The way, or what is missing for one.
        link: Link,
        /// When the kernel was asked, or said so by itself.
        asked: Stamp,
    },
    /// A scheduled probe has been answered within a second, or not. A lost one says something
    /// about the quality of the line only; an answered one proves that an anchor is alive.
    Probe {
        /// Its family.
        family: Family,
        /// Who was asked.
        anchor: SocketAddr,
        /// When it was sent.
        sent: Stamp,
        /// How long the answer took, at most a second; `None` when it was lost.
        rtt: Option<Duration>,
    },
    /// None of the anchors is of this family any more: nothing known of it still counts.
    NoAnchors {
        /// Which family.
        family: Family,
    },
    /// A connect has failed or is unanswered after a second, or a heartbeat has failed.
    Doubt {
        /// Whose family; `None` when a heartbeat raised it and its family is not known.
        family: Option<Family>,
        /// When that connect or heartbeat was sent.
        since: Stamp,
    },
    /// Every anchor of a family was asked once.
    Round(Round),
    /// The router was asked, or the kernel gave it up.
    Gateway {
        /// The family that it was asked by.
        family: Family,
        /// What came back.
        answer: Gateway,
        /// The same for the record; `at` is when it was asked.
        observation: Observation,
    },
    /// The name servers were asked.
    Dns {
        /// What the system's resolver said.
        system: Dns,
        /// What a query of our own to one name server said.
        direct: Dns,
        /// Whether the system's resolver is the provider's, or asks it in the router's name.
        resolver_is_providers: bool,
        /// When the first of the two was asked.
        asked: Stamp,
        /// The same for the record, the system's resolver first where it was asked.
        observations: Vec<Observation>,
    },
    /// The page was fetched that a login page would intercept.
    Portal {
        /// What came back.
        answer: Portal,
        /// The same for the record; `at` is when it was asked.
        observation: Observation,
    },
    /// An anchor was asked through a socket that is bound to the interface beneath a tunnel.
    Beneath {
        /// The family.
        family: Family,
        /// Whether the handshake was completed.
        alive: bool,
        /// The same for the record; `at` is when it was asked.
        observation: Observation,
    },
    /// A heartbeat came to its end.
    Heartbeat {
        /// When it began.
        started: Stamp,
        /// When it ended.
        finished: Stamp,
        /// How it travelled; not known of one that was not delivered.
        way: Way,
        /// What came of it.
        outcome: BeatOutcome,
    },
    /// A time that nobody watched is over. [`Settle`](Self::Settle) follows it.
    Watched(Gap),
    /// Whether the clock shows a time that cannot be, one before this program was built.
    ClockImplausible(bool),
    /// Nothing new, but the [deadline](super::Machine::deadline) has come.
    Tick,
}

/// Why nothing is known at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SettleReason {
    /// The agent has started.
    Started,
    /// The machine has woken up, or a pause is over.
    Resumed,
    /// An interface has come up, or moved to another network.
    LinkUp,
}

/// One round: every anchor of a family asked once, at the same time.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// The family.
    pub family: Family,
    /// When the first connect was sent. Rounds overlap; they count in the order of this.
    pub started: Stamp,
    /// When the last one had ended.
    pub finished: Stamp,
    /// What the anchors answered.
    pub answers: Vec<Connected>,
}

impl Round {
    /// Whether at least one anchor is alive. Only a completed handshake proves that.
    pub fn is_good(&self) -> bool {
        self.first_answer().is_some()
    }

    /// When the first handshake was completed.
    pub fn first_answer(&self) -> Option<Stamp> {
        self.answers
            .iter()
            .filter(|answer| answer.end == Connect::Connected)
            .map(|answer| answer.sent.later(answer.took))
            .min_by_key(|answered| answered.boot_ms)
    }
}

/// What came of a heartbeat, as far as it tells what broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BeatOutcome {
    /// It was answered with a status of the 200s.
    Delivered,
    /// It was answered with this other status.
    Refused(u16),
    /// It was not answered.
    Failed(FailureKind),
}

impl BeatOutcome {
    /// Whether it failed because the names could not be looked up.
    pub fn hints_at_dns(self) -> bool {
        use FailureKind::{NameUnknown, ResolveFailed, ResolveTimeout};
        matches!(self, Self::Failed(NameUnknown | ResolveFailed | ResolveTimeout))
    }

    /// Whether it failed because the other side's certificate is not valid yet by this clock.
    pub fn hints_at_clock(self) -> bool {
        matches!(self, Self::Failed(FailureKind::TlsNotYetValid))
    }

    /// Whether the other side refuses this device, as one that is just starting also does.
    pub fn refuses_device(self) -> bool {
        matches!(self, Self::Refused(401 | 403 | 404))
    }

    /// The word in the record.
    pub fn word(self) -> String {
        match self {
            Self::Delivered => "delivered".to_owned(),
            Self::Refused(status) => format!("status_{status}"),
            Self::Failed(kind) => kind.as_str().to_owned(),
        }
    }
}

impl From<&Outcome> for BeatOutcome {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Delivered { .. } => Self::Delivered,
            Outcome::Refused { status, .. } => Self::Refused(*status),
            Outcome::Failed(failure) => Self::Failed(failure.kind),
        }
    }
}
