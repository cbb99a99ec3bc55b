//! Derives from a world, without the machine, what is certain in each stretch of time.

use ispmon_agent::{
    heartbeat::OutcomeKind,
    outage::{Cause, GapCause, Party},
    probe::{Family, PerFamily},
};

use super::sketch::{Fault, HeartbeatPath, RandomWorld, WorldCondition};
use crate::world::{
    ANCHORS, Anchors, DnsState, GatewayState, LinkState, PortalState, StubState, World,
};

/// How long a family must have worked before it is expected to work.
const LEARNED_MS: u64 = 10_000;
/// With more loss than this, no result is certain.
const MOST_LOSS: u8 = 20;

/// A stretch of time in which nothing changes. `None` means uncertain.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact, and all combinations occur")]
pub(super) struct Stretch {
    pub(super) from: u64,
    pub(super) to: u64,
    /// Whether the agent monitors, and can send probes.
    pub(super) monitored: bool,
    /// Whether the internet is reachable.
    pub(super) internet: Option<bool>,
    /// Whether each family works; `None` also for a family that is not judged.
    pub(super) works: PerFamily<Option<bool>>,
    /// Whether every judged part works.
    pub(super) all_work: Option<bool>,
    /// Cause and party of the failure, while the internet is down.
    pub(super) cause: Option<(Cause, Party)>,
    /// The evidence that it takes to detect the failure.
    pub(super) seen: Detection,
    /// Whether every anchor answers that the connection lets through.
    pub(super) anchors: bool,
    /// Whether the endpoint responds correctly.
    pub(super) endpoint: Option<bool>,
    pub(super) loss: u8,
    pub(super) latency_ms: u64,
    /// A link or a network came up at its start, or monitoring started.
    pub(super) in_grace: bool,
    /// The device changed to another network at its start.
    pub(super) moved: bool,
    /// All judged families fail, and heartbeats may pass by one that is not judged.
    pub(super) may_be_carried: bool,
}

/// The evidence that it takes to detect a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::enum_variant_names, reason = "each reads as a sentence")]
pub(super) enum Detection {
    /// A contact.
    ByProbes,
    /// A proof.
    ByProofs,
    /// Two heartbeats in a row.
    ByHeartbeats,
    /// A lookup.
    ByLookups,
    /// Lookups that fail, each after its timeout.
    BySlowLookups,
}

/// State of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// It is not judged.
    Absent,
    Works,
    /// No link, or prohibited by the device itself.
    NoLink(Cause),
    Dead(Detection),
    Unknown,
}

/// Derives the stretches of a world.
pub(super) fn witness(sketch: &RandomWorld) -> Vec<Stretch> {
    let plot = sketch.plot();
    let boundaries = sketch.boundaries();
    let ends = boundaries.iter().skip(1).copied().chain([sketch.lasts_ms]);
    let mut stretches: Vec<Stretch> = Vec::new();
    // How long each family has worked in the first network, while monitored.
    let mut learned = PerFamily { ipv4: 0, ipv6: 0 };
    let mut known = PerFamily { ipv4: false, ipv6: false };
    for (from, to) in boundaries.iter().copied().zip(ends) {
        let world = plot.timeline.at(from);
        let is_gap = sketch.is(from, |what| matches!(what, WorldCondition::Gap(_)));
        let watched = !is_gap && world.local_failure.is_none();
        let elsewhere = world.network != 0;
        let no_ipv6 = sketch
            .faults
            .iter()
            .any(|fault| fault.what == WorldCondition::NoIpv6Anchors && fault.from <= from);
        let moment = Moment { sketch, world, from, known, elsewhere };
        let conditions = PerFamily::from_fn(|family| {
            if no_ipv6 && family == Family::Ipv6 {
                Condition::Absent
            } else {
                moment.condition(family)
            }
        });
        let mut stretch = judge(sketch, world, conditions);
        (stretch.from, stretch.to, stretch.monitored) = (from, to, watched);
        moment.forget_what_is_unknown(&mut stretch, conditions);
        // Anchors that another host answered for fall silent again: the cause is uncertain until the
        // next heartbeat.
        if sketch.setup.anchors_blocked
            && stretches.last().is_none_or(|last| last.internet != Some(true))
        {
            stretch.internet = stretch.internet.filter(|works| !works);
            stretch.all_work = stretch.all_work.filter(|fine| !fine);
        }
        // Anchors that fail while heartbeats pass by a family that is not judged count as blocked: the
        // heartbeats show that they fail too.
        if stretch.internet == Some(false)
            && stretches.last().is_some_and(|last| {
                last.may_be_carried
                    || last.internet == Some(false) && last.seen == Detection::ByHeartbeats
            })
        {
            stretch.seen = stretch.seen.max(Detection::ByHeartbeats);
        }
        let before = from.checked_sub(1).map(|before| plot.timeline.at(before));
        stretch.moved = before.is_some_and(|before| before.network != world.network);
        let resumed = stretches.last().is_none_or(|last| !last.monitored) && watched;
        stretch.in_grace = resumed
            || before.is_some_and(|before| {
                Family::BOTH.iter().any(|family| {
                    let (old, new) = (before.link(*family), world.link(*family));
                    new.route().is_some() && old != new
                })
            })
            || stretch.moved;
        for (family, learned) in &mut learned {
            let works = watched && conditions[family] == Condition::Works && !elsewhere;
            // Without a fresh round, only the proof of every five minutes shows it.
            let worth = if stretch.in_grace || *learned > 0 { to - from } else { (to - from) / 40 };
            *learned = if works { *learned + worth } else { 0 };
            known[family] |= *learned >= LEARNED_MS;
        }
        stretches.push(stretch);
    }
    stretches
}

