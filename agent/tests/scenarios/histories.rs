//! Random histories: the invariants hold for any evidence in any order.

use std::time::Duration;

use fastrand::Rng;
use ispmon_agent::{
    clock::{BootId, Stamp},
    heartbeat::{self, FailureKind, OutcomeKind},
    outage::{
        Cause, Evidence, Gap, GapCause, GraceReason, Incident, IncidentId, MachineLimits,
        MachineSettings, OutageMachine, Party, RoundResult, Transition,
    },
    probe::{
        AnchorAnswer, AnchorEnd, DnsOutcome, Family, LinkAnswer, LocalFailure, PerFamily,
        PortalOutcome, ProbeKind, Route, RouterOutcome, ServerAnswer,
    },
};
use proptest::prelude::*;

use crate::{
    invariants::Invariants,
    player::{self, HeartbeatSchedule, Plot, anchor_of, observation},
    timeline::Timeline,
    world::{Anchors, MacState, World},
};

/// One event, some time after the previous one.
#[derive(Clone, Debug)]
enum Event {
    Grace(GraceReason),
    Link(Family, LinkAnswer),
    Probe(Family, Option<u64>),
    /// Age of the failed attempt, in milliseconds.
    Doubt(Option<Family>, u64),
    /// Age of its start in milliseconds, and its anchor's answer.
    Round(Family, u64, AnchorEnd),
    /// Age of its start in milliseconds.
    Proof(Family, u64),
    NotAsked(LocalFailure),
    Gateway(Family, RouterOutcome),
    /// Age of its start in milliseconds.
    Lookup(DnsOutcome, u64),
    NameServers(DnsOutcome, u64, Party),
    Portal(PortalOutcome, bool),
    Underlay(Family, bool),
    Beat(Option<heartbeat::NetworkPath>, u64, OutcomeKind),
    NoAnchors(Family),
    NoHeartbeats,
    /// Length of the unmonitored period in milliseconds, and its cause.
    Gap(u64, GapCause),
    Implausible(bool),
    Tick,
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]
}

fn link() -> impl Strategy<Value = LinkAnswer> {
    let routed = prop_oneof![3 => Just(false), 1 => Just(true)].prop_map(|tunnel| {
        LinkAnswer::Routed(Route {
            interface: "eth0".to_owned(),
            index: 2,
            source: None,
            gateway: None,
            gateway_mac: None,
            tunnel,
        })
    });
    prop_oneof![
        4 => routed,
        1 => Just(LinkAnswer::NoRoute),
        1 => Just(LinkAnswer::NoCarrier),
        1 => Just(LinkAnswer::Prohibited),
        1 => Just(LinkAnswer::Unknown),
    ]
}

