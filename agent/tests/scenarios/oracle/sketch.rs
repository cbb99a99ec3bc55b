//! A random world: a setup, and faults that come and go.

use std::{fmt, time::Duration};

use fastrand::Rng;
use ispmon_agent::{
    heartbeat::{FailureKind, OutcomeKind},
    outage::{GapCause, MachineLimits, MachineSettings, Party},
    probe::{Family, LocalFailure},
};

use crate::{
    player::{HeartbeatSchedule, News, Plot},
    timeline::Timeline,
    world::{
        ANCHORS, Anchors, DnsState, GatewayState, Heartbeat, LinkState, MacState, PortalState,
        StubState, World,
    },
};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

/// The path of heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeartbeatPath {
    /// No heartbeats: local mode.
    None,
    Https,
    /// Over plain HTTP, which proves nothing.
    Plain,
    /// To a machine in the local network.
    Nearby,
    /// Through a proxy, by HTTPS.
    Proxied,
}

/// The constant part of a world.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
pub(super) struct Setup {
    pub(super) families: Vec<Family>,
    /// IPv6 has a route, and has never worked.
    pub(super) ipv6_broken: bool,
    pub(super) heartbeats: HeartbeatPath,
    pub(super) tunnel: bool,
    /// Whether anchors are probed for proof.
    pub(super) tls: bool,
    /// This anchor is reached through another uplink, independently of this connection.
    pub(super) own_path: Option<usize>,
    /// Anchors never answer here.
    pub(super) anchors_blocked: bool,
    pub(super) interval_ms: u64,
    pub(super) servers: usize,
    pub(super) servers_of: Party,
    /// Whether the router answers probes.
    pub(super) router_answers: bool,
    pub(super) grace_ms: u64,
    pub(super) router_mac: MacState,
    /// Whether the router of the other network has the same IP address, with another hardware address.
    pub(super) same_router_address: bool,
}

/// A condition with a start and an end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) what: WorldCondition,
}

/// The condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum WorldCondition {
    Link(Option<Family>, LinkState),
    Line(Option<Family>, Anchors),
    Anchor(usize, Anchors),
    /// The router uses the address of an anchor itself.
    Owned(usize),
    Loss(u8),
    Latency(u64),
    RouterDead,
    NameServer(usize, DnsState),
    NameServers(DnsState),
    Stub(StubState),
    /// A login page replaces the internet, with this effect on anchor connections.
    LoginPage(Anchors),
    /// The router shows its own page because the provider is down, with this effect on anchor
    /// connections.
    RouterPage(Anchors),
    /// Another host on the path has this effect on anchor connections, and answers lookups itself.
    Box(Anchors),
    /// The tunnel is dead, and the connection beneath it works.
    TunnelDead,
    Endpoint(OutcomeKind),
    LocalFailure(LocalFailure),
    /// The clock shows a time before the program was built.
    Clock,
    Gap(GapCause),
    OtherNetwork,
    /// A reload sets this grace period from then on.
    Grace(u64),
    /// A reload removes all IPv6 anchors from then on.
    NoIpv6Anchors,
    /// A step of the wall clock, in seconds.
    ClockStep(i64),
}

#[derive(Clone, Debug)]
pub(super) struct RandomWorld {
    pub(super) seed: u64,
    pub(super) lasts_ms: u64,
    pub(super) setup: Setup,
    pub(super) faults: Vec<Fault>,
}

impl RandomWorld {
    /// Generates the world of a seed.
    pub(super) fn random(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        // A random source of its own, so that older worlds stay the same.
        let setup = Setup::random(&mut random).with_routers(&mut Rng::with_seed(!seed));
        let mut faults = Vec::new();
        let mut at = if random.u8(0..8) == 0 { 0 } else { random.u64(100..200) * SECOND };
        let wanted = random.usize(1..9);
        // Some worlds are quiet between faults, in others faults overlap.
        let crowded = random.u8(0..4);
        let mut unmonitored_until = 0;
        while faults.len() < wanted {
            let lasts = length(&mut random);
            let what = WorldCondition::random(&setup, &mut random);
            let what = match what {
                // Two overlapping gaps would be one.
                WorldCondition::Gap(_) if at < unmonitored_until => continue,
                // The network would be unknown from the start.
                WorldCondition::Link(_, LinkState::Unknown) if at < 60 * SECOND => continue,
                what => what,
            };
            let lasts = match what {
                WorldCondition::Gap(GapCause::Crashed | GapCause::PowerLost) => {
                    lasts.min(20 * MINUTE)
                }
                WorldCondition::Loss(_) | WorldCondition::Latency(_) => lasts.max(3 * MINUTE),
                _ => lasts,
            };
            if matches!(what, WorldCondition::Gap(_)) {
                unmonitored_until = at + lasts + SECOND;
            }
            let burst = random.u8(0..12) == 0 && !matches!(what, WorldCondition::Gap(_));
            let times = if burst { random.u64(6..20) } else { 1 };
            let lasts = if burst { lasts.min(2 * MINUTE) } else { lasts };
            let pause = random.u64(4 * SECOND..2 * MINUTE);
            for number in 0..times {
                let from = at + number * (lasts + pause);
                faults.push(Fault { from, to: from + lasts, what: what.clone() });
            }
            let end = at + times * (lasts + pause);
            at = match random.u8(0..4) {
                // The next fault comes while this one lasts.
                place if place <= crowded.saturating_sub(1) => at + random.u64(0..=lasts),
                3 => end + random.u64(0..20 * SECOND),
                _ => end + random.u64(30 * SECOND..15 * MINUTE),
            };
        }
        faults.sort_by_key(|fault| fault.from);
        let lasts_ms = faults.iter().map(|fault| fault.to).max().unwrap_or(0) + 15 * MINUTE;
        Self { seed, lasts_ms, setup, faults }
    }

