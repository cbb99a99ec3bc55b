//! Sends the probes: each is a task of its own, and its results come back as evidence.
//!
//! | probe | evidence |
//! |---|---|
//! | `Probe`: the next anchor, contact | `Probe`, and `Doubt` when it is not answered within a second |
//! | `Round`: every anchor, proof | `Round`, as soon as one is proved or all have ended |
//! | together with a round through a tunnel | `Underlay`, anchors of either family beneath it |
//! | `Proof`: the next anchor, proof | `Proof` or `Doubt` |
//! | `Gateway`, `Lookup`, `NameServers`, `Portal` | the same |
//! | `PortalPage`: the next portal page | `Portal` |
//!
//! Where a probe, a proof or every probe of a round failed on this device, the evidence is `NotAsked`.

use std::{net::SocketAddr, sync::Arc};

use tokio::{sync::mpsc::UnboundedSender, time::timeout};

use super::{MonitorSettings, schedule::DueProbe};
use crate::{
    clock::{Clock, Stamp},
    outage::{self, Evidence, Network, Observation, Party, ProbeKind},
    probe::{
        AnchorAnswer, AnchorEnd, ConnectAnswer, ConnectEnd, Family, Interface, LinkAnswer,
        LocalFailure, PerFamily, Prover, Round, Route, Targets,
        dns::{self, ServerOwner},
        link::AnchorPath,
        proof::{Handshake, prove},
        targets::{AnchorPaths, Pages, route_of},
        tcp::{self, CONNECT_LIMIT, LOST_AFTER},
    },
    resolver::Resolver,
};

/// Every n-th separate proof is a full handshake: it tests large packets, but costs several times the
/// bytes of one that resumes a session.
const FULL_PROOF_EVERY: u32 = 5;

/// The result of a probe.
#[derive(Debug)]
pub(super) struct ProbeResult {
    /// When the probe was sent.
    pub(super) sent: Stamp,
    /// The evidence, in order.
    pub(super) evidence: Vec<Evidence>,
    /// The probe, if this is its last result.
    pub(super) ended: Option<DueProbe>,
}

/// Sends the probes.
#[derive(Debug)]
pub(super) struct Prober {
    targets: Targets,
    prover: Prover,
    resolver: Arc<Resolver>,
    clock: Clock,
    answers: UnboundedSender<ProbeResult>,
    /// The next anchor of each family, for probes and for proofs.
    probed: PerFamily<usize>,
    proved: PerFamily<usize>,
    /// Number of proofs sent outside of rounds.
    proofs: u32,
    /// The next portal page.
    page: usize,
    /// The newest route lookup for the anchors of each family.
    paths: AnchorPaths,
    /// The same, summarised per family.
    links: PerFamily<Option<LinkAnswer>>,
}

impl Prober {
    /// Prepares to send probes.
    pub(super) fn new(
        settings: &MonitorSettings,
        clock: Clock,
        resolver: Arc<Resolver>,
        answers: UnboundedSender<ProbeResult>,
    ) -> Self {
        let host = settings.heartbeat.as_ref().and_then(|(_, host)| host.as_deref());
        let settings = &settings.probe;
        let targets = Targets::new(
            &settings.anchors,
            settings.gateway,
            settings.resolver,
            &settings.portal,
            host,
        );
        Self {
            targets,
            prover: Prover::new(),
            resolver,
            clock,
            answers,
            probed: PerFamily::default(),
            proved: PerFamily::default(),
            proofs: 0,
            page: 0,
            paths: PerFamily::default(),
            links: PerFamily::default(),
        }
    }

    /// Discards the routers' MAC addresses, because the device may be in another network now.
    pub(super) fn forget_macs(&mut self) {
        for (_, link) in &mut self.links {
            *link = link.as_ref().map(LinkAnswer::without_mac);
        }
    }

