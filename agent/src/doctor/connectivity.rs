//! Runs all probes of the agent once from here and checks their results.
//!
//! Targets, interfaces and time limits are the agent's own ([`Targets`]).

use std::{sync::Arc, time::Duration};

use reqwest::Url;

use super::{CheckResult, DoctorCheck};
use crate::{
    clock::Stamp,
    config::{HeartbeatSettings, ProbeSettings},
    duration::Readable,
    outage::{Network, NetworkFacts, Observation},
    probe::{
        AnchorAnswer, AnchorEnd, DnsOutcome, Family, LinkAnswer, PortalAnswer, PortalOutcome,
        Prover, Round, Route, RouterOutcome, ServerAnswer, Targets,
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

/// A row for IPv6 that is not judged.
fn unjudged() -> DoctorCheck {
    DoctorCheck::warn(
        "IPv6",
        "it has a route and has never worked on this network, so it is not monitored",
    )
    .action("If it should work here, ask the provider; if not, turn it off on the router.")
}

/// Turns the check of a family that is not judged into a skipped one, unless it passed.
fn as_unjudged(check: DoctorCheck) -> DoctorCheck {
    if check.verdict == CheckResult::Pass {
        return check;
    }
    DoctorCheck::skip(check.name, format!("{}; IPv6 is not monitored here", check.detail))
}

pub(super) fn judge(facts: &ConnectivityFacts) -> Vec<DoctorCheck> {
    let links: Vec<_> = facts
        .paths
        .iter()
        .filter_map(|(family, paths)| Some((family, &paths.as_ref()?.link)))
        .collect();
    let mut checks: Vec<_> =
        links.iter().map(|(family, link)| route(*family, link, &links)).collect();
    checks.extend(netlink(facts.has_link_events));
    if facts.is_unjudged(Family::Ipv6) {
        checks.push(unjudged());
    }
    checks.extend(facts.anchors.iter().map(|answer| {
        let family = Family::of(answer.anchor.ip());
        let check = anchor(answer, facts.works(family), facts.any_proved());
        let is_own = matches!(answer.end, AnchorEnd::NotAsked(_));
        if facts.is_unjudged(family) && !is_own { as_unjudged(check) } else { check }
    }));
    checks.extend(proof(facts));
    checks.extend(facts.gateways.iter().map(|(answer, asked)| {
        let check = router(*answer, asked, asked.family.is_none_or(|family| facts.works(family)));
        let is_unjudged = asked.family.is_some_and(|family| facts.is_unjudged(family));
        if is_unjudged { as_unjudged(check) } else { check }
    }));
    if facts.gateways.is_empty() {
        checks.push(DoctorCheck::skip("router", "there is none on the path"));
    }
    let (system, asked) = &facts.system_dns;
    checks.push(system_names(*system, asked));
    let names_work = *system == DnsOutcome::Answered;
    checks.extend(
        facts
            .direct_dns
            .iter()
            .map(|answer| server(answer.answer, &answer.observation, names_work)),
    );
    let any_works = Family::BOTH.into_iter().any(|family| facts.works(family));
    checks.push(match &facts.portal {
        Some(answer) => login_page(answer, any_works),
        None => DoctorCheck::skip("login page", "probe.portal is off"),
    });
    checks
}

fn route(family: Family, link: &LinkAnswer, all: &[(Family, &LinkAnswer)]) -> DoctorCheck {
    let name = format!("route {family}");
    let other_works = all.iter().any(|(of, link)| *of != family && link.route().is_some());
    let missing = match link {
        LinkAnswer::Routed(route) => {
            let mut way = format!("by {}", route.interface);
            if route.tunnel {
                way.push_str(" (a tunnel)");
            }
            if let Some(gateway) = route.gateway {
                way = format!("{way} through {gateway}");
            }
            return DoctorCheck::pass(name, way);
        }
        LinkAnswer::NoRoute => "there is no route",
        LinkAnswer::NoAddress => "this device has no address",
        LinkAnswer::NoCarrier => "no cable or Wi-Fi is connected",
        LinkAnswer::Prohibited => {
            return DoctorCheck::fail(name, "a policy rule or route of this device forbids it")
                .action("Look for \"prohibit\" in \"ip rule\" and \"ip route\".");
        }
        LinkAnswer::Unknown => {
            return DoctorCheck::warn(name, "it could not be looked up")
                .action("Run this again; if it keeps failing, see the kernel log (\"dmesg\").");
        }
    };
    if other_works {
        return DoctorCheck::skip(name, format!("{missing}, so {family} is not monitored"));
    }
    DoctorCheck::fail(name, missing).action("Connect this device to its router.")
}

/// A row if the kernel does not permit netlink.
fn netlink(is_told: bool) -> Option<DoctorCheck> {
    (!is_told).then(|| {
        DoctorCheck::warn(
            "netlink",
            "the kernel denies route lookups here, so changes are detected only every 5 s, \
             and policy rules not at all",
        )
        .action("Allow AF_NETLINK in the sandbox (RestrictAddressFamilies= of the service).")
    })
}

fn anchor(answer: &AnchorAnswer, works: bool, any_proved: bool) -> DoctorCheck {
    let name = format!("anchor {}", answer.anchor);
    let took = Readable(answer.took);
    let by = answer.from.map(|from| format!(" by {from}")).unwrap_or_default();
    let failure = match answer.end {
        AnchorEnd::Proved => return DoctorCheck::pass(name, format!("verified by TLS in {took}")),
        AnchorEnd::Contact => {
            return DoctorCheck::pass(name, format!("connected in {took}, without TLS"));
        }
        AnchorEnd::Unproved if any_proved => {
            return DoctorCheck::fail(name, "something else answers at its address, without a valid certificate for it")
                .action(
                    "See what answers for this address here (a router that uses it itself, a proxy), or \
                     set another server in probe.anchors. One that has no certificate for its address \
                     is written \"tcp://…\".",
                );
        }
        AnchorEnd::Unproved => {
            return DoctorCheck::warn(name, format!("connected, but TLS failed after {took}"));
        }
        AnchorEnd::OnLink => {
            return DoctorCheck::warn(
                name,
                "it is reached without a router, so it proves nothing about the internet",
            )
            .action("Set a server on the internet in probe.anchors.");
        }
        AnchorEnd::NotAsked(failure) => {
            return DoctorCheck::fail(
                name,
                format!("it could not be probed: {}", failure.reason()),
            )
            .action(failure.action());
        }
        AnchorEnd::Forbidden => {
            return DoctorCheck::fail(name, "this device itself forbids the connection")
                .action("Allow it in the firewall of this device, or in the service's sandbox.");
        }
        AnchorEnd::Refused => format!("refused{by} after {took}"),
        AnchorEnd::Unreachable if by.is_empty() => "there is no route to it".to_owned(),
        AnchorEnd::Unreachable => format!("there is no route to it, reported{by}"),
        AnchorEnd::TimedOut => format!("no answer in {took}"),
    };
    let family = Family::of(answer.anchor.ip());
    DoctorCheck::fail(name, failure).action(if works {
        "A firewall may block it: open its port, or set other servers in probe.anchors.".to_owned()
    } else {
        format!("If other programs connect by {family}, a firewall blocks it; else the internet is down.")
    })
}

/// A row if anchors complete connections and none of them proves its identity.
fn proof(facts: &ConnectivityFacts) -> Option<DoctorCheck> {
    let connected = facts.anchors.iter().any(|answer| answer.end == AnchorEnd::Unproved);
    if !facts.wants_proof || !connected || facts.any_proved() {
        return None;
    }
    let check = DoctorCheck::warn("proof", match &facts.no_roots {
        Some(error) => format!(
            "no certificate can be verified here ({error}), so a device on the path that answers for \
             the anchors is mistaken for the internet"
        ),
        None => "connections are completed, but no anchor can be verified: a router or a proxy answers \
                 for them, or intercepts TLS"
            .to_owned(),
    });
    Some(check.action(match &facts.no_roots {
        Some(_) => "Install the package ca-certificates, or see what SSL_CERT_FILE names.",
        None => {
            "If other programs connect, a proxy intercepts TLS: write anchors as \"tcp://…\" in \
             probe.anchors. If none does, the internet is down behind the device that answers."
        }
    }))
}

fn router(answer: RouterOutcome, asked: &Observation, works: bool) -> DoctorCheck {
    let name = format!("router {}", asked.target);
    match answer {
        RouterOutcome::Alive => DoctorCheck::pass(name, format!("it answers ({})", asked.answer)),
        RouterOutcome::NotAsked => DoctorCheck::skip(name, "this device may not probe it"),
        RouterOutcome::Silent | RouterOutcome::Gone if works => DoctorCheck::warn(
            name,
            "it works, but answers no probes, so a dead router looks like a dead provider",
        )
        .action("If it has a setting for it, let it refuse connections or answer pings from the local network."),
        RouterOutcome::Silent | RouterOutcome::Gone => {
            DoctorCheck::fail(name, "it does not answer").action("Check the router.")
        }
    }
}

fn system_names(answer: DnsOutcome, asked: &Observation) -> DoctorCheck {
    let name = "names";
    let host = &asked.target;
    match answer {
        DnsOutcome::Answered => {
            DoctorCheck::pass(name, format!("{host} was found{}", in_time(asked)))
        }
        DnsOutcome::Silent => {
            DoctorCheck::fail(name, format!("no name server answered for {host}"))
                .action("Check that the name servers in /etc/resolv.conf run.")
        }
        DnsOutcome::Lied => {
            DoctorCheck::fail(name, format!("{host} was given an address that no host can have"))
                .action("A filter or a login page answers: let the name through.")
        }
        DnsOutcome::Failed => {
            DoctorCheck::fail(name, format!("{host} was not found ({})", asked.answer))
                .action("Check the name, and the name servers in /etc/resolv.conf.")
        }
        DnsOutcome::NotAsked => not_probed(name, asked),
    }
}

/// A row for a query that failed on this device, before anything was sent.
fn not_probed(name: impl Into<String>, asked: &Observation) -> DoctorCheck {
    DoctorCheck::fail(name, format!("this device could not send the query ({})", asked.answer))
        .action("See what has used up its file descriptors, memory or ports.")
}

fn server(answer: DnsOutcome, asked: &Observation, names_work: bool) -> DoctorCheck {
    let name = format!("name server {}", asked.target);
    let wrong = match answer {
        DnsOutcome::Answered => {
            return DoctorCheck::pass(name, format!("it answers{}", in_time(asked)));
        }
        DnsOutcome::NotAsked => return not_probed(name, asked),
        DnsOutcome::Silent => "it does not answer".to_owned(),
        DnsOutcome::Lied => {
            "it gives the same address for every name, or one that no host can have".to_owned()
        }
        DnsOutcome::Failed => format!("it answers with a failure ({})", asked.answer),
    };
    // The system returns a false answer as well, and the agent treats that as an outage.
    if names_work && answer != DnsOutcome::Lied {
        // Other servers replace it, or it answers only the system's own resolver.
        return DoctorCheck::warn(name, format!("{wrong}, though names are resolved"))
            .action("Set another one in probe.resolver, or on this network.");
    }
    DoctorCheck::fail(name, wrong).action("Set another one on this network, or ask its operator.")
}

fn login_page(answer: &PortalAnswer, works: bool) -> DoctorCheck {
    let name = "login page";
    let server = &answer.observation.target;
    match answer.portal {
        PortalOutcome::Genuine => {
            DoctorCheck::pass(name, format!("none: {server} answered as expected"))
        }
        PortalOutcome::Intercepted if answer.from_router => {
            DoctorCheck::fail(name, format!("the router itself answered in the name of {server}"))
                .action(
                    "Open its page with a browser: it requires a login, or shows what is wrong.",
                )
        }
        PortalOutcome::Intercepted => {
            DoctorCheck::fail(name, format!("something answered in the name of {server}"))
                .action("Sign in with a browser, or have this device let through.")
        }
        PortalOutcome::NoAnswer if works => DoctorCheck::warn(
            name,
            format!("{server} does not answer, so one would not be detected"),
        )
        .action("Open port 80 to it, or set another server in probe.portal."),
        PortalOutcome::NoAnswer => DoctorCheck::skip(name, format!("{server} does not answer")),
    }
}

fn in_time(asked: &Observation) -> String {
    asked.ms.map(|ms| format!(" in {}", Readable(Duration::from_millis(ms)))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
