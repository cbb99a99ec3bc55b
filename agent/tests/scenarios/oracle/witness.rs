//! What a perfect witness, who knows the world and not the machine, knows of each stretch of time.

use ispmon_agent::{
    outage::{BeatOutcome, Cause, GapCause, Party},
    probe::{Family, PerFamily},
};

use super::sketch::{Beating, Sketch, What};
use crate::world::{
    ANCHORS, Anchors, DnsState, GatewayState, LinkState, PortalState, StubState, World,
};

/// How long a family must have worked, for something to be expected of it from then on.
const LEARNED_MS: u64 = 10_000;
/// More loss than this may look like anything.
const MOST_LOSS: u8 = 20;

/// A stretch of time in which nothing changes. `None` is what nobody can know.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stretch {
    pub(super) from: u64,
    pub(super) to: u64,
    /// Whether the agent watches, and can ask.
    pub(super) watched: bool,
    /// Whether the internet can be used.
    pub(super) internet: Option<bool>,
    /// Whether each family works; none where it is not judged.
    pub(super) works: PerFamily<Option<bool>>,
    /// Whether all that is judged works.
    pub(super) fine: Option<bool>,
    /// What failed, and whose part, where the internet is down.
    pub(super) cause: Option<(Cause, Party)>,
    /// What it takes to see the failure.
    pub(super) seen: Seen,
    /// Whether every anchor answers that the line lets through.
    pub(super) anchors: bool,
    /// Whether the endpoint answers as it should.
    pub(super) endpoint: Option<bool>,
    pub(super) loss: u8,
    pub(super) latency_ms: u64,
    /// A link or a network came up at its beginning, or the agent began to watch.
    pub(super) unsettled: bool,
}

/// What it takes to see a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::enum_variant_names, reason = "each reads as a sentence")]
pub(super) enum Seen {
    /// A contact.
    ByProbes,
    /// A proof.
    ByProofs,
    /// Two heartbeats in a row.
    ByHeartbeats,
    /// A look-up.
    ByLookups,
    /// Look-ups that end in failure, each after its time.
    BySlowLookups,
}

/// What is to be said of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// It is not judged.
    Absent,
    Works,
    /// No link, or the device itself forbids it.
    NoLink(Cause),
    Dead(Seen),
    Unknown,
}