    /// The times of all changes, from 0 on.
    pub(super) fn boundaries(&self) -> Vec<u64> {
        let ends = self.faults.iter().flat_map(|fault| [fault.from, fault.to]);
        let mut boundaries: Vec<_> = ends.chain([0]).collect();
        boundaries.sort_unstable();
        boundaries.dedup();
        boundaries
    }

    /// The state of the world at a time.
    fn world(&self, at: u64) -> World {
        let mut world = self.setup.world();
        for fault in &self.faults {
            if fault.from <= at && at < fault.to {
                fault.what.apply(&mut world);
            }
        }
        world.router = if self.setup.same_router_address { 0 } else { world.network };
        world
    }

    /// Whether a condition like this holds at a time.
    pub(super) fn is(&self, at: u64, like: impl Fn(&WorldCondition) -> bool) -> bool {
        self.faults.iter().any(|fault| fault.from <= at && at < fault.to && like(&fault.what))
    }

    /// The plot by which the player runs it.
    pub(super) fn plot(&self) -> Plot {
        let timeline: Vec<_> =
            self.boundaries().into_iter().map(|at| (at, self.world(at))).collect();
        let mut news = Vec::new();
        for pair in timeline.windows(2) {
            let (before, (at, after)) = (&pair[0].1, &pair[1]);
            if before.is_change_reported(after) {
                news.push((*at, News::LinksChanged));
            } else if before.network != after.network {
                // The device was carried there, and the new network has the same addresses.
                news.push((*at, News::LinkUp));
            }
        }
        for fault in &self.faults {
            match fault.what {
                WorldCondition::Clock => {
                    news.push((fault.from, News::ClockImplausible(true)));
                    news.push((fault.to, News::ClockImplausible(false)));
                }
                WorldCondition::ClockStep(by_s) => {
                    news.push((fault.from, News::ClockStep(by_s * 1_000)));
                }
                WorldCondition::Grace(grace) => {
                    news.push((fault.from, News::Grace(Duration::from_millis(grace))));
                }
                WorldCondition::NoIpv6Anchors => {
                    news.push((fault.from, News::NoAnchors(Family::Ipv6)));
                }
                WorldCondition::Gap(cause) => news.push((fault.from, News::Gap(cause, fault.to))),
                _ => {}
            }
        }
        news.sort_by_key(|(at, _)| *at);
        Plot {
            begins: "2026-03-10T01:00:00Z".parse().expect("a time"),
            lasts_ms: self.lasts_ms,
            timeline: Timeline(timeline),
            news,
            heartbeats: if self.setup.heartbeats == HeartbeatPath::None {
                HeartbeatSchedule::None
            } else {
                HeartbeatSchedule::Random
            },
            interval_ms: self.setup.interval_ms,
            settings: MachineSettings {
                grace: Duration::from_millis(self.setup.grace_ms),
                limits: MachineLimits::default(),
            },
            router_mac: self.setup.router_mac,
            usual_ms: Some(20.0),
            seed: self.seed,
            checkpoints: Vec::new(),
            dates_crashes: true,
            strict: false,
            traced: false,
        }
    }
}

/// Duration of a fault.
fn length(random: &mut Rng) -> u64 {
    match random.u8(0..8) {
        0 => random.u64(200..8 * SECOND),
        1 => random.u64(8 * SECOND..20 * SECOND),
        2..=4 => random.u64(20 * SECOND..3 * MINUTE),
        5 | 6 => random.u64(3 * MINUTE..12 * MINUTE),
        _ => random.u64(12 * MINUTE..30 * MINUTE),
    }
}

fn choose<T: Clone>(random: &mut Rng, from: &[T]) -> T {
    from[random.usize(0..from.len())].clone()
}