fn outcome() -> impl Strategy<Value = OutcomeKind> {
    prop_oneof![
        3 => Just(OutcomeKind::Delivered),
        1 => Just(OutcomeKind::Refused(401)),
        1 => Just(OutcomeKind::Refused(500)),
        1 => Just(OutcomeKind::AppStopped),
        1 => Just(OutcomeKind::OtherAnswer),
        1 => Just(OutcomeKind::Failed(FailureKind::ResolveTimeout)),
        1 => Just(OutcomeKind::Failed(FailureKind::TlsNotYetValid)),
        1 => Just(OutcomeKind::Failed(FailureKind::ConnectTimeout)),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    use Event::{
        Beat, Doubt, Gap as Unmonitored, Gateway as Router, Grace, Implausible, Link as Path,
        Lookup, NameServers, NoAnchors, NoHeartbeats, NotAsked, Portal as Page, Probe, Proof,
        Round as Asked, Tick, Underlay,
    };
    let reason = prop_oneof![
        Just(GraceReason::Started),
        Just(GraceReason::Resumed),
        Just(GraceReason::LinkUp)
    ];
    let router = prop_oneof![
        Just(RouterOutcome::Alive),
        Just(RouterOutcome::Silent),
        Just(RouterOutcome::Gone),
        Just(RouterOutcome::NotAsked)
    ];
    let names = || {
        prop_oneof![
            Just(DnsOutcome::Answered),
            Just(DnsOutcome::Silent),
            Just(DnsOutcome::Lied),
            Just(DnsOutcome::Failed)
        ]
    };
    let party = prop_oneof![Just(Party::Yours), Just(Party::Provider), Just(Party::Other)];
    let end = prop_oneof![
        7 => Just(AnchorEnd::Proved),
        8 => Just(AnchorEnd::TimedOut),
        2 => Just(AnchorEnd::Contact),
        2 => Just(AnchorEnd::Unproved),
        1 => Just(AnchorEnd::Refused),
        1 => Just(AnchorEnd::Forbidden),
        1 => Just(AnchorEnd::OnLink),
    ];
    let proof = prop::option::of(prop_oneof![
        3 => family().prop_map(heartbeat::NetworkPath::Internet),
        1 => Just(heartbeat::NetworkPath::Unknown),
        1 => Just(heartbeat::NetworkPath::Nearby),
    ]);
    let page = prop_oneof![
        Just(PortalOutcome::Genuine),
        Just(PortalOutcome::Intercepted),
        Just(PortalOutcome::NoAnswer)
    ];
    let gap = prop_oneof![
        Just(GapCause::Suspended),
        Just(GapCause::Paused),
        Just(GapCause::Stopped),
        Just(GapCause::Crashed),
        Just(GapCause::PowerLost)
    ];
    prop_oneof![
        1 => reason.prop_map(Grace),
        2 => (family(), link()).prop_map(|(family, link)| Path(family, link)),
        4 => (family(), prop::option::weighted(0.7, 1_u64..1_000))
            .prop_map(|(family, rtt)| Probe(family, rtt)),
        3 => (prop::option::of(family()), 0_u64..30_000).prop_map(|(family, ago)| Doubt(family, ago)),
        16 => (family(), 0_u64..6_000, end).prop_map(|(family, ago, end)| Asked(family, ago, end)),
        1 => (family(), 0_u64..6_000).prop_map(|(family, ago)| Proof(family, ago)),
        1 => Just(NotAsked(LocalFailure::NoDescriptors)),
        2 => (family(), router).prop_map(|(family, answer)| Router(family, answer)),
        2 => (names(), 0_u64..20_000).prop_map(|(answer, ago)| Lookup(answer, ago)),
        3 => (names(), 0_u64..2_000, party)
            .prop_map(|(answer, ago, party)| NameServers(answer, ago, party)),
        2 => (page, any::<bool>()).prop_map(|(page, from_router)| Page(page, from_router)),
        1 => (family(), any::<bool>()).prop_map(|(family, alive)| Underlay(family, alive)),
        4 => (proof, 0_u64..30_000, outcome())
            .prop_map(|(proof, ago, outcome)| Beat(proof, ago, outcome)),
        1 => family().prop_map(NoAnchors),
        1 => Just(NoHeartbeats),
        1 => (0_u64..3_600_000, gap).prop_map(|(lasts, cause)| Unmonitored(lasts, cause)),
        1 => any::<bool>().prop_map(Implausible),
        6 => Just(Tick),
    ]
}

/// The machine, its clock and its journal.
struct History {
    machine: OutageMachine,
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
            machine: OutageMachine::new(settings(), random.fork(), Vec::new(), now),
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

    fn observe(&mut self, evidence: &Evidence) {
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
                Transition::GapEnded(_) => {}
            }
        }
    }

    fn handle(&mut self, event: &Event) {
        let now = self.now();
        let ago = |ms: u64| now.earlier(Duration::from_millis(ms));
        let seen = |probe, answer: &str, began| observation(probe, None, answer, ago(began), began);
        let evidence = match event.clone() {
            Event::Grace(reason) => Evidence::Grace(reason),
            Event::Link(family, link) => {
                let mut links = PerFamily::default();
                links[family] = Some(link);
                Evidence::Links { links, asked: now }
            }
            Event::Probe(family, rtt) => Evidence::Probe {
                family,
                anchor: anchor_of(family, 0),
                sent: ago(rtt.unwrap_or(1_000)),
                rtt: rtt.map(Duration::from_millis),
            },
            Event::Doubt(family, since) => Evidence::Doubt { family, since: ago(since) },
            Event::Round(family, began, end) => {
                let answer = AnchorAnswer {
                    anchor: anchor_of(family, 0),
                    sent: ago(began),
                    took: Duration::from_millis(began.min(2_500)),
                    end,
                    from: None,
                    own_path: false,
                };
                let answers = vec![answer];
                Evidence::Round(RoundResult { family, started: ago(began), finished: now, answers })
            }
            Event::Proof(family, began) => {
                Evidence::Proof { family, started: ago(began), finished: now }
            }
            Event::NotAsked(reason) => Evidence::NotSent { reason, at: now },
            Event::Gateway(family, answer) => Evidence::Gateway {
                family,
                answer,
                beneath: None,
                observation: seen(ProbeKind::Gateway, answer.as_str(), 0),
            },
            Event::Lookup(answer, began) => Evidence::Lookup {
                answer,
                observation: seen(ProbeKind::SystemDns, answer.as_str(), began),
            },
            Event::NameServers(answer, began, party) => Evidence::NameServers {
                asked: ago(began),
                answers: vec![ServerAnswer {
                    server: ([192, 0, 2, 53], 53).into(),
                    answer,
                    observation: seen(ProbeKind::DirectDns, answer.as_str(), began),
                }],
                party,
            },
            Event::Portal(answer, from_router) => Evidence::Portal {
                answer,
                from_router,
                observation: seen(ProbeKind::Portal, answer.as_str(), 0),
            },
            Event::Underlay(family, alive) => Evidence::Underlay {
                family,
                alive,
                observation: seen(ProbeKind::Underlay, "connected", 0),
            },
            Event::Beat(proof, began, outcome) => Evidence::Heartbeat {
                started: ago(began),
                finished: now,
                // Only a heartbeat that was answered can be proof.
                proof: proof.filter(|_| !matches!(outcome, OutcomeKind::Failed(_))),
                outcome,
            },
            Event::NoAnchors(family) => Evidence::NoAnchors { family },
            Event::NoHeartbeats => Evidence::NoHeartbeats,
            Event::Gap(lasts, cause) => return self.pass_gap(lasts, cause),
            Event::Implausible(implausible) => Evidence::ClockImplausible(implausible),
            Event::Tick => Evidence::Tick,
        };
        self.observe(&evidence);
    }

    /// Lets an unmonitored period pass.
    fn pass_gap(&mut self, lasts: u64, cause: GapCause) {
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
            self.machine = OutageMachine::new(settings(), self.random.fork(), open, ended);
        }
        let id = IncidentId::new(ended, &mut self.random);
        self.observe(&Evidence::GapEnded(Gap {
            id,
            cause,
            started,
            ended,
            uncertain_s: 0,
            reason: None,
        }));
        let reason = if restarted { GraceReason::Started } else { GraceReason::Resumed };
        self.observe(&Evidence::Grace(reason));
    }
}