/// The world at one moment, and what the agent may have learned of it until then.
struct Moment<'a> {
    sketch: &'a RandomWorld,
    world: &'a World,
    from: u64,
    /// The families that have proved themselves on the first network.
    known: PerFamily<bool>,
    /// Whether the device is on another network.
    elsewhere: bool,
}

impl Moment<'_> {
    fn has_proved(&self, family: Family) -> bool {
        self.known[family] && !self.elsewhere
    }

    fn condition(&self, family: Family) -> Condition {
        let setup = &self.sketch.setup;
        if !setup.families.contains(&family) || setup.ipv6_broken && family == Family::Ipv6 {
            return Condition::Absent;
        }
        let is_owned = self.world.families[family].owned.contains(&true);
        match condition(self.world, family) {
            // Where nothing has ever proved itself, contact decides.
            Condition::Dead(seen)
                if !self.has_proved(family) && (seen == Detection::ByProofs || is_owned) =>
            {
                Condition::Unknown
            }
            condition => condition,
        }
    }

    /// Resets what the agent cannot know, or need not conclude.
    fn forget_what_is_unknown(&self, stretch: &mut Stretch, conditions: PerFamily<Condition>) {
        self.forget_names(stretch);
        self.forget_families(stretch, conditions);
        self.forget_cause(stretch);
    }

    fn forget_names(&self, stretch: &mut Stretch) {
        if names_of(self.world) != Some(false) {
            return;
        }
        let is_line = stretch.seen < Detection::ByLookups;
        // With an impossible clock, a validating resolver fails.
        if self.sketch.is(self.from, |what| *what == WorldCondition::Clock) {
            stretch.internet = stretch.internet.filter(|_| is_line);
            (stretch.all_work, stretch.cause) = (None, None);
        }
        // With packet loss, a resolver may fail because of that.
        let mut families = self.world.families.iter();
        if self.world.stub != StubState::Alive && families.any(|(_, state)| state.loss_percent > 0)
        {
            stretch.internet = stretch.internet.filter(|_| is_line);
            stretch.all_work = stretch.all_work.filter(|fine| *fine);
        }
    }

    fn forget_families(&self, stretch: &mut Stretch, conditions: PerFamily<Condition>) {
        for family in self.sketch.setup.families.iter().copied() {
            // Heartbeats may still pass by a family that is not judged.
            let state = &self.world.families[family];
            if conditions[family] != Condition::Absent {
                continue;
            }
            if !(state.can_send() && state.path == Anchors::Answer) {
                stretch.endpoint = None;
            } else if stretch.internet == Some(false) {
                (stretch.internet, stretch.may_be_carried) = (None, true);
            }
        }
        // Contact decides where IPv6 never worked and is the only family.
        let ipv6 = self.world.families.ipv6.path;
        if self.sketch.setup.ipv6_broken
            && conditions.ipv4 != Condition::Works
            && matches!(ipv6, Anchors::Impostor | Anchors::ImpostorHangs | Anchors::SmallOnly)
        {
            (stretch.internet, stretch.all_work) = (None, None);
        }
        for (family, works) in &mut stretch.works {
            // A family that lost its route, or never worked here, may or may not be judged.
            *works = works.filter(|_| match conditions[family] {
                Condition::NoLink(_) => false,
                Condition::Dead(_) => self.has_proved(family),
                _ => true,
            });
        }
        // Where IPv6 alone works, it must have proved itself before it is judged.
        if conditions.ipv6 == Condition::Works
            && !self.has_proved(Family::Ipv6)
            && !matches!(conditions.ipv4, Condition::Works | Condition::Absent)
        {
            (stretch.internet, stretch.all_work) = (None, None);
        }
    }

    fn forget_cause(&self, stretch: &mut Stretch) {
        let setup = &self.sketch.setup;
        let rests_on_the_past = stretch.cause.is_some_and(|(cause, _)| {
            matches!(cause, Cause::Gateway | Cause::CaptivePortal | Cause::Isp)
        });
        let has_learned = setup.families.iter().all(|family| self.has_proved(*family));
        // A device that never had a route may be on any network, and IPv6 that never worked is the only
        // family left if IPv4 has not worked either.
        let moved =
            |fault: &Fault| fault.what == WorldCondition::OtherNetwork && fault.from <= self.from;
        let has_moved = self.sketch.faults.iter().any(moved);
        let is_lost = setup.families == [Family::Ipv6] && !self.known.ipv6
            || setup.ipv6_broken && (!self.known.ipv4 || has_moved);
        if rests_on_the_past && !has_learned || is_lost {
            stretch.cause = None;
        }
    }
}

