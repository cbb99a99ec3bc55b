//! Whom the agent and the doctor ask, by which interface and for how long: one list, in one place.
//!
//! | who | how | limit |
//! |---|---|---|
//! | an anchor | a connect; for proof, TLS | [1 s](super::tcp::LOST_AFTER) until doubt, [2.5 s](super::tcp::CONNECT_LIMIT), [4 s](super::proof::PROOF_LIMIT) |
//! | the router | TCP 53, 80, 443 and an echo, by the interface of the anchors' path, or beneath it where that is a tunnel | [1.5 s](gateway::LIMIT) |
//! | each name server | a query of our own | [2 s](dns::LIMIT) |
//! | the system's resolver | a look-up as every program makes it | [30 s](dns::LOOKUP_LIMIT) |
//! | the portal pages | plain HTTP | [3 s](portal::LIMIT) |

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::Url;

use super::{
    Anchor, Dns, Family, Gateway, Interface, LinkAnswer, Observation, PerFamily, ProbeKind, Route,
    dns, gateway,
    link::{self, FamilyPaths, Underlay},
    portal::{self, PortalAnswer},
};
use crate::{clock::Stamp, resolver::Resolver};

/// Whom to ask; its clones share what is known of the name servers.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The anchors of each family, in the order of the setting.
    pub anchors: PerFamily<Vec<Anchor>>,
    gateway: Option<IpAddr>,
    resolver: Option<SocketAddr>,
    portal: Vec<Url>,
    /// The name that heartbeats depend on, or a well-known one.
    name: String,
    servers: Arc<dns::Servers>,
}

/// Which of the portal pages.
#[derive(Clone, Copy, Debug)]
pub enum Pages {
    /// All of them at once.
    All,
    /// The one whose turn it is, counted from 0 over and over.
    One(usize),
}

/// How the anchors of each family are reached; `None` of a family without anchors.
pub type AnchorPaths = PerFamily<Option<FamilyPaths>>;

impl Targets {
    /// The targets by the settings: `host` is the one that heartbeats go to.
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
            name: dns::name_to_ask(host).to_owned(),
            servers: Arc::default(),
        }
    }

    /// Asks the kernel how the anchors are reached now.
    pub fn look(&self) -> AnchorPaths {
        FamilyPaths::look(&self.anchors)
    }

    /// The router of a family and the interface that it is asked by: the one that is set, or the one on the
    /// anchors' path. Where that is a tunnel, it is the one beneath: the far end of the tunnel is no router of
    /// the user's.
    pub fn router(&self, family: Family, paths: &AnchorPaths) -> Option<(IpAddr, Interface)> {
        // A router that is set may be reached another way than the anchors.
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

    /// What is beneath the tunnel that `route` leads into, on the way to an anchor of the same family, else
    /// of the other one, which a tunnel may carry it over; and by which of them.
    pub fn underlay(&self, family: Family, route: &Route) -> Option<(Family, Underlay)> {
        [family, family.other()].into_iter().find_map(|by| {
            let anchor = self.anchors[by].first()?;
            Some((by, link::underlay(route, anchor.address.ip())?))
        })
    }

    /// Asks the router of a family.
    pub async fn ask_router(
        router: Option<(IpAddr, Interface)>,
        family: Family,
        clock: impl Fn() -> Stamp + Clone + Send + Sync + 'static,
    ) -> (Gateway, Observation) {
        match router {
            Some((address, interface)) => {
                gateway::ask(address, &interface, gateway::LIMIT, clock).await
            }
            None => (Gateway::NotAsked, nobody(ProbeKind::Gateway, Some(family), clock())),
        }
    }

    /// Asks every name server directly, all at once: the one that is set, or all that the system uses.
    pub async fn ask_name_servers(&self, clock: &impl Fn() -> Stamp) -> Vec<dns::ServerAnswer> {
        let servers = match self.resolver {
            Some(server) => vec![server],
            None => self.servers.read().await,
        };
        dns::ask_all(&servers, &self.name, clock).await
    }

    /// Looks the name up as every program on this device would. Whoever names a name server means that one
    /// and not the system's: then it is asked instead.
    pub async fn look_up(
        &self,
        resolver: &Resolver,
        clock: &impl Fn() -> Stamp,
    ) -> (Dns, Observation) {
        if let Some(server) = self.resolver {
            let answer = dns::ask_for_name(server, &self.name, clock).await;
            return (answer.answer, answer.observation);
        }
        let (mut answer, observation) =
            dns::ask_system(resolver, &self.name, dns::LOOKUP_LIMIT, clock).await;
        if dns::is_of_name(&observation.answer) && self.name != dns::WELL_KNOWN {
            let known = dns::ask_system(resolver, dns::WELL_KNOWN, dns::LOOKUP_LIMIT, clock).await;
            answer = dns::answered_or(answer, known.0);
        }
        (answer, observation)
    }

    /// Requests portal pages; `None` when the settings name none.
    pub async fn ask_portal(
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
        Some(portal::ask(pages, resolver, &is_router, portal::LIMIT, clock).await)
    }
}

/// The route of a family, where it has one.
pub fn route_of(paths: &AnchorPaths, family: Family) -> Option<&Route> {
    paths[family].as_ref().and_then(|paths| LinkAnswer::route(&paths.link))
}

/// A question that there was nobody to put to.
fn nobody(probe: ProbeKind, family: Option<Family>, at: Stamp) -> Observation {
    let (target, answer) = (String::new(), "not_asked".to_owned());
    Observation { probe, target, family, answer, ms: None, at }
}