fn stamp(boot: u128, boot_ms: u64, wall_ms: i64) -> Stamp {
    let boot: BootId =
        uuid::Uuid::from_u128(boot).to_string().parse().expect("the UUID is a boot id");
    let wall = jiff::Timestamp::from_millisecond(1_800_000_000_000 + wall_ms)
        .expect("the time is in range");
    Stamp { boot, boot_ms, wall }
}

/// Settings under which rare events are frequent.
fn settings() -> MachineSettings {
    MachineSettings {
        grace: Duration::from_secs(20),
        limits: MachineLimits {
            unstable_within: Duration::from_hours(6),
            unstable_quiet: Duration::from_mins(2),
            credentials_after: Duration::from_secs(30),
            quality_window: Duration::from_secs(30),
            ..MachineLimits::default()
        },
    }
}

fn routed(tunnel: bool) -> LinkAnswer {
    LinkAnswer::Routed(Route {
        interface: "eth0".to_owned(),
        index: 2,
        source: None,
        gateway: None,
        gateway_mac: None,
        tunnel,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn invariants_hold_for_any_evidence_in_any_order(
        events in prop::collection::vec((0_u64..8_000, event()), 1..250),
    ) {
        let mut history = History::begin();
        history.observe(&Evidence::Grace(GraceReason::Started));
        for (later, event) in &events {
            history.pass(*later);
            history.handle(event);
        }
    }

}

// These tests run for longer.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn connectivity_that_fails_and_returns_alternates_between_open_and_closed(
        phases in prop::collection::vec((3_000_u64..90_000, any::<bool>(), family()), 1..60),
    ) {
        let mut history = History::begin();
        history.observe(&Evidence::Grace(GraceReason::Started));
        let now = history.now();
        let links = PerFamily::from_fn(|_| Some(routed(false)));
        history.observe(&Evidence::Links { links, asked: now });
        for (lasts, good, which) in phases {
            for _ in 0..lasts / 1_500 {
                history.pass(1_500);
                for family in Family::BOTH {
                    let good = good || family != which;
                    let end = if good { AnchorEnd::Proved } else { AnchorEnd::TimedOut };
                    history.handle(&Event::Round(family, 1_000, end));
                }
                history.handle(&Event::Tick);
            }
        }
    }

    #[test]
    fn a_blip_never_becomes_an_incident(
        seed: u64,
        both: bool,
        blips in prop::collection::vec((12_000_u64..60_000, 1_u64..2_900), 1..30),
    ) {
        let mut at = 60_000;
        let mut changes = Vec::new();
        for (after, lasts) in blips {
            at += after;
            changes.extend([(at, Anchors::Silent), (at + lasts, Anchors::Answer)]);
            at += lasts;
        }
        let outcome = player::play(&plot(both, &changes, at + 60_000, seed));
        let lines = outcome.transitions.iter().filter(|(_, transition)| {
            matches!(transition, Transition::Opened(incident) if incident.downtime_ms > 0)
        });
        prop_assert_eq!(lines.count(), 0);
    }

    #[test]
    fn an_outage_is_recorded_within_ten_seconds_with_accurate_times(
        seed: u64,
        both: bool,
        began in 60_000_u64..120_000,
        lasts in 15_000_u64..600_000,
        anchors in prop_oneof![
            Just(Anchors::Silent), Just(Anchors::Refuse), Just(Anchors::Unreachable),
        ],
    ) {
        let ended = began + lasts;
        let changes = [(began, anchors), (ended, Anchors::Answer)];
        let outcome = player::play(&plot(both, &changes, ended + 30_000, seed));
        let [(recorded_at, Transition::Opened(opened)), .., (_, Transition::Closed(closed))] =
            &outcome.transitions[..]
        else {
            return Err(TestCaseError::fail(format!("{:#?}", outcome.transitions)));
        };
        prop_assert_eq!(opened.id, closed.id);
        prop_assert!(*recorded_at <= began + 10_000, "recorded at {recorded_at}, began at {began}");
        let start = outcome.time_of(opened.started);
        prop_assert!((began..=began + 5_000).contains(&start), "{opened:#?}");
        let end = outcome.time_of(closed.ended.expect("a closed incident has an end"));
        prop_assert!((ended..=ended + 2_000).contains(&end), "recorded {end}, true end {ended}");
        let down = ended - began;
        let tolerated = down.saturating_sub(5_000)..=down + 2_000;
        prop_assert!(tolerated.contains(&closed.downtime_ms), "{closed:#?}");
    }
}