fn condition(world: &World, family: Family) -> Condition {
    let state = &world.families[family];
    match state.link {
        LinkState::Routed | LinkState::Unknown => {}
        LinkState::Prohibited => return Condition::NoLink(Cause::Firewall),
        LinkState::NoRoute | LinkState::NoAddress | LinkState::NoCarrier => {
            return Condition::NoLink(Cause::Link);
        }
    }
    match state.path {
        // With TLS a round detects an address that the router owns; without, nothing does.
        _ if state.owned.contains(&true) && !state.tls[0] => Condition::Unknown,
        Anchors::Forbidden | Anchors::Silent | Anchors::Refuse | Anchors::Unreachable => {
            Condition::Dead(Detection::ByProbes)
        }
        // With contact alone, nothing detects it.
        _ if !state.tls[0] && state.path != Anchors::Answer => Condition::Unknown,
        Anchors::Impostor | Anchors::ImpostorHangs | Anchors::SmallOnly => {
            Condition::Dead(Detection::ByProofs)
        }
        Anchors::OnLink => Condition::Unknown,
        Anchors::Answer => {
            // An anchor with a separate path is no evidence for the family's.
            let is_alive =
                |anchor: usize| !state.own_path[anchor] && state.anchor(anchor) == Anchors::Answer;
            let alive = (0..ANCHORS).filter(|anchor| is_alive(*anchor)).count();
            // The fewer anchors are probed, the sooner all of them lose a packet at once.
            let most_loss = if alive == ANCHORS { MOST_LOSS } else { MOST_LOSS / 2 };
            if alive > 0 && state.loss_percent <= most_loss {
                Condition::Works
            } else {
                Condition::Unknown
            }
        }
    }
}

