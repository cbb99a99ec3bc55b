//! Runs all probes of the agent once from here.
//!
//! Targets, interfaces and time limits are the agent's own ([`Targets`]).

mod rows;

use std::sync::Arc;

use reqwest::Url;

pub(super) use rows::judge;

use crate::{
    clock::Stamp,
    config::{HeartbeatSettings, ProbeSettings},
    outage::{Network, NetworkFacts, Observation},
    probe::{
        AnchorAnswer, AnchorEnd, DnsOutcome, Family, PortalAnswer, Prover, Round, Route,
        RouterOutcome, ServerAnswer, Targets,
        link::LinkMonitor,
        targets::{AnchorPaths, Pages, route_of},
    },
    resolver::Resolver,
    status::{ConnectivityStatus, Presence, Status},
};

/// Facts from the journal and the status.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past<'a> {
    /// The networks in the journal; `None` if it cannot be read.
    pub(super) networks: Option<&'a [NetworkFacts]>,
    /// The agent's last status.
    pub(super) status: Option<(&'a Status, Presence)>,
}

impl Past<'_> {
    /// Whether the agent does not judge IPv6 here: it has a route besides that of IPv4, and has never worked on
    /// this network. Many routers advertise IPv6 although their provider does not offer it.
    fn is_ipv6_unjudged(&self, paths: &AnchorPaths) -> bool {
        let Some(route) = route_of(paths, Family::Ipv6) else { return false };
        let here = Network::new(Family::Ipv6, route);
        let has_worked = match self.networks {
            Some(known) => {
                known.iter().any(|known| known.family_proved && known.network.may_be(&here))
            }
            None => !self.agent_leaves_out(route),
        };
        route_of(paths, Family::Ipv4).is_some() && !has_worked
    }

    /// Whether the running agent reports that it does not use IPv6, although it has this route.
    fn agent_leaves_out(&self, route: &Route) -> bool {
        let status = self.status.filter(|(_, presence)| presence.is_running());
        status.iter().flat_map(|(status, _)| &status.families).any(|family| {
            let is_here = family.link.as_ref().is_some_and(|link| {
                link.interface.as_ref() == Some(&route.interface) && link.gateway == route.gateway
            });
            family.family == Family::Ipv6
                && family.condition == ConnectivityStatus::Unused
                && is_here
        })
    }
}

/// Results of all probes.
#[derive(Debug)]
pub(super) struct ConnectivityFacts {
    /// Whether the kernel sends change events and permits route lookups.
    has_link_events: bool,
    /// The paths to the anchors of each family; `None` for a family without anchors.
    paths: AnchorPaths,
    /// Whether IPv6 is not judged here, because it has never worked.
    ipv6_unjudged: bool,
    /// In the order of the setting; without families that have no route.
    anchors: Vec<AnchorAnswer>,
    /// Whether any of them was probed for proof.
    wants_proof: bool,
    /// Why no certificate can be verified here; `None` if it can.
    no_roots: Option<String>,
    gateways: Vec<(RouterOutcome, Observation)>,
    system_dns: (DnsOutcome, Observation),
    direct_dns: Vec<ServerAnswer>,
    /// `None` if the settings turn it off.
    portal: Option<PortalAnswer>,
}

impl ConnectivityFacts {
    /// Runs all probes at the same time, independently of each other.
    pub(super) async fn gather(
        probe: &ProbeSettings,
        heartbeat: &HeartbeatSettings,
        past: Past<'_>,
    ) -> Self {
        let url = heartbeat.url.as_ref().map(crate::config::HeartbeatUrl::expose);
        let host = url.and_then(Url::host_str);
        let (anchors, gateway) = (&probe.anchors, probe.gateway);
        let targets = Targets::new(anchors, gateway, probe.resolver, &probe.portal, host);
        let resolver = Arc::new(Resolver::new());
        let prover = Prover::new();
        let paths = targets.read_paths();
        let routed = paths.iter().filter_map(|(_, paths)| paths.as_ref());
        let routed: Vec<_> = routed
            .filter(|paths| paths.link.route().is_some())
            .flat_map(|paths| paths.anchors.iter().cloned())
            .collect();
        let round = Round::start(routed.iter().cloned(), &prover, None, Stamp::now);
        let routers = async {
            let mut answers = Vec::new();
            for family in Family::BOTH {
                if let Some(router) = targets.router(family, &paths) {
                    let answer = Targets::probe_router(Some(router), family, Stamp::now).await;
                    answers.push(answer);
                }
            }
            answers
        };
        let (mut answers, gateways, system_dns, direct_dns, portal) = tokio::join!(
            round.collect_rest(),
            routers,
            targets.look_up(&resolver, &Stamp::now),
            targets.query_name_servers(&Stamp::now),
            targets.check_portal(Pages::All, &resolver, &paths, &Stamp::now),
        );
        // They arrive in any order, and are shown in that of the setting.
        let place = |answer: &AnchorAnswer| {
            routed.iter().position(|path| path.anchor.address == answer.anchor)
        };
        answers.sort_by_key(place);
        Self {
            has_link_events: LinkMonitor::new().has_events(),
            wants_proof: routed.iter().any(|path| path.anchor.tls),
            no_roots: prover.failure(),
            ipv6_unjudged: past.is_ipv6_unjudged(&paths),
            paths,
            anchors: answers,
            gateways,
            system_dns,
            direct_dns,
            portal,
        }
    }

    /// Whether failures of a family do not count, because the agent does not judge it here.
    fn is_unjudged(&self, family: Family) -> bool {
        family == Family::Ipv6 && self.ipv6_unjudged && !self.works(family)
    }

    fn any_proved(&self) -> bool {
        self.anchors.iter().any(|answer| answer.end == AnchorEnd::Proved)
    }

    /// Whether an anchor of a family is alive: by proof, and by contact if no anchor can prove its identity.
    fn works(&self, family: Family) -> bool {
        let any_proved = self.any_proved();
        self.anchors.iter().any(|answer| {
            Family::of(answer.anchor.ip()) == family
                && match answer.end {
                    AnchorEnd::Proved | AnchorEnd::Contact => true,
                    AnchorEnd::Unproved => !any_proved,
                    _ => false,
                }
        })
    }
}

#[cfg(test)]
mod tests;
