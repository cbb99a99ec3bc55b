//! What the probes, the kernel and the heartbeats say to the incident machine.

use std::{net::SocketAddr, time::Duration};

use super::{Gap, Network, Observation, Party};
use crate::{
    clock::Stamp,
    heartbeat::{NetworkPath, OutcomeKind},
    probe::{
        AnchorAnswer, AnchorEnd, Dns, Family, Gateway, LinkAnswer, LocalFailure, PerFamily, Portal,
        ServerAnswer,
    },
};

/// One thing that the agent has learned. An answer carries the moment of its *question*: one that was
/// asked before a doubt began says nothing about that doubt.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// What was known no longer holds: the state is unknown until the first good round, or until
    /// the grace period is over. Comes before the other evidence of the new time.
    Grace(GraceReason),
    /// How the kernel would send to the anchors of each family. Both families are looked at together and
    /// told together, so that nothing is concluded from one of them alone.
    Links {
        /// The way, or what is missing for one; `None` of a family that was not looked at.
        links: PerFamily<Option<LinkAnswer>>,
        /// When the kernel was asked.
        asked: Stamp,
    },
    /// A scheduled probe has been answered within a second, or not: contact, and a sample of the
    /// quality.
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
    /// No heartbeats are sent: nothing known of them still counts.
    NoHeartbeats,
    /// A connect has failed or is unanswered after a second, or a proof beside the rounds failed.
    Doubt {
        /// Whose family; `None` when that is not known.
        family: Option<Family>,
        /// When that was sent.
        since: Stamp,
    },
    /// Every anchor of a family was asked for proof once.
    Round(RoundResult),
    /// An anchor proved itself beside the rounds.
    Proof {
        /// By which family.
        family: Family,
        /// When it was asked.
        started: Stamp,
        /// When its certificate was verified.
        finished: Stamp,
    },
    /// Nothing was asked, for a failure made on this device.
    NotAsked {
        /// What failed.
        reason: LocalFailure,
        /// When.
        at: Stamp,
    },
    /// The router was asked, or the kernel gave it up.
    Gateway {
        /// The family that it was asked by.
        family: Family,
        /// What came back.
        answer: Gateway,
        /// The network that it is the router of, where that is beneath a tunnel; else it is the family's.
        beneath: Option<Network>,
        /// The same for the journal; `at` is when it was asked.
        observation: Observation,
    },
    /// A look-up by the system's resolver has ended.
    Lookup {
        /// What came back.
        answer: Dns,
        /// The same for the journal; `at` is when it was asked.
        observation: Observation,
    },
    /// Every configured name server was asked directly, all at once.
    NameServers {
        /// When they were asked.
        asked: Stamp,
        /// What each of them answered; none where none is configured.
        answers: Vec<ServerAnswer>,
        /// Whose they are.
        party: Party,
    },
    /// The pages were fetched that a login page would intercept.
    Portal {
        /// What came back: `Intercepted` only when every page that answered was intercepted.
        answer: Portal,
        /// Whether the page came from the router, or from a private address that the name server
        /// gives for every name.
        from_router: bool,
        /// The same for the journal; `at` is when it was asked.
        observation: Observation,
    },
    /// An anchor was asked through the interface beneath a tunnel.
    Underlay {
        /// The family whose route leads into the tunnel.
        family: Family,
        /// Whether it answered.
        alive: bool,
        /// The same for the journal; `at` is when it was asked.
        observation: Observation,
    },
    /// A heartbeat came to its end.
    Heartbeat {
        /// When it began.
        started: Stamp,
        /// When it ended.
        finished: Stamp,
        /// How it travelled, when its answer was proof: TLS whose certificate was verified, whatever
        /// the HTTP status.
        proof: Option<NetworkPath>,
        /// What came of it.
        outcome: OutcomeKind,
    },
    /// A gap is over. [`Grace`](Self::Grace) follows it.
    GapEnded(Gap),
    /// Whether the clock shows a time that cannot be, one before this program was built.
    ClockImplausible(bool),
    /// Whether this device has no root certificates: then no anchor can prove itself, and contact decides.
    CannotVerify(bool),
    /// Nothing new, but the [deadline](super::OutageMachine::deadline) has come.
    Tick,
}

/// Why nothing is known at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GraceReason {
    /// The agent has started.
    Started,
    /// The machine has woken up, or a pause is over.
    Resumed,
    /// An interface has come up, or moved to another network.
    LinkUp,
}

/// One round: every anchor of a family asked for proof once, at the same time.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundResult {
    /// The family.
    pub family: Family,
    /// When the first connect was sent. Rounds overlap; they count in the order of this.
    pub started: Stamp,
    /// When it was decided.
    pub finished: Stamp,
    /// What the anchors answered until then.
    pub answers: Vec<AnchorAnswer>,
}

impl RoundResult {
    /// Whether an anchor proved itself, or completed a handshake where no more was asked.
    pub fn is_answered(&self) -> bool {
        self.first(|end| matches!(end, AnchorEnd::Proved | AnchorEnd::Contact)).is_some()
    }

    /// When the first anchor had proved itself that is on the family's path.
    pub fn first_proof(&self) -> Option<Stamp> {
        self.first(|end| end == AnchorEnd::Proved)
    }

    /// When the first anchor on the family's path had completed a handshake, whatever it proved.
    pub fn first_contact(&self) -> Option<Stamp> {
        self.first(|end| {
            matches!(end, AnchorEnd::Proved | AnchorEnd::Contact | AnchorEnd::Unproved)
        })
    }

    fn first(&self, is_good: impl Fn(AnchorEnd) -> bool) -> Option<Stamp> {
        self.answers
            .iter()
            .filter(|answer| !answer.own_path && is_good(answer.end))
            .map(|answer| answer.sent.later(answer.took))
            .reduce(Stamp::earliest)
    }
}
