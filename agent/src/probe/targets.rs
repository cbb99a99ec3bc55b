//! The targets of all probes, for the agent and the doctor, with their interfaces and time limits.
//!
//! | target | probe | limit |
//! |---|---|---|
//! | an anchor | a connect; for proof, TLS | [1 s](super::tcp::LOST_AFTER) until doubt, [2.5 s](super::tcp::CONNECT_LIMIT), [4 s](super::proof::PROOF_LIMIT) |
//! | the router | TCP 53, 80, 443 and an echo, by the interface of the anchors' path, or beneath it where that is a tunnel | [1.5 s](gateway::LIMIT) |
//! | each name server | a DNS query of our own | [2 s](dns::LIMIT) |
//! | the system's resolver | a lookup as every program makes it | [30 s](dns::LOOKUP_LIMIT) |
//! | the portal pages | plain HTTP | [3 s](portal::LIMIT) |

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::Url;

use super::{
    Anchor, DnsOutcome, Family, Interface, LinkAnswer, Observation, PerFamily, ProbeKind, Route,
    RouterOutcome, dns, gateway,
    link::{self, FamilyPaths, Underlay},
    portal::{self, PortalAnswer},
};
use crate::{clock::Stamp, resolver::Resolver};

/// The targets of all probes; clones share the list of name servers.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The anchors of each family, in the order of the setting.
    pub anchors: PerFamily<Vec<Anchor>>,
    gateway: Option<IpAddr>,
    resolver: Option<SocketAddr>,
    portal: Vec<Url>,
    /// The host that heartbeats go to, or a well-known name.
    name: String,
    servers: Arc<dns::Servers>,
}

/// Selection of portal pages.
#[derive(Clone, Copy, Debug)]
pub enum Pages {
    /// All of them at once.
    All,
    /// One page, in rotation: the number counts up from 0.
    One(usize),
}

/// The network paths to the anchors of each family; `None` for a family without anchors.
pub type AnchorPaths = PerFamily<Option<FamilyPaths>>;

impl Targets {
    /// The targets from the settings; `host` is the host that heartbeats go to.
    pub fn new(
        anchors: &[Anchor],
        gateway: Option<IpAddr>,
        resolver: Option<SocketAddr>,
        portal: &[Url],
        host: Option<&str>,
    ) -> Self {
        Self {
            anchors: PerFamily::from_fn(|family| {
                anchors.iter().copied().filter(|anchor| anchor.family() == family).collect()
            }),
            gateway,
            resolver,
            portal: portal.to_vec(),
            name: dns::name_to_query(host).to_owned(),
            servers: Arc::default(),
        }
    }

    /// Reads from the kernel how the anchors are reached now.
    pub fn read_paths(&self) -> AnchorPaths {
        FamilyPaths::read(&self.anchors)
    }

    /// The router of a family and the interface to probe it through: the router that is set, or the one on the
    /// anchors' path. If that path is a tunnel, it is the router beneath the tunnel, since the far end of the
    /// tunnel is no router of the user.
    pub fn router(&self, family: Family, paths: &AnchorPaths) -> Option<(IpAddr, Interface)> {
        // The route to a router that is set may differ from the anchors' path.
        if let Some(address) = self.gateway.filter(|set| Family::of(*set) == family) {
            let link = link::link_to(address);
            return link.route().map(|route| (address, Interface::from(route)));
        }
        let route = route_of(paths, family)?;
        if route.tunnel {
            let (_, beneath) = self.underlay(family, route)?;
            return Some((beneath.router?, beneath.interface));
        }
        Some((route.gateway?, Interface::from(route)))
    }

    /// The underlay of the tunnel that `route` leads into, on the path to an anchor of the same family, else of
    /// the other one, which may carry the tunnel; and the family of that anchor.
    pub fn underlay(&self, family: Family, route: &Route) -> Option<(Family, Underlay)> {
        [family, family.other()].into_iter().find_map(|by| {
            let anchor = self.anchors[by].first()?;
            Some((by, link::underlay(route, anchor.address.ip())?))
        })
    }

    /// Probes the router of a family.
    pub async fn probe_router(
        router: Option<(IpAddr, Interface)>,
        family: Family,
        clock: impl Fn() -> Stamp + Clone + Send + Sync + 'static,
    ) -> (RouterOutcome, Observation) {
        match router {
            Some((address, interface)) => {
                gateway::probe(address, &interface, gateway::LIMIT, clock).await
            }
            None => {
                (RouterOutcome::NotAsked, not_probed(ProbeKind::Gateway, Some(family), clock()))
            }
        }
    }

    /// Queries every name server directly, all at once: the one that is set, or all that the system uses.
    pub async fn query_name_servers(&self, clock: &impl Fn() -> Stamp) -> Vec<dns::ServerAnswer> {
        let servers = match self.resolver {
            Some(server) => vec![server],
            None => self.servers.read().await,
        };
        dns::query_all(&servers, &self.name, clock).await
    }

    /// Looks the name up as every program on this device would. If the settings name a name server, that server
    /// is queried instead of the system's resolver.
    pub async fn look_up(
        &self,
        resolver: &Resolver,
        clock: &impl Fn() -> Stamp,
    ) -> (DnsOutcome, Observation) {
        if let Some(server) = self.resolver {
            let answer = dns::query_name(server, &self.name, clock).await;
            return (answer.answer, answer.observation);
        }
        let (mut answer, observation) =
            dns::query_system(resolver, &self.name, dns::LOOKUP_LIMIT, clock).await;
        if dns::is_name_failure(&observation.answer) && self.name != dns::WELL_KNOWN {
            let known =
                dns::query_system(resolver, dns::WELL_KNOWN, dns::LOOKUP_LIMIT, clock).await;
            answer = dns::answered_or(answer, known.0);
        }
        (answer, observation)
    }

    /// Requests portal pages; `None` if the settings name none.
    pub async fn check_portal(
        &self,
        pages: Pages,
        resolver: &Arc<Resolver>,
        paths: &AnchorPaths,
        clock: &impl Fn() -> Stamp,
    ) -> Option<PortalAnswer> {
        let pages = match pages {
            Pages::All => self.portal.as_slice(),
            Pages::One(turn) => {
                let place = turn.checked_rem(self.portal.len())?;
                &self.portal[place..=place]
            }
        };
        if pages.is_empty() {
            return None;
        }
        let routes: Vec<Route> = Family::BOTH
            .into_iter()
            .filter_map(|family| route_of(paths, family).cloned())
            .collect();
        let is_router = |address| link::is_router(address, &routes.iter().collect::<Vec<&Route>>());
        Some(portal::check(pages, resolver, &is_router, portal::LIMIT, clock).await)
    }
}

/// The route of a family, if it has one.
pub fn route_of(paths: &AnchorPaths, family: Family) -> Option<&Route> {
    paths[family].as_ref().and_then(|paths| LinkAnswer::route(&paths.link))
}

/// The observation of a probe that has no target.
fn not_probed(probe: ProbeKind, family: Option<Family>, at: Stamp) -> Observation {
    let (target, answer) = (String::new(), "not_asked".to_owned());
    Observation { probe, target, family, answer, ms: None, at }
}