/// Derives a stretch from the states of the families.
fn judge(sketch: &RandomWorld, world: &World, conditions: PerFamily<Condition>) -> Stretch {
    let judged: Vec<_> = conditions
        .iter()
        .map(|(_, condition)| *condition)
        .filter(|condition| *condition != Condition::Absent)
        .collect();
    let works = conditions.map(|condition| match condition {
        Condition::Works => Some(true),
        Condition::NoLink(_) | Condition::Dead(_) => Some(false),
        Condition::Absent | Condition::Unknown => None,
    });
    let all = |is: fn(&Condition) -> bool| !judged.is_empty() && judged.iter().all(is);
    let any_works = judged.contains(&Condition::Works);
    let all_dead = all(|c| matches!(c, Condition::Dead(_) | Condition::NoLink(_)));
    let names = names(sketch, world);
    let hardest = |blocked: bool| {
        judged.iter().fold(Detection::ByProbes, |seen, condition| match condition {
            Condition::Dead(_) | Condition::NoLink(_) if blocked => {
                seen.max(Detection::ByHeartbeats)
            }
            Condition::Dead(by) => seen.max(*by),
            _ => seen,
        })
    };
    let mut seen = hardest(false);
    if names_of(world) == Some(false) {
        let stub = world.stub != StubState::Alive;
        seen = seen.max(if stub { Detection::BySlowLookups } else { Detection::ByLookups });
    }
    let heartbeats_pass = sketch.setup.anchors_blocked
        && names_of(world) == Some(true)
        && sketch.setup.families.iter().all(|family| {
            let state = &world.families[*family];
            state.can_send() && state.path == Anchors::Answer
        })
        && !matches!(world.endpoint, OutcomeKind::Failed(_))
        && world.portal == PortalState::Genuine;
    let (internet, cause) = if heartbeats_pass {
        (Some(true), None)
    } else if all_dead {
        seen = hardest(sketch.setup.anchors_blocked);
        (Some(false), cause(sketch, world, &judged))
    } else if any_works {
        match names {
            Some(true) => (Some(true), None),
            // A wrong clock makes a validating resolver fail.
            Some(false) if !sketch.setup.anchors_blocked && world.endpoint != clock_fault() => {
                let stub = world.stub != StubState::Alive;
                let servers = !world.servers.contains(&DnsState::Answered);
                let party = if stub { Party::Yours } else { world.servers_of };
                let is_clear = all(|c| *c == Condition::Works) && !(stub && servers);
                (Some(false), Some((Cause::Dns, party)).filter(|_| is_clear))
            }
            _ => (None, None),
        }
    } else {
        (None, None)
    };
    let fine = match (internet, names) {
        (Some(true), Some(true)) if all(|c| *c == Condition::Works) => Some(true),
        (Some(false), _) => Some(false),
        _ => None,
    };
    let states = || Family::BOTH.into_iter().map(|family| &world.families[family]);
    Stretch {
        from: 0,
        to: 0,
        monitored: true,
        internet,
        works,
        all_work: fine.filter(|_| world.portal == PortalState::Genuine || internet == Some(false)),
        cause,
        seen,
        anchors: sketch.setup.families.iter().all(|family| {
            let state = &world.families[*family];
            state.anchors.iter().all(|anchor| *anchor == Anchors::Answer)
                && !state.owned.contains(&true)
        }),
        endpoint: Some(world.endpoint == OutcomeKind::Delivered),
        loss: states().map(|state| state.loss_percent).max().unwrap_or(0),
        latency_ms: states().map(|state| state.latency_ms).max().unwrap_or(0),
        in_grace: false,
        moved: false,
        may_be_carried: false,
    }
}

fn clock_fault() -> OutcomeKind {
    OutcomeKind::Failed(ispmon_agent::heartbeat::FailureKind::TlsNotYetValid)
}

/// Whether DNS works.
fn names(sketch: &RandomWorld, world: &World) -> Option<bool> {
    // Through a proxy, heartbeats need no DNS, and nothing else has to.
    let proxied = sketch.setup.heartbeats == HeartbeatPath::Proxied;
    names_of(world).filter(|works| *works || !proxied)
}

fn names_of(world: &World) -> Option<bool> {
    if world.stub != StubState::Alive {
        return Some(false);
    }
    let answers = |server: &DnsState| *server == DnsState::Answered;
    if world.servers.iter().all(answers) {
        Some(true)
    } else if world.servers.iter().any(answers) {
        None
    } else {
        // If some name servers lie and some fail, the resolver's result depends on their order.
        let first = world.servers.first();
        world.servers.iter().all(|server| Some(server) == first).then_some(false)
    }
}

/// The cause when no family works.
fn cause(sketch: &RandomWorld, world: &World, judged: &[Condition]) -> Option<(Cause, Party)> {
    let first = judged[0];
    if let Condition::NoLink(cause) = first {
        return judged.iter().all(|other| *other == first).then_some((cause, Party::Yours));
    }
    // The same must hold for all of them.
    let states: Vec<_> =
        sketch.setup.families.iter().map(|family| &world.families[*family]).collect();
    if states.iter().any(|state| state.path != states[0].path || state.link != LinkState::Routed) {
        return None;
    }
    if states[0].path == Anchors::Forbidden {
        return Some((Cause::Firewall, Party::Yours));
    }
    if sketch.setup.ipv6_broken {
        return None;
    }
    let silent = world.gateway == GatewayState::Silent && sketch.setup.router_answers;
    match world.portal {
        // A login page within the tunnel has no certain party.
        _ if sketch.setup.tunnel && world.portal != PortalState::Genuine => None,
        _ if sketch.setup.tunnel && world.underlay => Some((Cause::Vpn, Party::Yours)),
        _ if sketch.setup.tunnel => None,
        _ if silent => Some((Cause::Gateway, Party::Yours)),
        // Contact does not prove that the network has worked without a login.
        _ if world.portal != PortalState::Genuine && !sketch.setup.tls => None,
        PortalState::Intercepted => Some((Cause::CaptivePortal, Party::Other)),
        _ => Some((Cause::Isp, Party::Provider)),
    }
}

/// Whether a gap was announced, so that its start is exact.
pub(super) fn is_dated(cause: GapCause) -> bool {
    !matches!(cause, GapCause::Crashed | GapCause::PowerLost)
}
