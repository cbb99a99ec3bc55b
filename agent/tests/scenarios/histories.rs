//! Random histories: what must always hold does, whatever is told in whatever order.

use std::time::Duration;

use fastrand::Rng;
use ispmon_agent::{
    clock::{BootId, Stamp},
    heartbeat::{self, FailureKind},
    outage::{
        BeatOutcome, Evidence, Gap, GapCause, Incident, IncidentId, Limits, Machine,
        MachineSettings, Observation, ProbeKind, Round, SettleReason, Transition,
    },
    probe::{Connect, Connected, Dns, Family, Gateway, Link, Portal, Route},
};
use proptest::prelude::*;

use crate::{
    invariants::Invariants,
    player::{self, Plot},
    world::{Anchors, Change, FamilyName, World, anchor_of},
};

/// One thing that happens, some time after the one before.
#[derive(Clone, Debug)]
enum Happening {
    Settle(SettleReason),
    Link(Family, Link),
    Probe(Family, Option<u64>),
    /// How long ago something was sent that failed.
    Doubt(Option<Family>, u64),
    /// How long ago it began, and whether an anchor answered.
    Round(Family, u64, bool),
    Gateway(Family, Gateway),
    Dns(Dns),
    Portal(Portal),
    Beneath(Family, bool),
    Beat(Option<Family>, u64, BeatOutcome),
    /// How long nobody watches, and why.
    Gap(u64, GapCause),
    Implausible(bool),
    Tick,
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]
}

fn link() -> impl Strategy<Value = Link> {
    let routed = prop_oneof![3 => Just(false), 1 => Just(true)].prop_map(|tunnel| {
        Link::Routed(Route {
            interface: "eth0".to_owned(),
            index: 2,
            source: None,
            gateway: None,
            tunnel,
        })
    });
    prop_oneof![
        4 => routed,
        1 => Just(Link::NoRoute),
        1 => Just(Link::NoCarrier),
    ]
}

