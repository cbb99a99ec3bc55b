//! Asking: each question is a task of its own, and its answers come back as evidence.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc::UnboundedSender, time::timeout};

use super::{Watched, schedule::Question};
use crate::{
    clock::{Clock, Stamp},
    config::settings::ProbeSettings,
    outage::{self, Evidence, Observation, ProbeKind},
    probe::{
        Connect, Connected, Dns, Family, Gateway, Interface, Link, PerFamily, Round, Route, dns,
        gateway, link, portal, tcp,
    },
    resolver::Resolver,
};

/// A connect that is unanswered for so long raises doubt, and counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(1);
/// A connect fails for good after this time: the first packet was sent again after one second and
/// once more after another (RFC 6298, section 2), and a line that needs longer is of no use.
const CONNECT_LIMIT: Duration = Duration::from_millis(2_500);
/// The router is near: what it does not answer within this time it does not answer.
const GATEWAY_LIMIT: Duration = Duration::from_millis(1_500);
/// How long name servers may take. A resolver that has to ask others answers within a second; and the
/// end of their failure is known to 2 s, which is the time between two questions then.
const DNS_LIMIT: Duration = Duration::from_secs(2);

/// What a question brought, as it comes in.
#[derive(Debug)]
pub(super) struct Answer {
    /// When it was asked.
    pub(super) asked: Stamp,
    /// What was learned, in order.
    pub(super) evidence: Vec<Evidence>,
    /// The question, when this is its last answer.
    pub(super) ended: Option<Question>,
}

/// Asks the questions.
#[derive(Debug)]
pub(super) struct Prober {
    settings: ProbeSettings,
    /// The name that heartbeats depend on, or a well-known one.
    name: String,
    resolver: Arc<Resolver>,
    clock: Clock,
    answers: UnboundedSender<Answer>,
    /// The anchors of each family, and which of them is probed next.
    anchors: PerFamily<Vec<SocketAddr>>,
    turns: PerFamily<usize>,
    /// How the anchors of each family are reached, by the newest look.
    links: PerFamily<Option<Link>>,
}

impl Prober {
    /// Prepares to ask.
    pub(super) fn new(
        watched: &Watched,
        clock: Clock,
        resolver: Arc<Resolver>,
        answers: UnboundedSender<Answer>,
    ) -> Self {
        let settings = watched.probe.clone();
        let host = watched.heartbeat.as_ref().and_then(|(_, host)| host.as_deref());
        let of = |family| {
            let anchors = settings.anchors.iter().filter(|anchor| anchor.family() == family);
            anchors.map(|anchor| anchor.address).collect()
        };
        let name = dns::name_to_ask(host).to_owned();
        Self {
            name,
            resolver,
            clock,
            answers,
            anchors: PerFamily::from_fn(of),
            turns: PerFamily::default(),
            links: PerFamily::default(),
            settings,
        }
    }

    /// Asks the kernel how the anchors would be reached now, and returns what it says of the families
    /// that have any: of the first that there is a way to, for a network may bar one of them.
    pub(super) fn look_at_links(&mut self) -> Vec<Evidence> {
        let asked = self.clock.now();
        let mut evidence = Vec::new();
        for (family, anchors) in &self.anchors {
            let Some((first, others)) = anchors.split_first() else { continue };
            let mut link = link::link_to(first.ip());
            if link.route().is_none() {
                let mut others = others.iter().map(|anchor| link::link_to(anchor.ip()));
                link = others.find(|link| link.route().is_some()).unwrap_or(link);
            }
            self.links[family] = Some(link.clone());
            evidence.push(Evidence::Link { family, link, asked });
        }
        evidence
    }

    /// Who looks names up.
    pub(super) fn resolver(&self) -> Arc<Resolver> {
        Arc::clone(&self.resolver)
    }

    /// How the anchors of each family were reached at the newest look; `None` without anchors.
    pub(super) fn links(&self) -> &PerFamily<Option<Link>> {
        &self.links
    }

