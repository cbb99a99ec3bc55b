//! How the network changes, and the result of a probe that is sent at a given time. Times are
//! milliseconds of the scenario.

use fastrand::Rng;
use ispmon_agent::{
    heartbeat::{FailureKind, NetworkPath, OutcomeKind},
    probe::{AnchorEnd, DnsOutcome, Family, PortalOutcome, RouterOutcome},
};

use crate::world::{Anchors, DnsState, GatewayState, Heartbeat, PortalState, StubState, World};

/// Timeout of a connect, and of a proof, from the start of its connect.
const CONNECT_MS: u64 = 2_500;
const PROOF_MS: u64 = 4_000;
/// Transmission times of the first packet of a connection, and of a later one.
const TRIES_MS: [u64; 2] = [0, 1_000];
const LATER_TRIES_MS: [u64; 5] = [0, 200, 600, 1_400, 3_000];
/// The system resolver's timeout per name server, and its number of attempts.
const LOOKUP_MS: u64 = 5_000;
const LOOKUP_ATTEMPTS: usize = 2;
const DIRECT_MS: u64 = 2_000;
/// Transmissions of a direct query within its timeout.
const DIRECT_TRIES: usize = 4;
const GATEWAY_MS: u64 = 1_500;
const PORTAL_MS: u64 = 3_000;
/// Duration of a heartbeat that is delivered, that is refused, and that is not answered.
const BEAT_MS: u64 = 150;
const BEAT_REFUSED_MS: u64 = 50;
const BEAT_LIMIT_MS: u64 = 10_000;

/// The states of the world, each with its start time; the first starts at 0.
#[derive(Clone, Debug)]
pub(crate) struct Timeline(pub(crate) Vec<(u64, World)>);

impl Timeline {
    pub(crate) fn at(&self, at: u64) -> &World {
        let later = self.0.partition_point(|(from, _)| *from <= at);
        &self.0[later.saturating_sub(1)].1
    }

    /// Result of a connect to an anchor sent at `sent`, and its duration.
    pub(crate) fn connect(
        &self,
        family: Family,
        anchor: usize,
        sent: u64,
        random: &mut Rng,
    ) -> (AnchorEnd, u64) {
        for waited in TRIES_MS {
            let world = self.at(sent + waited);
            if let Some(failure) = world.local_failure {
                return (AnchorEnd::NotAsked(failure), waited);
            }
            let family = &world.families[family];
            if family.link == crate::world::LinkState::Prohibited {
                return (AnchorEnd::Forbidden, waited);
            }
            if !family.can_send() && !family.own_path[anchor] {
                return (AnchorEnd::Unreachable, waited);
            }
            let end = match family.anchor(anchor) {
                Anchors::OnLink => return (AnchorEnd::OnLink, waited),
                Anchors::Forbidden => return (AnchorEnd::Forbidden, waited),
                Anchors::Silent => continue,
                _ if is_lost(family.loss_percent, random) => continue,
                Anchors::Refuse => AnchorEnd::Refused,
                Anchors::Unreachable => AnchorEnd::Unreachable,
                Anchors::Answer
                | Anchors::Impostor
                | Anchors::ImpostorHangs
                | Anchors::SmallOnly => AnchorEnd::Contact,
            };
            let took = waited + family.latency_ms;
            if took < CONNECT_MS {
                return (end, took);
            }
        }
        (AnchorEnd::TimedOut, CONNECT_MS)
    }

    /// The same with TLS, if the anchor is probed for proof.
    pub(crate) fn prove(
        &self,
        family: Family,
        anchor: usize,
        sent: u64,
        random: &mut Rng,
    ) -> (AnchorEnd, u64) {
        let (end, connected) = self.connect(family, anchor, sent, random);
        if end != AnchorEnd::Contact || !self.at(sent).families[family].tls[anchor] {
            return (end, connected);
        }
        for waited in LATER_TRIES_MS {
            let at = connected + waited;
            if at >= PROOF_MS {
                break;
            }
            let family = &self.at(sent + at).families[family];
            let end = match family.anchor(anchor) {
                _ if !family.can_send() && !family.own_path[anchor] => continue,
                Anchors::Answer => AnchorEnd::Proved,
                Anchors::Impostor | Anchors::Refuse => AnchorEnd::Unproved,
                _ => continue,
            };
            let took = at + family.latency_ms;
            if !is_lost(family.loss_percent, random) && took < PROOF_MS {
                return (end, took);
            }
        }
        (AnchorEnd::Unproved, PROOF_MS)
    }