/// What is known of the world that a sketch describes.
#[allow(clippy::too_many_lines, reason = "it is one list of what a perfect witness knows")]
pub(super) fn witness(sketch: &Sketch) -> Vec<Stretch> {
    let plot = sketch.plot();
    let boundaries = sketch.boundaries();
    let ends = boundaries.iter().skip(1).copied().chain([sketch.lasts_ms]);
    let mut stretches: Vec<Stretch> = Vec::new();
    // How long each family has worked in the first network, since it was watched.
    let mut learned = PerFamily { ipv4: 0, ipv6: 0 };
    let mut known = PerFamily { ipv4: false, ipv6: false };
    for (from, to) in boundaries.iter().copied().zip(ends) {
        let world = plot.timeline.at(from);
        let is_gap = sketch.is(from, |what| matches!(what, What::Gap(_)));
        let watched = !is_gap && world.local_failure.is_none();
        let elsewhere = world.network != 0;
        let no_ipv6 = sketch
            .faults
            .iter()
            .any(|fault| fault.what == What::NoIpv6Anchors && fault.from <= from);
        let conditions = PerFamily::from_fn(|family| {
            let ipv6 = family == Family::Ipv6;
            if !sketch.setup.families.contains(&family)
                || ipv6 && (sketch.setup.ipv6_broken || no_ipv6)
            {
                return Condition::Absent;
            }
            let has_proved = known[family] && !elsewhere;
            match condition(world, family) {
                // Where nothing has ever proved itself, contact decides.
                Condition::Dead(Seen::ByProofs) if !has_proved => Condition::Unknown,
                Condition::Dead(_)
                    if !has_proved && world.families[family].owned.contains(&true) =>
                {
                    Condition::Unknown
                }
                condition => condition,
            }
        });
        let mut stretch = judge(sketch, world, conditions);
        // With an impossible clock a resolver fails that validates.
        if sketch.is(from, |what| *what == What::Clock) && names_of(world) == Some(false) {
            (stretch.internet, stretch.fine, stretch.cause) =
                (stretch.internet.filter(|_| stretch.seen < Seen::ByLookups), None, None);
        }
        // Heartbeats may still go by a family that is not judged.
        for family in sketch.setup.families.iter().copied() {
            if conditions[family] == Condition::Absent {
                let state = &world.families[family];
                if !(state.can_send() && state.line == Anchors::Answer) {
                    stretch.endpoint = None;
                } else if stretch.internet == Some(false) {
                    stretch.internet = None;
                }
            }
        }
        for family in Family::BOTH {
            // A family that lost its way, or never worked here, is not judged for sure.
            let sure = match conditions[family] {
                Condition::NoLink(_) => false,
                Condition::Dead(_) => known[family] && !elsewhere,
                _ => true,
            };
            if !sure {
                stretch.works[family] = None;
            }
        }
        (stretch.from, stretch.to, stretch.watched) = (from, to, watched);
        // Anchors that were answered for by somebody else fall silent again: nobody knows why until the
        // next heartbeat.
        if sketch.setup.anchors_blocked
            && stretches.last().is_none_or(|last| last.internet != Some(true))
        {
            stretch.internet = stretch.internet.filter(|works| !works);
            stretch.fine = stretch.fine.filter(|fine| !fine);
        }
        if stretch.cause.is_some_and(|(cause, _)| needs_the_past(cause))
            && (elsewhere || !sketch.setup.families.iter().all(|family| known[*family]))
        {
            stretch.cause = None;
        }
        // On a line that loses packets a resolver may fail for that.
        if world.stub != StubState::Alive
            && world.families.iter().any(|(_, state)| state.loss_percent > 0)
        {
            stretch.internet = stretch.internet.filter(|_| stretch.seen < Seen::ByLookups);
            stretch.fine = stretch.fine.filter(|fine| *fine);
        }
        // A device that never had a way to send may be on any network.
        if sketch.setup.families == [Family::Ipv6] && !known.ipv6 {
            stretch.cause = None;
        }
        // Where IPv6 alone works, it must have proved itself before it is judged.
        if conditions.ipv6 == Condition::Works
            && (!known.ipv6 || elsewhere)
            && !matches!(conditions.ipv4, Condition::Works | Condition::Absent)
        {
            (stretch.internet, stretch.fine) = (None, None);
        }
        // IPv6 that never worked is all that is left where IPv4 has not worked either.
        if sketch.setup.ipv6_broken && !known.ipv4 {
            stretch.cause = None;
        }
        let before = from.checked_sub(1).map(|before| plot.timeline.at(before));
        let resumed = stretches.last().is_none_or(|last| !last.watched) && watched;
        stretch.unsettled = resumed
            || before.is_some_and(|before| {
                Family::BOTH.iter().any(|family| {
                    let (old, new) = (before.link(*family), world.link(*family));
                    new.route().is_some() && old != new
                })
            });
        for (family, learned) in &mut learned {
            let works = watched && conditions[family] == Condition::Works && !elsewhere;
            // Without a fresh look, only the proof of every five minutes tells.
            let worth =
                if stretch.unsettled || *learned > 0 { to - from } else { (to - from) / 40 };
            *learned = if works { *learned + worth } else { 0 };
            known[family] |= *learned >= LEARNED_MS;
        }
        stretches.push(stretch);
    }
    stretches
}

/// Whether a cause rests on what was learned before.
fn needs_the_past(cause: Cause) -> bool {
    matches!(cause, Cause::Gateway | Cause::CaptivePortal | Cause::Isp)
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
    match state.line {
        Anchors::Forbidden => Condition::Dead(Seen::ByProbes),
        // With TLS a round sees through an address that the router owns; without, nobody does.
        _ if state.owned.contains(&true) && !state.tls[0] => Condition::Unknown,
        Anchors::Silent | Anchors::Refuse | Anchors::Unreachable => Condition::Dead(Seen::ByProbes),
        // Where contact is all that is asked for, nobody sees it.
        _ if !state.tls[0] && state.line != Anchors::Answer => Condition::Unknown,
        Anchors::Impostor | Anchors::ImpostorHangs | Anchors::SmallOnly => {
            Condition::Dead(Seen::ByProofs)
        }
        Anchors::OnLink => Condition::Unknown,
        Anchors::Answer => {
            let alive = (0..ANCHORS).any(|anchor| state.anchor(anchor) == Anchors::Answer);
            if alive && state.loss_percent <= MOST_LOSS {
                Condition::Works
            } else {
                Condition::Unknown
            }
        }
    }
}