#[test]
fn one_refusal_with_a_retry_after_of_hours_opens_an_incident_after_twenty_minutes() {
    let mut history = History::begin();
    history.observe(&Evidence::Grace(GraceReason::Started));
    let links = PerFamily::from_fn(|family| (family == Family::Ipv4).then(|| routed(false)));
    history.observe(&Evidence::Links { links, asked: history.now() });
    history.handle(&Event::Round(Family::Ipv4, 40, AnchorEnd::Proved));
    let way = Some(heartbeat::NetworkPath::Internet(Family::Ipv4));
    history.handle(&Event::Beat(way, 100, OutcomeKind::Delivered));
    history.pass(60_000);
    let refused = history.now();
    history.handle(&Event::Beat(way, 0, OutcomeKind::Refused(429)));
    let mut recorded_at = None;
    while recorded_at.is_none() && history.now().since(&refused) < Some(Duration::from_mins(30)) {
        history.pass(5_000);
        history.handle(&Event::Probe(Family::Ipv4, Some(20)));
        recorded_at = history.recorded.first().map(|_| history.now());
    }
    let [incident] = &history.recorded[..] else { panic!("{:#?}", history.recorded) };
    assert_eq!(incident.cause, Cause::Endpoint);
    assert_eq!(incident.started, refused);
    assert_eq!(recorded_at.and_then(|at| at.since(&refused)), Some(Duration::from_mins(20)));
}

/// A network whose anchors change at these times.
fn plot(both: bool, changes: &[(u64, Anchors)], lasts_ms: u64, seed: u64) -> Plot {
    let families: &[Family] = if both { &Family::BOTH } else { &[Family::Ipv4] };
    let mut world = World::good(families, &[]);
    let mut timeline = vec![(0, world.clone())];
    for (at, anchors) in changes {
        for (_, family) in &mut world.families {
            family.path = *anchors;
        }
        timeline.push((*at, world.clone()));
    }
    Plot {
        begins: "2026-03-10T01:00:00Z".parse().expect("the constant is a time"),
        lasts_ms,
        timeline: Timeline(timeline),
        news: Vec::new(),
        heartbeats: HeartbeatSchedule::Random,
        interval_ms: 5_000,
        settings: MachineSettings::default(),
        router_mac: MacState::Later,
        usual_ms: None,
        seed,
        checkpoints: Vec::new(),
        dates_crashes: false,
        strict: true,
        traced: false,
    }
}