    /// Looks up the routes to the anchors, and returns the links of every family with anchors, whether
    /// or not it had a route before.
    pub(super) fn look_up_links(&mut self) -> Evidence {
        let asked = self.clock.now();
        self.paths = self.targets.read_paths();
        self.links = PerFamily::from_fn(|family| {
            let link = &self.paths[family].as_ref()?.link;
            Some(
                self.links[family]
                    .as_ref()
                    .map_or_else(|| link.clone(), |known| link.with_mac_of(known)),
            )
        });
        Evidence::Links { links: self.links.clone(), asked }
    }

    /// The resolver for name lookups.
    pub(super) fn resolver(&self) -> Arc<Resolver> {
        Arc::clone(&self.resolver)
    }

    /// The links of each family from the newest route lookup; `None` without anchors.
    pub(super) fn links(&self) -> &PerFamily<Option<LinkAnswer>> {
        &self.links
    }

    /// Sends one probe. Never blocks; the results arrive on the channel.
    pub(super) fn send_probe(&mut self, probe: DueProbe) {
        match probe {
            DueProbe::Probe(family) => self.probe(family),
            DueProbe::Round(family) => self.round(family),
            DueProbe::Proof(family) => self.proof(family),
            DueProbe::Gateway(family) => self.gateway(family),
            DueProbe::Lookup => self.lookup(),
            DueProbe::NameServers => self.name_servers(),
            DueProbe::Portal => self.portal(probe, Pages::All),
            DueProbe::PortalPage => {
                let turn = self.page;
                self.page = turn.wrapping_add(1);
                self.portal(probe, Pages::One(turn));
            }
        }
    }