impl Setup {
    fn random(random: &mut Rng) -> Self {
        let families = match random.u8(0..8) {
            0..=3 => vec![Family::Ipv4],
            4..=6 => vec![Family::Ipv4, Family::Ipv6],
            _ => vec![Family::Ipv6],
        };
        let both = families.len() == 2;
        let beating = choose(
            random,
            &[
                HeartbeatPath::Https,
                HeartbeatPath::Https,
                HeartbeatPath::Https,
                HeartbeatPath::None,
                HeartbeatPath::Plain,
                HeartbeatPath::Nearby,
                HeartbeatPath::Proxied,
            ],
        );
        Self {
            ipv6_broken: both && random.u8(0..8) == 0,
            heartbeats: beating,
            tunnel: random.u8(0..8) == 0,
            // Without proof, IPv6 is not judged beside IPv4.
            tls: both || random.u8(0..10) != 0,
            own_path: (random.u8(0..10) == 0).then(|| random.usize(0..ANCHORS)),
            anchors_blocked: beating == HeartbeatPath::Proxied && random.u8(0..4) == 0,
            interval_ms: choose(random, &[5, 5, 5, 5, 2, 10, 30]) * SECOND,
            servers: random.usize(1..4),
            servers_of: choose(
                random,
                &[Party::Provider, Party::Provider, Party::Yours, Party::Other],
            ),
            router_answers: random.u8(0..5) != 0,
            grace_ms: choose(random, &[60, 60, 60, 20, 120]) * SECOND,
            families,
            router_mac: MacState::Later,
            same_router_address: false,
        }
    }

    fn with_routers(self, random: &mut Rng) -> Self {
        let router_mac =
            choose(random, &[MacState::AtOnce, MacState::Later, MacState::Later, MacState::Never]);
        // If its MAC address is never known, such a network is taken for the first one.
        let same_router_address = random.bool() && router_mac != MacState::Never;
        Self { router_mac, same_router_address, ..self }
    }

    /// The world without faults.
    fn world(&self) -> World {
        let tunnels: &[Family] = if self.tunnel { &self.families } else { &[] };
        let mut world = World::good(&self.families, tunnels);
        for (family, state) in &mut world.families {
            state.tls = [self.tls; ANCHORS];
            if self.ipv6_broken && family == Family::Ipv6 {
                state.path = Anchors::Silent;
            }
            if let Some(anchor) = self.own_path {
                state.own_path[anchor] = true;
            }
            if self.anchors_blocked {
                state.anchors = [Anchors::Silent; ANCHORS];
            }
        }
        world.servers = vec![DnsState::Answered; self.servers];
        world.servers_of = self.servers_of;
        world.underlay = false;
        if !self.router_answers {
            world.gateway = GatewayState::Silent;
        }
        world.heartbeat_proves = self.heartbeats != HeartbeatPath::Plain;
        world.proxied = self.heartbeats == HeartbeatPath::Proxied;
        if self.heartbeats == HeartbeatPath::Nearby {
            world.heartbeat = Heartbeat::DeliveredNearby;
        }
        world
    }
}