    /// Result of a lookup by the system's resolver, and its duration.
    pub(crate) fn look_up(&self, sent: u64, random: &mut Rng) -> (DnsOutcome, u64) {
        match self.at(sent).stub {
            StubState::Alive => {}
            StubState::Silent => return (DnsOutcome::Silent, LOOKUP_MS * LOOKUP_ATTEMPTS as u64),
            StubState::Failed => return (DnsOutcome::Failed, 5),
        }
        let (mut waited, mut failed) = (1, false);
        for _ in 0..LOOKUP_ATTEMPTS {
            for server in 0..self.at(sent).servers.len() {
                let (answer, took) = self.query_server(server, sent + waited, LOOKUP_MS, 1, random);
                waited += took;
                match answer {
                    // A server that lies returns an address to the system's resolver as well.
                    DnsOutcome::Answered | DnsOutcome::Lied => {
                        return (DnsOutcome::Answered, waited);
                    }
                    DnsOutcome::Failed => failed = true,
                    DnsOutcome::Silent | DnsOutcome::NotAsked => {}
                }
            }
        }
        (if failed { DnsOutcome::Failed } else { DnsOutcome::Silent }, waited)
    }

    /// Result of a query to every name server, each with its duration.
    pub(crate) fn query_servers(&self, sent: u64, random: &mut Rng) -> Vec<(DnsOutcome, u64)> {
        let servers = 0..self.at(sent).servers.len();
        servers
            .map(|server| self.query_server(server, sent, DIRECT_MS, DIRECT_TRIES, random))
            .collect()
    }

    fn query_server(
        &self,
        server: usize,
        sent: u64,
        limit: u64,
        tries: usize,
        random: &mut Rng,
    ) -> (DnsOutcome, u64) {
        let every = limit / tries as u64;
        for waited in (0..tries as u64).map(|number| number * every) {
            let (answer, took) = self.query_server_once(server, sent + waited, random);
            if answer != DnsOutcome::Silent {
                return (answer, waited + took);
            }
        }
        (DnsOutcome::Silent, limit)
    }

    fn query_server_once(&self, server: usize, sent: u64, random: &mut Rng) -> (DnsOutcome, u64) {
        let world = self.at(sent);
        let nearby = world.servers[server] == DnsState::AnsweredNearby;
        if world.local_failure.is_some() || !nearby && (!world.is_online() || lossy(world, random))
        {
            return (DnsOutcome::Silent, 0);
        }
        match world.servers[server] {
            DnsState::Answered | DnsState::AnsweredNearby => (DnsOutcome::Answered, 20),
            DnsState::Lied => (DnsOutcome::Lied, 20),
            DnsState::Failed => (DnsOutcome::Failed, 20),
            DnsState::Silent => (DnsOutcome::Silent, 0),
        }
    }

    /// Result of a request for the portal page, and its duration.
    pub(crate) fn portal(&self, sent: u64, random: &mut Rng) -> (PortalOutcome, u64) {
        let world = self.at(sent);
        let has_names = world
            .servers
            .iter()
            .any(|server| matches!(server, DnsState::Answered | DnsState::AnsweredNearby))
            && world.stub == StubState::Alive;
        let can_send = Family::BOTH.into_iter().any(|family| world.families[family].can_send());
        match world.portal {
            PortalState::Intercepted | PortalState::FromRouter if can_send => {
                (PortalOutcome::Intercepted, 30)
            }
            PortalState::Genuine
                if has_names && world.is_online() && !lossy(world, random) && can_send =>
            {
                (PortalOutcome::Genuine, 30)
            }
            _ => (PortalOutcome::NoAnswer, PORTAL_MS),
        }
    }

    /// The router's answer to a probe at `sent`, and its duration.
    pub(crate) fn gateway(&self, family: Family, sent: u64) -> (RouterOutcome, u64) {
        let world = self.at(sent);
        if !world.families[family].can_send() || world.local_failure.is_some() {
            return (RouterOutcome::NotAsked, 0);
        }
        match world.gateway {
            GatewayState::Alive => (RouterOutcome::Alive, 3),
            GatewayState::NotAsked => (RouterOutcome::NotAsked, 0),
            // The probe is repeated after a second.
            GatewayState::Silent if self.at(sent + TRIES_MS[1]).gateway == GatewayState::Alive => {
                (RouterOutcome::Alive, TRIES_MS[1] + 3)
            }
            GatewayState::Silent => (RouterOutcome::Silent, GATEWAY_MS),
            GatewayState::Gone => (RouterOutcome::Gone, GATEWAY_MS),
        }
    }

    /// Result of a heartbeat sent at `sent`, what it proves, and its duration.
    pub(crate) fn heartbeat(
        &self,
        sent: u64,
        random: &mut Rng,
    ) -> (OutcomeKind, Option<NetworkPath>, u64) {
        let world = self.at(sent);
        if world.local_failure.is_some() {
            return fails(FailureKind::ConnectFailed);
        }
        let (outcome, way, took) = match world.heartbeat {
            Heartbeat::AsTheLineIs => return self.heartbeat_directly(sent, random),
            Heartbeat::Delivered => (OutcomeKind::Delivered, path_of(world), BEAT_MS),
            Heartbeat::DeliveredByUnknownFamily => {
                (OutcomeKind::Delivered, NetworkPath::Unknown, BEAT_MS)
            }
            Heartbeat::DeliveredNearby => (OutcomeKind::Delivered, NetworkPath::Nearby, BEAT_MS),
            Heartbeat::Status(status) => (OutcomeKind::Refused(status), path_of(world), BEAT_MS),
            Heartbeat::Fails(kind) => return fails(kind),
        };
        (outcome, world.heartbeat_proves.then_some(way), took)
    }

