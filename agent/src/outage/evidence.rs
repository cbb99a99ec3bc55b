//! Evidence: what the probes, the kernel and the heartbeats report to the incident machine.

use std::{net::SocketAddr, time::Duration};

use super::{Gap, Network, Observation, Party};
use crate::{
    clock::Stamp,
    heartbeat::{NetworkPath, OutcomeKind},
    probe::{
        AnchorAnswer, AnchorEnd, DnsOutcome, Family, LinkAnswer, LocalFailure, PerFamily,
        PortalOutcome, RouterOutcome, ServerAnswer,
    },
};

/// One piece of evidence. Each result carries the time at which its *probe* was sent: a probe from
/// before a doubt is no evidence about that doubt.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// Earlier results no longer hold: the state is unknown until the first good round, or until the
    /// grace period is over. Precedes the other evidence of the new period.
    Grace(GraceReason),
    /// How the kernel would route to the anchors of each family. Both families are checked and reported
    /// together, so that nothing is decided from one of them alone.
    Links {
        /// The route, or what is missing for one; `None` for a family that was not checked.
        links: PerFamily<Option<LinkAnswer>>,
        /// When the kernel was queried.
        asked: Stamp,
    },
    /// A scheduled probe was answered within a second, or was lost: contact, and a sample of the
    /// quality.
    Probe {
        /// The family of the anchor.
        family: Family,
        /// The probed anchor.
        anchor: SocketAddr,
        /// When it was sent.
        sent: Stamp,
        /// The round-trip time, at most a second; `None` if the probe was lost.
        rtt: Option<Duration>,
    },
    /// No anchor is of this family any more: earlier results of it no longer count.
    NoAnchors {
        /// The family.
        family: Family,
    },
    /// No heartbeats are sent: earlier results of them no longer count.
    NoHeartbeats,
    /// A connect failed or was not answered within a second, or a proof probe outside the rounds
    /// failed.
    Doubt {
        /// The family; `None` if it is not known.
        family: Option<Family>,
        /// When the failed probe was sent.
        since: Stamp,
    },
    /// Every anchor of a family was probed for proof once.
    Round(RoundResult),
    /// An anchor proved itself outside the rounds.
    Proof {
        /// The family.
        family: Family,
        /// When the probe was sent.
        started: Stamp,
        /// When its certificate was verified.
        finished: Stamp,
    },
    /// A probe was not sent because of a local failure on this device.
    NotSent {
        /// What failed.
        reason: LocalFailure,
        /// When it failed.
        at: Stamp,
    },
    /// The router was probed, or the kernel reported it as gone.
    Gateway {
        /// The family over which it was probed.
        family: Family,
        /// The result.
        answer: RouterOutcome,
        /// The router's network, if it is beneath a tunnel; else the family's network applies.
        beneath: Option<Network>,
        /// The same result for the journal; `at` is when the probe was sent.
        observation: Observation,
    },
    /// A lookup by the system's resolver has ended.
    Lookup {
        /// The result.
        answer: DnsOutcome,
        /// The same result for the journal; `at` is when the lookup began.
        observation: Observation,
    },
    /// Every configured name server was queried directly, all at the same time.
    NameServers {
        /// When the queries were sent.
        asked: Stamp,
        /// The answer of each server; empty if none is configured.
        answers: Vec<ServerAnswer>,
        /// Who runs them.
        party: Party,
    },
    /// The portal pages were fetched, which a login page would intercept.
    Portal {
        /// The result: `Intercepted` only if every page that answered was intercepted.
        answer: PortalOutcome,
        /// Whether the page came from the router, or from a private address that the name server
        /// returns for every name.
        from_router: bool,
        /// The same result for the journal; `at` is when the page was requested.
        observation: Observation,
    },
    /// An anchor was probed through the interface beneath a tunnel.
    Underlay {
        /// The family whose route leads into the tunnel.
        family: Family,
        /// Whether it answered.
        alive: bool,
        /// The same result for the journal; `at` is when the probe was sent.
        observation: Observation,
    },
    /// A heartbeat has ended.
    Heartbeat {
        /// When it began.
        started: Stamp,
        /// When it ended.
        finished: Stamp,
        /// Its path, if its answer was proof: TLS with a verified certificate, whatever the HTTP
        /// status.
        proof: Option<NetworkPath>,
        /// Its outcome.
        outcome: OutcomeKind,
    },
    /// A gap has ended. [`Grace`](Self::Grace) follows.
    GapEnded(Gap),
    /// Whether the clock shows an impossible time, one before this program was built.
    ClockImplausible(bool),
    /// Whether this device has no root certificates: then no anchor can prove itself, and contact
    /// decides.
    CannotVerify(bool),
    /// No new evidence, but the [deadline](super::OutageMachine::deadline) has passed.
    Tick,
}

/// Why the state is unknown at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GraceReason {
    /// The agent has started.
    Started,
    /// The machine has resumed from sleep, or a pause is over.
    Resumed,
    /// An interface has come up, or moved to another network.
    LinkUp,
}

/// One round: every anchor of a family probed for proof once, at the same time.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundResult {
    /// The family.
    pub family: Family,
    /// When the first connect was sent. Overlapping rounds are ordered by this.
    pub started: Stamp,
    /// When the round was decided.
    pub finished: Stamp,
    /// The answers of the anchors until then.
    pub answers: Vec<AnchorAnswer>,
}

impl RoundResult {
    /// Whether an anchor proved itself, or completed a handshake where only that was required.
    pub fn is_answered(&self) -> bool {
        self.first(|end| matches!(end, AnchorEnd::Proved | AnchorEnd::Contact)).is_some()
    }

    /// When the first anchor on the family's path had proved itself.
    pub fn first_proof(&self) -> Option<Stamp> {
        self.first(|end| end == AnchorEnd::Proved)
    }

    /// When the first anchor on the family's path had completed a handshake, with or without proof.
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