fn outcome() -> impl Strategy<Value = BeatOutcome> {
    prop_oneof![
        3 => Just(BeatOutcome::Delivered),
        1 => Just(BeatOutcome::Refused(401)),
        1 => Just(BeatOutcome::Refused(500)),
        1 => Just(BeatOutcome::Failed(FailureKind::ResolveTimeout)),
        1 => Just(BeatOutcome::Failed(FailureKind::TlsNotYetValid)),
        1 => Just(BeatOutcome::Failed(FailureKind::ConnectTimeout)),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::{
        Beat, Beneath, Dns as Names, Doubt, Gap as Unwatched, Gateway as Router, Implausible,
        Link as Way, Portal as Page, Probe, Round as Asked, Settle, Tick,
    };
    let reason = prop_oneof![
        Just(SettleReason::Started),
        Just(SettleReason::Resumed),
        Just(SettleReason::LinkUp)
    ];
    let router = prop_oneof![
        Just(Gateway::Alive),
        Just(Gateway::Silent),
        Just(Gateway::Gone),
        Just(Gateway::NotAsked)
    ];
    let names =
        prop_oneof![Just(Dns::Answered), Just(Dns::Silent), Just(Dns::Lied), Just(Dns::NotAsked)];
    let page =
        prop_oneof![Just(Portal::Genuine), Just(Portal::Intercepted), Just(Portal::NoAnswer)];
    let gap = prop_oneof![
        Just(GapCause::Suspended),
        Just(GapCause::Paused),
        Just(GapCause::Stopped),
        Just(GapCause::Crashed),
        Just(GapCause::PowerLost)
    ];
    prop_oneof![
        1 => reason.prop_map(Settle),
        2 => (family(), link()).prop_map(|(family, link)| Way(family, link)),
        4 => (family(), prop::option::weighted(0.7, 1_u64..1_000))
            .prop_map(|(family, rtt)| Probe(family, rtt)),
        3 => (prop::option::of(family()), 0_u64..30_000).prop_map(|(family, ago)| Doubt(family, ago)),
        16 => (family(), 0_u64..6_000, prop::bool::weighted(0.35))
            .prop_map(|(family, ago, good)| Asked(family, ago, good)),
        2 => (family(), router).prop_map(|(family, answer)| Router(family, answer)),
        2 => names.prop_map(Names),
        2 => page.prop_map(Page),
        1 => (family(), any::<bool>()).prop_map(|(family, alive)| Beneath(family, alive)),
        4 => (prop::option::of(family()), 0_u64..30_000, outcome())
            .prop_map(|(family, ago, outcome)| Beat(family, ago, outcome)),
        1 => (0_u64..3_600_000, gap).prop_map(|(lasts, cause)| Unwatched(lasts, cause)),
        1 => any::<bool>().prop_map(Implausible),
        6 => Just(Tick),
    ]
}

/// The machine, its clock and its journal.
struct History {
    machine: Machine,
    random: Rng,
    boot: u128,
    boot_ms: u64,
    wall_ms: i64,
    recorded: Vec<Incident>,
    invariants: Invariants,
}

impl History {
    fn begin() -> Self {
        let mut random = Rng::with_seed(1);
        let now = stamp(1, 60_000, 0);
        Self {
            machine: Machine::new(settings(), random.fork(), Vec::new(), now),
            random,
            boot: 1,
            boot_ms: 60_000,
            wall_ms: 0,
            recorded: Vec::new(),
            invariants: Invariants::default(),
        }
    }

    fn now(&self) -> Stamp {
        stamp(self.boot, self.boot_ms, self.wall_ms)
    }

    fn pass(&mut self, milliseconds: u64) {
        self.boot_ms += milliseconds;
        self.wall_ms += milliseconds.cast_signed();
    }

    fn tell(&mut self, evidence: &Evidence) {
        let now = self.now();
        let transitions = self.machine.observe(evidence, now);
        self.invariants.check(&self.machine, evidence, &transitions, now);
        for transition in transitions {
            match transition {
                Transition::Opened(incident)
                | Transition::Changed(incident)
                | Transition::Progressed(incident) => {
                    self.recorded.retain(|recorded| recorded.id != incident.id);
                    self.recorded.push(incident);
                }
                Transition::Closed(incident) => {
                    self.recorded.retain(|recorded| recorded.id != incident.id);
                }
                Transition::Watched(_) => {}
            }
        }
    }

    fn happen(&mut self, happening: &Happening) {
        let now = self.now();
        let ago = |ms: u64| now.earlier(Duration::from_millis(ms));
        let observation = |probe, answer: &str| Observation {
            probe,
            target: "test".to_owned(),
            family: None,
            answer: answer.to_owned(),
            ms: None,
            at: now,
        };
        let evidence = match happening.clone() {
            Happening::Settle(reason) => Evidence::Settle(reason),
            Happening::Link(family, link) => Evidence::Link { family, link, asked: now },
            Happening::Probe(family, rtt) => Evidence::Probe {
                family,
                anchor: anchor_of(family),
                sent: ago(rtt.unwrap_or(1_000)),
                rtt: rtt.map(Duration::from_millis),
            },
            Happening::Doubt(family, since) => Evidence::Doubt { family, since: ago(since) },
            Happening::Round(family, began, good) => {
                let end = if good { Connect::Connected } else { Connect::TimedOut };
                let answer = Connected {
                    target: "192.0.2.1:443".parse().expect("an address"),
                    sent: ago(began),
                    took: Duration::from_millis(began.min(2_500)),
                    end,
                };
                let answers = vec![answer];
                Evidence::Round(Round { family, started: ago(began), finished: now, answers })
            }
            Happening::Gateway(family, answer) => Evidence::Gateway {
                family,
                answer,
                observation: observation(ProbeKind::Gateway, answer.as_str()),
            },
            Happening::Dns(system) => Evidence::Dns {
                system,
                direct: system,
                resolver_is_providers: true,
                asked: now,
                observations: vec![observation(ProbeKind::SystemDns, system.as_str())],
            },
            Happening::Portal(answer) => Evidence::Portal {
                answer,
                observation: observation(ProbeKind::Portal, answer.as_str()),
            },
            Happening::Beneath(family, alive) => Evidence::Beneath {
                family,
                alive,
                observation: observation(ProbeKind::Beneath, "connected"),
            },
            Happening::Beat(family, began, outcome) => Evidence::Heartbeat {
                started: ago(began),
                finished: now,
                way: family.map_or(heartbeat::Way::Unknown, heartbeat::Way::Internet),
                outcome,
            },
            Happening::Gap(lasts, cause) => return self.leave(lasts, cause),
            Happening::Implausible(implausible) => Evidence::ClockImplausible(implausible),
            Happening::Tick => Evidence::Tick,
        };
        self.tell(&evidence);
    }

    /// Nobody watches for a while.
    fn leave(&mut self, lasts: u64, cause: GapCause) {
        let started = self.now();
        self.pass(lasts);
        if cause == GapCause::PowerLost {
            self.boot += 1;
            self.boot_ms = 5_000;
        }
        let ended = self.now();
        let restarted = !matches!(cause, GapCause::Suspended | GapCause::Paused);
        if restarted {
            let open = self.recorded.clone();
            self.machine = Machine::new(settings(), self.random.fork(), open, ended);
        }
        let id = IncidentId::new(ended, &mut self.random);
        self.tell(&Evidence::Watched(Gap {
            id,
            cause,
            started,
            ended,
            uncertain_s: 0,
            reason: None,
        }));
        let reason = if restarted { SettleReason::Started } else { SettleReason::Resumed };
        self.tell(&Evidence::Settle(reason));
    }
}

fn stamp(boot: u128, boot_ms: u64, wall_ms: i64) -> Stamp {
    let boot: BootId = uuid::Uuid::from_u128(boot).to_string().parse().expect("a boot id");
    let wall = jiff::Timestamp::from_millisecond(1_800_000_000_000 + wall_ms).expect("a time");
    Stamp { boot, boot_ms, wall }
}

/// Settings under which rare things are frequent.
fn settings() -> MachineSettings {
    MachineSettings {
        settle: Duration::from_secs(20),
        limits: Limits {
            unstable_within: Duration::from_hours(6),
            unstable_quiet: Duration::from_mins(2),
            credentials_after: Duration::from_secs(30),
            quality_window: Duration::from_secs(30),
            ..Limits::default()
        },
    }
}

fn routed(tunnel: bool) -> Link {
    Link::Routed(Route {
        interface: "eth0".to_owned(),
        index: 2,
        source: None,
        gateway: None,
        tunnel,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_evidence_in_any_order_breaks_what_must_hold(
        happenings in prop::collection::vec((0_u64..8_000, happening()), 1..250),
    ) {
        let mut history = History::begin();
        history.tell(&Evidence::Settle(SettleReason::Started));
        for (later, happening) in &happenings {
            history.pass(*later);
            history.happen(happening);
        }
    }

}

// These play for longer.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_line_that_works_and_one_that_fails_alternate(
        phases in prop::collection::vec((3_000_u64..90_000, any::<bool>(), family()), 1..60),
    ) {
        let mut history = History::begin();
        history.tell(&Evidence::Settle(SettleReason::Started));
        let now = history.now();
        for family in Family::BOTH {
            history.tell(&Evidence::Link { family, link: routed(false), asked: now });
        }
        for (lasts, good, which) in phases {
            for _ in 0..lasts / 1_500 {
                history.pass(1_500);
                for family in Family::BOTH {
                    let good = good || family != which;
                    history.happen(&Happening::Round(family, 1_000, good));
                }
                history.happen(&Happening::Tick);
            }
        }
    }

    #[test]
    fn a_blip_never_becomes_an_incident(
        seed: u64,
        both: bool,
        blips in prop::collection::vec((12_000_u64..60_000, 1_u64..2_900), 1..30),
    ) {
        let families: &[FamilyName] =
            if both { &[FamilyName::Ipv4, FamilyName::Ipv6] } else { &[FamilyName::Ipv4] };
        let mut at = 60_000;
        let mut changes = Vec::new();
        for (after, lasts) in blips {
            at += after;
            for (at, anchors) in [(at, Anchors::Silent), (at + lasts, Anchors::Answer)] {
                changes.push((at, Change { anchors: Some(anchors), ..Change::default() }));
            }
            at += lasts;
        }
        let outcome = player::play(&plot(World::good(families, false), changes, at + 60_000, seed));
        let lines = outcome.transitions.iter().filter(|(_, transition)| {
            matches!(transition, Transition::Opened(incident) if incident.downtime_ms > 0)
        });
        prop_assert_eq!(lines.count(), 0);
    }

    #[test]
    fn an_outage_is_known_within_ten_seconds_and_timed_within_the_design(
        seed: u64,
        both: bool,
        began in 60_000_u64..120_000,
        lasts in 15_000_u64..600_000,
        anchors in prop_oneof![
            Just(Anchors::Silent), Just(Anchors::Refuse), Just(Anchors::Unreachable),
        ],
    ) {
        let families: &[FamilyName] =
            if both { &[FamilyName::Ipv4, FamilyName::Ipv6] } else { &[FamilyName::Ipv4] };
        let ended = began + lasts;
        let changes = [(began, anchors), (ended, Anchors::Answer)].map(|(at, anchors)| {
            (at, Change { anchors: Some(anchors), ..Change::default() })
        });
        let world = World::good(families, false);
        let outcome = player::play(&plot(world, changes.to_vec(), ended + 30_000, seed));
        let [(known, Transition::Opened(opened)), (_, Transition::Closed(closed))] =
            &outcome.transitions[..]
        else {
            return Err(TestCaseError::fail(format!("{:#?}", outcome.transitions)));
        };
        let of_story = |stamp: Stamp| stamp.boot_ms - 1_000;
        prop_assert!(*known <= began + 10_000, "known at {known}, began at {began}");
        prop_assert!((began..=began + 5_000).contains(&of_story(opened.started)), "{opened:#?}");
        let end = of_story(closed.ended.expect("it is closed"));
        prop_assert!((ended..=ended + 2_000).contains(&end), "{end} and {ended}");
    }
}

fn plot(world: World, changes: Vec<(u64, Change)>, lasts_ms: u64, seed: u64) -> Plot {
    Plot {
        begins: "2026-03-10T01:00:00Z".parse().expect("a time"),
        lasts_ms,
        gap_ends: vec![None; changes.len()],
        world,
        changes,
        heartbeats: true,
        settings: MachineSettings::default(),
        usual_ms: None,
        seed,
    }
}