    fn heartbeat_directly(
        &self,
        sent: u64,
        random: &mut Rng,
    ) -> (OutcomeKind, Option<NetworkPath>, u64) {
        let world = self.at(sent);
        if world.proxied {
            return self.heartbeat_by_proxy(sent);
        }
        if !Family::BOTH.into_iter().any(|family| world.families[family].can_send()) {
            return fails(FailureKind::NetworkUnreachable);
        }
        if matches!(world.portal, PortalState::Intercepted | PortalState::FromRouter) {
            // A login page answers every request.
            return if world.heartbeat_proves {
                fails(FailureKind::TlsWrongName)
            } else {
                (OutcomeKind::Delivered, None, BEAT_MS)
            };
        }
        let (names, took) = self.look_up(sent, random);
        if took > BEAT_LIMIT_MS || names == DnsOutcome::Silent {
            return fails(FailureKind::ResolveTimeout);
        }
        if names == DnsOutcome::Failed {
            return fails(FailureKind::ResolveFailed);
        }
        let at = sent + took;
        if [world, self.at(at)].iter().any(|world| world.servers.first() == Some(&DnsState::Lied)) {
            return fails(FailureKind::TlsWrongName);
        }
        let world = self.at(at);
        let mut kind = FailureKind::ConnectTimeout;
        // Both families are tried, IPv6 a moment earlier; the first that connects is used.
        for family in Family::BOTH.into_iter().rev() {
            let state = &world.families[family];
            if !state.can_send() {
                continue;
            }
            match state.path {
                // Lost packets are retransmitted in time.
                Anchors::Answer if state.loss_percent < 95 => {
                    let proof = world.heartbeat_proves.then_some(NetworkPath::Internet(family));
                    let took = took + BEAT_MS + state.latency_ms;
                    return answered(world, proof, took);
                }
                Anchors::SmallOnly | Anchors::ImpostorHangs => {
                    return fails(FailureKind::TlsTimeout);
                }
                Anchors::Impostor if world.heartbeat_proves => {
                    return fails(FailureKind::TlsHandshake);
                }
                Anchors::Impostor => return fails(FailureKind::ConnectionClosed),
                Anchors::Refuse => kind = FailureKind::ConnectRefused,
                Anchors::Unreachable => kind = FailureKind::HostUnreachable,
                Anchors::Forbidden => kind = FailureKind::ConnectForbidden,
                Anchors::Answer | Anchors::Silent | Anchors::OnLink => {}
            }
        }
        fails(kind)
    }
}

impl Timeline {
    /// A proxy in the local network has DNS and a route of its own.
    fn heartbeat_by_proxy(&self, sent: u64) -> (OutcomeKind, Option<NetworkPath>, u64) {
        let world = self.at(sent);
        let mut kind = FailureKind::NetworkUnreachable;
        for family in Family::BOTH {
            let state = &world.families[family];
            if state.can_send() {
                if state.path == Anchors::Answer {
                    let proof = world.heartbeat_proves.then_some(NetworkPath::Unknown);
                    return answered(world, proof, BEAT_MS);
                }
                kind = FailureKind::ProxyRefused;
            }
        }
        fails(kind)
    }
}

/// The endpoint's response to a heartbeat that reached it.
fn answered(
    world: &World,
    proof: Option<NetworkPath>,
    took: u64,
) -> (OutcomeKind, Option<NetworkPath>, u64) {
    match world.endpoint {
        OutcomeKind::Failed(kind) => fails(kind),
        outcome => (outcome, proof, took),
    }
}

fn fails(kind: FailureKind) -> (OutcomeKind, Option<NetworkPath>, u64) {
    let took = if kind.as_str().ends_with("timeout") { BEAT_LIMIT_MS } else { BEAT_REFUSED_MS };
    (OutcomeKind::Failed(kind), None, took)
}

/// The first family that has a route.
fn path_of(world: &World) -> NetworkPath {
    let family = Family::BOTH.into_iter().find(|family| world.families[*family].can_send());
    family.map_or(NetworkPath::Unknown, NetworkPath::Internet)
}

fn is_lost(percent: u8, random: &mut Rng) -> bool {
    percent > 0 && random.u8(0..100) < percent
}

/// Whether one packet by the first working family is lost.
fn lossy(world: &World, random: &mut Rng) -> bool {
    let family = Family::BOTH.into_iter().find(|family| world.works(*family));
    is_lost(family.map_or(0, |family| world.families[family].loss_percent), random)
}