impl WorldCondition {
    fn random(setup: &Setup, random: &mut Rng) -> Self {
        let family = if setup.families.len() == 2 {
            choose(random, &[None, Some(Family::Ipv4), Some(Family::Ipv6)])
        } else {
            None
        };
        let dead = [
            Anchors::Silent,
            Anchors::Silent,
            Anchors::Silent,
            Anchors::Refuse,
            Anchors::Unreachable,
            Anchors::Impostor,
            Anchors::ImpostorHangs,
            Anchors::SmallOnly,
            Anchors::Forbidden,
        ];
        match random.u8(0..31) {
            30 => Self::Box(choose(random, &[Anchors::Impostor, Anchors::ImpostorHangs])),

            0..=2 => {
                let links = [
                    LinkState::NoCarrier,
                    LinkState::NoCarrier,
                    LinkState::NoAddress,
                    LinkState::NoRoute,
                    LinkState::Prohibited,
                    LinkState::Unknown,
                ];
                Self::Link(family, choose(random, &links))
            }
            3..=8 => Self::Line(family, choose(random, &dead)),
            9 if random.bool() => Self::Owned(random.usize(0..ANCHORS)),
            9 | 10 => Self::Anchor(random.usize(0..ANCHORS), choose(random, &dead[..7])),
            11 => Self::Loss(choose(random, &[3, 8, 15, 20, 35, 60])),
            12 => Self::Latency(choose(random, &[80, 300, 700, 1_500])),
            13 => Self::RouterDead,
            14 => Self::NameServer(
                random.usize(0..setup.servers),
                choose(random, &[DnsState::Silent, DnsState::Failed, DnsState::Lied]),
            ),
            15 | 16 => Self::NameServers(choose(
                random,
                &[DnsState::Silent, DnsState::Silent, DnsState::Failed, DnsState::Lied],
            )),
            17 => Self::Stub(choose(random, &[StubState::Silent, StubState::Failed])),
            18 => Self::LoginPage(choose(
                random,
                &[Anchors::Silent, Anchors::Impostor, Anchors::ImpostorHangs, Anchors::Refuse],
            )),
            19 => Self::RouterPage(choose(random, &[Anchors::Silent, Anchors::Impostor])),
            20 if setup.tunnel => Self::TunnelDead,
            20 | 21 => Self::Endpoint(choose(
                random,
                &[
                    OutcomeKind::Refused(503),
                    OutcomeKind::Refused(401),
                    OutcomeKind::Failed(FailureKind::ConnectRefused),
                    OutcomeKind::Failed(FailureKind::AnswerTimeout),
                    OutcomeKind::Failed(FailureKind::TlsUntrusted),
                ],
            )),
            22 => Self::LocalFailure(choose(
                random,
                &[LocalFailure::NoDescriptors, LocalFailure::NoPort],
            )),
            23 => Self::Clock,
            24 => Self::Gap(choose(random, &[GapCause::Paused, GapCause::Suspended])),
            25 => Self::Gap(choose(
                random,
                &[GapCause::Stopped, GapCause::Crashed, GapCause::PowerLost],
            )),
            26 => Self::OtherNetwork,
            27 => Self::Grace(choose(random, &[5, 30, 90]) * SECOND),
            28 if setup.families.len() == 2 => Self::NoIpv6Anchors,
            _ => Self::ClockStep(choose(random, &[-3_600, -1, 30, 86_400])),
        }
    }

    fn apply(&self, world: &mut World) {
        let lines = |world: &mut World, family: Option<Family>, line| {
            for (of, state) in &mut world.families {
                if family.is_none_or(|family| family == of) {
                    state.path = line;
                }
            }
        };
        match self {
            Self::Link(family, link) => {
                for (of, state) in &mut world.families {
                    // A family that the device does not have stays absent.
                    let present = state.link != LinkState::NoAddress;
                    if present && family.is_none_or(|family| family == of) {
                        state.link = *link;
                    }
                }
            }
            Self::Line(family, line) => lines(world, *family, *line),
            Self::Anchor(anchor, end) => {
                for (_, state) in &mut world.families {
                    state.anchors[*anchor] = *end;
                }
            }
            Self::Owned(anchor) => {
                for (_, state) in &mut world.families {
                    state.owned[*anchor] = true;
                }
            }
            Self::Loss(percent) => {
                for (_, state) in &mut world.families {
                    state.loss_percent = *percent;
                }
            }
            Self::Latency(latency) => {
                for (_, state) in &mut world.families {
                    state.latency_ms = *latency;
                }
            }
            Self::RouterDead => {
                world.gateway = GatewayState::Silent;
                world.underlay = false;
                lines(world, None, Anchors::Silent);
            }
            Self::NameServer(server, state) => world.servers[*server] = *state,
            Self::NameServers(state) => world.servers.fill(*state),
            Self::Stub(state) => world.stub = *state,
            Self::LoginPage(line) => {
                world.portal = PortalState::Intercepted;
                lines(world, None, *line);
            }
            Self::RouterPage(line) => {
                world.portal = PortalState::FromRouter;
                lines(world, None, *line);
            }
            Self::Box(line) => {
                world.servers.fill(DnsState::AnsweredNearby);
                lines(world, None, *line);
            }
            Self::TunnelDead => {
                world.underlay = true;
                lines(world, None, Anchors::Silent);
            }
            Self::Endpoint(outcome) => world.endpoint = *outcome,
            Self::LocalFailure(failure) => world.local_failure = Some(*failure),
            Self::Clock => {
                if world.heartbeat_proves && world.heartbeat == Heartbeat::AsTheLineIs {
                    world.endpoint = OutcomeKind::Failed(FailureKind::TlsNotYetValid);
                }
            }
            Self::OtherNetwork => world.network = 1,
            Self::Gap(_) | Self::Grace(_) | Self::NoIpv6Anchors | Self::ClockStep(_) => {}
        }
    }
}

impl fmt::Display for RandomWorld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "seed {}, {:?}", self.seed, self.setup)?;
        for Fault { from, to, what } in &self.faults {
            writeln!(formatter, "  {:>9.3} s to {:>9.3} s: {what:?}", s(*from), s(*to))?;
        }
        write!(formatter, "  ends at {:.3} s", s(self.lasts_ms))
    }
}

#[allow(clippy::cast_precision_loss, reason = "it is for display only")]
fn s(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1_000.0
}