    /// Asks one question.
    pub(super) fn ask(&mut self, question: Question) {
        match question {
            Question::Probe(family) => self.probe(family),
            Question::Round(family) => self.round(family),
            Question::Gateway(family) => self.gateway(family),
            Question::Dns => self.dns(),
            Question::Portal => self.portal(),
        }
    }

    fn clock(&self) -> impl Fn() -> Stamp + Clone + Send + Sync + 'static + use<> {
        let clock = self.clock.clone();
        move || clock.now()
    }

    fn route(&self, family: Family) -> Option<&Route> {
        self.links[family].as_ref().and_then(Link::route)
    }

    fn probe(&mut self, family: Family) {
        let anchors = &self.anchors[family];
        let turn = &mut self.turns[family];
        let Some(anchor) = anchors.get(*turn % anchors.len().max(1)).copied() else { return };
        *turn = (*turn + 1) % anchors.len();
        let (answers, clock, sent) = (self.answers.clone(), self.clock(), self.clock.now());
        tokio::spawn(async move {
            let connect = tcp::connect(anchor, CONNECT_LIMIT, None, &clock);
            tokio::pin!(connect);
            let rtt = match timeout(LOST_AFTER, &mut connect).await {
                Ok(Connected { end: Connect::Connected, took, .. }) => Some(took),
                Ok(_) | Err(_) => None,
            };
            let mut evidence = vec![Evidence::Probe { family, anchor, sent, rtt }];
            if rtt.is_none() {
                evidence.push(Evidence::Doubt { family: Some(family), since: sent });
            }
            // The end of a connect that takes longer tells nothing that the rounds do not tell.
            send(&answers, sent, evidence, Some(Question::Probe(family)));
        });
    }

    fn round(&self, family: Family) {
        let anchors = self.anchors[family].clone();
        let (answers, clock, started) = (self.answers.clone(), self.clock(), self.clock.now());
        let beneath =
            self.route(family).zip(anchors.first().copied()).and_then(|(route, anchor)| {
                link::beneath(route, anchor.ip()).map(|interface| (interface, anchor))
            });
        if let Some((interface, anchor)) = beneath {
            self.beneath(family, interface, anchor);
        }
        tokio::spawn(async move {
            let round = Round::start(anchors, CONNECT_LIMIT, None, clock.clone());
            let round = outage::Round {
                family,
                started,
                answers: round.until_alive().await,
                finished: clock(),
            };
            send(&answers, started, vec![Evidence::Round(round)], Some(Question::Round(family)));
        });
    }

    fn beneath(&self, family: Family, interface: Interface, anchor: SocketAddr) {
        let (answers, clock) = (self.answers.clone(), self.clock());
        tokio::spawn(async move {
            let connected = tcp::connect(anchor, CONNECT_LIMIT, Some(&interface), &clock).await;
            let alive = connected.end == Connect::Connected;
            let observation = Observation {
                probe: ProbeKind::Beneath,
                target: format!("{anchor} by {}", interface.name),
                family: Some(family),
                answer: connected.end.as_str().to_owned(),
                ms: u64::try_from(connected.took.as_millis()).ok(),
                at: connected.sent,
            };
            let evidence = vec![Evidence::Beneath { family, alive, observation }];
            send(&answers, connected.sent, evidence, None);
        });
    }

    fn gateway(&self, family: Family) {
        let (answers, clock) = (self.answers.clone(), self.clock());
        let set = self.settings.gateway.filter(|address| Family::of(*address) == family);
        // A router that is named may be reached another way than the anchors.
        let route = match set {
            Some(address) => link::link_to(address).route().cloned(),
            None => self.route(family).cloned(),
        };
        let address = set.or_else(|| route.as_ref().and_then(|route| route.gateway));
        let interface = route.as_ref().map(Interface::from).zip(address);
        tokio::spawn(async move {
            let (answer, observation) = match interface {
                Some((interface, address)) => {
                    gateway::ask(address, &interface, GATEWAY_LIMIT, clock).await
                }
                None => (Gateway::NotAsked, nobody(ProbeKind::Gateway, Some(family), clock())),
            };
            let asked = observation.at;
            let evidence = vec![Evidence::Gateway { family, answer, observation }];
            send(&answers, asked, evidence, Some(Question::Gateway(family)));
        });
    }

    fn dns(&self) {
        let (answers, clock) = (self.answers.clone(), self.clock());
        let (name, resolver) = (self.name.clone(), Arc::clone(&self.resolver));
        let set = self.settings.resolver;
        let server = set.or_else(|| dns::servers().first().copied());
        let links = self.links.iter().filter_map(|(_, link)| link.as_ref());
        let gateways: Vec<IpAddr> = links.filter_map(gateway_of).collect();
        let resolver_is_providers =
            server.is_some_and(|server| dns::resolver_is_providers(server.ip(), &gateways));
        tokio::spawn(async move {
            let asked = clock();
            let directly = async {
                match server {
                    Some(server) => dns::ask_directly(server, &name, DNS_LIMIT, &clock).await,
                    None => (Dns::NotAsked, nobody(ProbeKind::DirectDns, None, clock())),
                }
            };
            let by_system = async {
                // Whoever names a name server means that one, and not the system's.
                if set.is_some() {
                    return (Dns::NotAsked, nobody(ProbeKind::SystemDns, None, clock()));
                }
                dns::ask_system(&resolver, &name, DNS_LIMIT, &clock).await
            };
            let ((mut direct, one), (mut system, other)) = tokio::join!(directly, by_system);
            // That one name does not exist is no fault of name servers that know another.
            if name != dns::WELL_KNOWN {
                if let (dns::NXDOMAIN, Some(server)) = (one.answer.as_str(), server) {
                    let known = dns::ask_directly(server, dns::WELL_KNOWN, DNS_LIMIT, &clock);
                    direct = answered_or(direct, known.await.0);
                }
                if other.answer == dns::NXDOMAIN {
                    let known = dns::ask_system(&resolver, dns::WELL_KNOWN, DNS_LIMIT, &clock);
                    system = answered_or(system, known.await.0);
                }
            }
            if set.is_some() {
                system = direct;
            }
            // Who was not asked is no evidence.
            let observations = [other, one].into_iter().filter(|seen| !seen.target.is_empty());
            let observations = observations.collect();
            let evidence =
                vec![Evidence::Dns { system, direct, resolver_is_providers, asked, observations }];
            send(&answers, asked, evidence, Some(Question::Dns));
        });
    }

    fn portal(&self) {
        let (answers, clock) = (self.answers.clone(), self.clock());
        let (servers, resolver) = (self.settings.portal.clone(), Arc::clone(&self.resolver));
        if servers.is_empty() {
            let now = clock();
            return send(&answers, now, Vec::new(), Some(Question::Portal));
        }
        tokio::spawn(async move {
            let (answer, observation) =
                portal::ask(&servers, &resolver, portal::LIMIT, &clock).await;
            let asked = observation.at;
            let evidence = vec![Evidence::Portal { answer, observation }];
            send(&answers, asked, evidence, Some(Question::Portal));
        });
    }
}

fn send(
    answers: &UnboundedSender<Answer>,
    asked: Stamp,
    evidence: Vec<Evidence>,
    ended: Option<Question>,
) {
    // When nobody listens any more, the agent is leaving.
    let _ = answers.send(Answer { asked, evidence, ended });
}

/// A question that there was nobody to put to.
fn nobody(probe: ProbeKind, family: Option<Family>, at: Stamp) -> Observation {
    let (target, answer) = (String::new(), "not_asked".to_owned());
    Observation { probe, target, family, answer, ms: None, at }
}

/// What became of a name, or that another one was answered.
fn answered_or(answer: Dns, of_another: Dns) -> Dns {
    if of_another == Dns::Answered { Dns::Answered } else { answer }
}

fn gateway_of(link: &Link) -> Option<IpAddr> {
    link.route().and_then(|route| route.gateway)
}