    fn clock(&self) -> impl Fn() -> Stamp + Clone + Send + Sync + 'static + use<> {
        let clock = self.clock.clone();
        move || clock.now()
    }

    /// The anchors of a family, with unknown paths before the first route lookup.
    fn anchors(&self, family: Family) -> Vec<AnchorPath> {
        let unknown = || {
            let anchors = self.targets.anchors[family].iter().copied();
            anchors.map(|anchor| AnchorPath { anchor, on_link: false, own_path: false }).collect()
        };
        self.paths[family].as_ref().map_or_else(unknown, |paths| paths.anchors.clone())
    }

    fn probe(&mut self, family: Family) {
        let (answers, clock, sent) = (self.answers.clone(), self.clock(), self.clock.now());
        let ended = Some(DueProbe::Probe(family));
        // An on-link anchor proves nothing, and an anchor with a path of its own says nothing about the
        // family's.
        let fits = |anchor: &AnchorPath| !anchor.on_link && !anchor.own_path;
        let Some(anchor) = next(&self.anchors(family), &mut self.probed[family], fits) else {
            return send(&answers, sent, Vec::new(), ended);
        };
        let anchor = anchor.anchor.address;
        tokio::spawn(async move {
            let connect = tcp::connect(anchor, CONNECT_LIMIT, None, &clock);
            // A slower connect adds nothing that the rounds do not detect.
            let connected = timeout(LOST_AFTER, connect).await.ok();
            send(&answers, sent, probe_evidence(family, anchor, sent, connected.as_ref()), ended);
        });
    }

    fn round(&self, family: Family) {
        let (answers, clock, started) = (self.answers.clone(), self.clock(), self.clock.now());
        if let Some(route) = route_of(&self.paths, family)
            && let Some((by, beneath)) = self.targets.underlay(family, route)
        {
            self.underlay(family, beneath.interface, self.anchors(by));
        }
        let round = Round::start(self.anchors(family), &self.prover, None, clock.clone());
        let prover = self.prover.clone();
        tokio::spawn(async move {
            let found = round.until_decided().await;
            let finished = clock();
            let cannot_verify = Evidence::CannotVerify(prover.failure().is_some());
            let evidence = match all_local(&found) {
                Some(reason) => Evidence::NotSent { reason, at: started },
                None => Evidence::Round(outage::RoundResult {
                    family,
                    started,
                    finished,
                    answers: found,
                }),
            };
            send(&answers, started, vec![cannot_verify, evidence], Some(DueProbe::Round(family)));
        });
    }

    /// Probes anchors on the interface beneath a tunnel.
    fn underlay(&self, family: Family, interface: Interface, anchors: Vec<AnchorPath>) {
        let (answers, clock, sent) = (self.answers.clone(), self.clock(), self.clock.now());
        // Beneath the tunnel all of them take the same path.
        let anchors = anchors.into_iter().map(|anchor| AnchorPath { own_path: false, ..anchor });
        let round = Round::start(anchors, &self.prover, Some(&interface), clock);
        tokio::spawn(async move {
            let found = round.until_decided().await;
            if all_local(&found).is_some() {
                return;
            }
            let is_alive = |answer: &&AnchorAnswer| {
                matches!(answer.end, AnchorEnd::Proved | AnchorEnd::Contact)
            };
            let best = found.iter().find(is_alive).or(found.first());
            let Some(best) = best else { return };
            let of = Family::of(best.anchor.ip());
            let observation = Observation {
                probe: ProbeKind::Underlay,
                target: format!("{} by {}", best.anchor, interface.name),
                ..best.observation(of)
            };
            let alive = is_alive(&best);
            send(&answers, sent, vec![Evidence::Underlay { family, alive, observation }], None);
        });
    }

    fn proof(&mut self, family: Family) {
        let (answers, clock, started) = (self.answers.clone(), self.clock(), self.clock.now());
        let ended = Some(DueProbe::Proof(family));
        let can_prove =
            |anchor: &AnchorPath| anchor.anchor.tls && !anchor.on_link && !anchor.own_path;
        let Some(anchor) = next(&self.anchors(family), &mut self.proved[family], can_prove) else {
            return send(&answers, started, Vec::new(), ended);
        };
        let prover = self.prover.clone();
        self.proofs = self.proofs.wrapping_add(1);
        let is_whole = self.proofs.is_multiple_of(FULL_PROOF_EVERY);
        let kind = if is_whole { Handshake::Full } else { Handshake::Resumed };
        tokio::spawn(async move {
            let answer = prove(&anchor, kind, &prover, None, &clock).await;
            send(&answers, started, vec![proof_evidence(family, &answer)], ended);
        });
    }

    fn gateway(&self, family: Family) {
        let (answers, clock) = (self.answers.clone(), self.clock());
        let router = self.targets.router(family, &self.paths);
        let is_tunnel = route_of(&self.paths, family).is_some_and(|route| route.tunnel);
        let beneath = router.as_ref().filter(|_| is_tunnel).map(|(address, interface)| Network {
            family: Family::of(*address),
            interface: interface.name.clone(),
            router: Some(*address),
            router_mac: None,
        });
        tokio::spawn(async move {
            let (answer, observation) = Targets::probe_router(router, family, clock).await;
            let asked = observation.at;
            let evidence = vec![Evidence::Gateway { family, answer, beneath, observation }];
            send(&answers, asked, evidence, Some(DueProbe::Gateway(family)));
        });
    }

    fn lookup(&self) {
        let (answers, clock) = (self.answers.clone(), self.clock());
        let (targets, resolver) = (self.targets.clone(), Arc::clone(&self.resolver));
        tokio::spawn(async move {
            let (answer, observation) = targets.look_up(&resolver, &clock).await;
            let asked = observation.at;
            let evidence = vec![Evidence::Lookup { answer, observation }];
            send(&answers, asked, evidence, Some(DueProbe::Lookup));
        });
    }

    fn name_servers(&self) {
        let (answers, clock) = (self.answers.clone(), self.clock());
        let (targets, paths) = (self.targets.clone(), self.paths.clone());
        tokio::spawn(async move {
            let asked = clock();
            let found = targets.query_name_servers(&clock).await;
            // Programs use the first name server first, so its owner counts.
            let server = found.first().map(|answer| answer.server.ip());
            let owner = server.map(|server| dns::owner_of(server, &routes(&paths)));
            let party = match owner {
                Some(ServerOwner::User) | None => Party::Yours,
                Some(ServerOwner::Provider) => Party::Provider,
                Some(ServerOwner::Public) => Party::Other,
            };
            let evidence = vec![Evidence::NameServers { asked, answers: found, party }];
            send(&answers, asked, evidence, Some(DueProbe::NameServers));
        });
    }

    fn portal(&self, probe: DueProbe, pages: Pages) {
        let (answers, clock) = (self.answers.clone(), self.clock());
        let (targets, paths) = (self.targets.clone(), self.paths.clone());
        let resolver = Arc::clone(&self.resolver);
        tokio::spawn(async move {
            let asked = clock();
            let answer = targets.check_portal(pages, &resolver, &paths, &clock).await;
            let evidence = answer.map(|answer| Evidence::Portal {
                answer: answer.portal,
                from_router: answer.from_router,
                observation: answer.observation,
            });
            send(&answers, asked, evidence.into_iter().collect(), Some(probe));
        });
    }
}