/// What follows from how the families are.
fn judge(sketch: &Sketch, world: &World, conditions: PerFamily<Condition>) -> Stretch {
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
        judged.iter().fold(Seen::ByProbes, |seen, condition| match condition {
            Condition::Dead(_) | Condition::NoLink(_) if blocked => seen.max(Seen::ByHeartbeats),
            Condition::Dead(by) => seen.max(*by),
            _ => seen,
        })
    };
    let mut seen = hardest(false);
    if names_of(world) == Some(false) {
        let stub = world.stub != StubState::Alive;
        seen = seen.max(if stub { Seen::BySlowLookups } else { Seen::ByLookups });
    }
    let heartbeats_pass = sketch.setup.anchors_blocked
        && names_of(world) == Some(true)
        && sketch.setup.families.iter().all(|family| {
            let state = &world.families[*family];
            state.can_send() && state.line == Anchors::Answer
        })
        && !matches!(world.endpoint, BeatOutcome::Failed(_))
        && world.portal == PortalState::Genuine;
    let (internet, cause) = if heartbeats_pass {
        (Some(true), None)
    } else if all_dead {
        seen = hardest(sketch.setup.anchors_blocked);
        (Some(false), cause(sketch, world, &judged))
    } else if any_works {
        match names {
            Some(true) => (Some(true), None),
            // A wrong clock makes a resolver fail that validates.
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
        watched: true,
        internet,
        works,
        fine: fine.filter(|_| world.portal == PortalState::Genuine || internet == Some(false)),
        cause,
        seen,
        anchors: sketch.setup.families.iter().all(|family| {
            let state = &world.families[*family];
            state.anchors.iter().all(|anchor| *anchor == Anchors::Answer)
                && !state.owned.contains(&true)
        }),
        endpoint: Some(world.endpoint == BeatOutcome::Delivered),
        loss: states().map(|state| state.loss_percent).max().unwrap_or(0),
        latency_ms: states().map(|state| state.latency_ms).max().unwrap_or(0),
        unsettled: false,
    }
}

fn clock_fault() -> BeatOutcome {
    BeatOutcome::Failed(ispmon_agent::heartbeat::FailureKind::TlsNotYetValid)
}

/// Whether names can be looked up.
fn names(sketch: &Sketch, world: &World) -> Option<bool> {
    // Through a proxy heartbeats look no names up, and nothing else has to.
    let proxied = sketch.setup.beating == Beating::Proxied;
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
        // Some that lie and some that fail: what the resolver makes of it depends on their order.
        let first = world.servers.first();
        world.servers.iter().all(|server| Some(server) == first).then_some(false)
    }
}

/// What failed when no family works.
fn cause(sketch: &Sketch, world: &World, judged: &[Condition]) -> Option<(Cause, Party)> {
    let first = judged[0];
    if let Condition::NoLink(cause) = first {
        return judged.iter().all(|other| *other == first).then_some((cause, Party::Yours));
    }
    // The same must hold for all of them.
    let states: Vec<_> =
        sketch.setup.families.iter().map(|family| &world.families[*family]).collect();
    if states.iter().any(|state| state.line != states[0].line || state.link != LinkState::Routed) {
        return None;
    }
    if states[0].line == Anchors::Forbidden {
        return Some((Cause::Firewall, Party::Yours));
    }
    if sketch.setup.ipv6_broken {
        return None;
    }
    let silent = world.gateway == GatewayState::Silent && sketch.setup.router_answers;
    match world.portal {
        _ if sketch.setup.tunnel && world.underlay => Some((Cause::Vpn, Party::Yours)),
        _ if sketch.setup.tunnel => None,
        _ if silent => Some((Cause::Gateway, Party::Yours)),
        // Contact does not prove that the network has worked without a login.
        _ if world.portal != PortalState::Genuine && !sketch.setup.tls => None,
        PortalState::Intercepted => Some((Cause::CaptivePortal, Party::Other)),
        _ => Some((Cause::Isp, Party::Provider)),
    }
}

/// Whether a gap was announced, so that it is dated to the moment.
pub(super) fn is_dated(cause: GapCause) -> bool {
    !matches!(cause, GapCause::Crashed | GapCause::PowerLost)
}