/// The next anchor that fits, in turn.
fn next(
    anchors: &[AnchorPath],
    turn: &mut usize,
    fits: impl Fn(&AnchorPath) -> bool,
) -> Option<AnchorPath> {
    let count = anchors.len();
    let place =
        (0..count).map(|step| (*turn + step) % count).find(|place| fits(&anchors[*place]))?;
    *turn = (place + 1) % count;
    Some(anchors[place].clone())
}

/// Evidence of a scheduled probe; `None` means that it was not answered within a second.
fn probe_evidence(
    family: Family,
    anchor: SocketAddr,
    sent: Stamp,
    connected: Option<&ConnectAnswer>,
) -> Vec<Evidence> {
    let rtt = match connected {
        Some(&ConnectAnswer { end: ConnectEnd::NotAsked(reason), .. }) => {
            return vec![Evidence::NotSent { reason, at: sent }];
        }
        Some(&ConnectAnswer { end: ConnectEnd::Connected, took, .. }) => Some(took),
        Some(_) | None => None,
    };
    let probe = Evidence::Probe { family, anchor, sent, rtt };
    match rtt {
        Some(_) => vec![probe],
        None => vec![probe, Evidence::Doubt { family: Some(family), since: sent }],
    }
}

/// Evidence of a separate proof.
fn proof_evidence(family: Family, answer: &AnchorAnswer) -> Evidence {
    match answer.end {
        AnchorEnd::Proved => {
            Evidence::Proof { family, started: answer.sent, finished: answer.ended() }
        }
        AnchorEnd::NotAsked(reason) => Evidence::NotSent { reason, at: answer.sent },
        _ => Evidence::Doubt { family: Some(family), since: answer.sent },
    }
}

/// The first local failure, if every probe of the round failed on this device.
fn all_local(answers: &[AnchorAnswer]) -> Option<LocalFailure> {
    let mut failures = answers.iter().map(|answer| match answer.end {
        AnchorEnd::NotAsked(failure) => Some(failure),
        _ => None,
    });
    let first = failures.next()??;
    failures.all(|failure| failure.is_some()).then_some(first)
}

fn routes(paths: &AnchorPaths) -> Vec<&Route> {
    Family::BOTH.into_iter().filter_map(|family| route_of(paths, family)).collect()
}

fn send(
    answers: &UnboundedSender<ProbeResult>,
    asked: Stamp,
    evidence: Vec<Evidence>,
    ended: Option<DueProbe>,
) {
    // Fails only when the receiver is gone because the agent is stopping.
    let _ = answers.send(ProbeResult { sent: asked, evidence, ended });
}

#[cfg(test)]
mod tests;
