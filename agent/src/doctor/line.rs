//! Can everything that the agent asks be asked from here, and does it answer?

use std::{net::SocketAddr, sync::Arc, time::Duration};

use reqwest::Url;
use tokio::task::JoinSet;

use super::Check;
use crate::{
    clock::Stamp,
    config::{HeartbeatSettings, ProbeSettings},
    duration::Readable,
    outage::Observation,
    probe::{
        Connect, Connected, Dns, Family, Gateway, Interface, Link, Portal, dns, gateway, link,
        portal, round,
    },
    resolver::Resolver,
};

/// How long an anchor and the router may take: as long as the agent waits before a probe has failed.
const CONNECT_LIMIT: Duration = Duration::from_millis(2_500);
/// How long a name server may take: as long as the C library waits before it asks again
/// (resolv.conf(5)).
const DNS_LIMIT: Duration = Duration::from_secs(5);

/// What everybody who was asked answered.
#[derive(Debug)]
pub(super) struct Facts {
    /// How packets to the first anchor of each family leave; of families that have an anchor.
    links: Vec<(Family, Link)>,
    anchors: Vec<Connected>,
    gateways: Vec<(Gateway, Observation)>,
    system_dns: (Dns, Observation),
    direct_dns: Vec<(Dns, Observation)>,
    /// Nothing when the settings turn it off.
    portal: Option<(Portal, Observation)>,
}

impl Facts {
    /// Asks everybody at the same time, each by itself.
    pub(super) async fn gather(probe: &ProbeSettings, heartbeat: &HeartbeatSettings) -> Self {
        let anchors: Vec<_> = probe.anchors.iter().map(|anchor| anchor.address).collect();
        let links = links(&anchors);
        let routed = |anchor: &SocketAddr| is_routed(&links, Family::of(anchor.ip()));
        let anchors: Vec<SocketAddr> = anchors.into_iter().filter(routed).collect();
        let resolver = Arc::new(Resolver::new());
        let url = heartbeat.url.as_ref().map(crate::config::HeartbeatUrl::expose);
        let name = dns::name_to_ask(url.and_then(Url::host_str)).to_owned();
        let servers = probe.resolver.map_or_else(dns::servers, |server| vec![server]);
        let portal = async {
            if probe.portal.is_empty() {
                return None;
            }
            Some(portal::ask(&probe.portal, &resolver, portal::LIMIT, &Stamp::now).await)
        };
        let (mut answers, gateways, system_dns, direct_dns, portal) = tokio::join!(
            round::ask_all(&anchors, CONNECT_LIMIT, Stamp::now),
            ask_gateways(probe, &links),
            dns::ask_system(&resolver, &name, DNS_LIMIT, &Stamp::now),
            ask_servers(&servers, &name),
            portal,
        );
        // They came in the order in which they were answered, and are shown in that of the setting.
        answers.sort_by_key(|answer| anchors.iter().position(|anchor| *anchor == answer.target));
        Self { links, anchors: answers, gateways, system_dns, direct_dns, portal }
    }
}

fn links(anchors: &[SocketAddr]) -> Vec<(Family, Link)> {
    let first = |family| anchors.iter().find(|anchor| Family::of(anchor.ip()) == family);
    Family::BOTH
        .into_iter()
        .filter_map(|family| Some((family, link::link_to(first(family)?.ip()))))
        .collect()
}

fn is_routed(links: &[(Family, Link)], family: Family) -> bool {
    links.iter().any(|(of, link)| *of == family && link.route().is_some())
}

async fn ask_gateways(
    probe: &ProbeSettings,
    links: &[(Family, Link)],
) -> Vec<(Gateway, Observation)> {
    let mut answers = Vec::new();
    for route in links.iter().filter_map(|(_, link)| link.route()) {
        let set = probe
            .gateway
            .filter(|set| route.source.is_none_or(|own| own.is_ipv4() == set.is_ipv4()));
        if let Some(address) = set.or(route.gateway) {
            let interface = Interface::from(route);
            answers.push(gateway::ask(address, &interface, CONNECT_LIMIT, Stamp::now).await);
        }
    }
    answers
}

/// Asks all name servers at the same time.
async fn ask_servers(servers: &[SocketAddr], name: &str) -> Vec<(Dns, Observation)> {
    let mut questions = JoinSet::new();
    for (place, server) in servers.iter().copied().enumerate() {
        let name = name.to_owned();
        questions.spawn(async move {
            (place, dns::ask_directly(server, &name, DNS_LIMIT, &Stamp::now).await)
        });
    }
    let mut answers = questions.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

pub(super) fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks: Vec<_> =
        facts.links.iter().map(|(family, link)| route(*family, link, &facts.links)).collect();
    let works = |family| {
        let alive = |answer: &Connected| answer.end == Connect::Connected;
        let of_family = |answer: &&Connected| Family::of(answer.target.ip()) == family;
        facts.anchors.iter().filter(of_family).any(alive)
    };
    let any_works = Family::BOTH.into_iter().any(works);
    checks.extend(facts.anchors.iter().map(|answer| {
        let family = Family::of(answer.target.ip());
        anchor(answer, family, works(family))
    }));
    checks.extend(
        facts
            .gateways
            .iter()
            .map(|(answer, asked)| router(*answer, asked, asked.family.is_none_or(works))),
    );
    if facts.gateways.is_empty() {
        checks.push(Check::skip("router", "there is none on the way"));
    }
    let (system, asked) = &facts.system_dns;
    checks.push(system_names(*system, asked));
    let names_work = *system == Dns::Answered;
    checks
        .extend(facts.direct_dns.iter().map(|(answer, asked)| server(*answer, asked, names_work)));
    checks.push(match &facts.portal {
        Some((answer, asked)) => login_page(*answer, asked, any_works),
        None => Check::skip("login page", "probe.portal is off"),
    });
    checks
}

fn route(family: Family, link: &Link, all: &[(Family, Link)]) -> Check {
    let name = format!("route {family}");
    let other_works = all.iter().any(|(of, link)| *of != family && link.route().is_some());
    let missing = match link {
        Link::Routed(route) => {
            let mut way = format!("by {}", route.interface);
            if route.tunnel {
                way.push_str(" (a tunnel)");
            }
            if let Some(gateway) = route.gateway {
                way = format!("{way} through {gateway}");
            }
            return Check::pass(name, way);
        }
        Link::NoRoute => "there is no route",
        Link::NoAddress => "this device has no address",
        Link::NoCarrier => "no cable or Wi-Fi is connected",
    };
    if other_works {
        return Check::skip(name, format!("{missing}, so {family} is not watched"));
    }
    Check::fail(name, missing).action("Connect this device to its router.")
}

fn anchor(answer: &Connected, family: Family, works: bool) -> Check {
    let name = format!("anchor {}", answer.target);
    let took = Readable(answer.took);
    let failure = match answer.end {
        Connect::Connected => return Check::pass(name, format!("connected in {took}")),
        Connect::Refused => format!("refused after {took}"),
        Connect::Unreachable => "there is no way to it".to_owned(),
        Connect::TimedOut => format!("no answer in {took}"),
        Connect::Forbidden => {
            return Check::fail(name, "this device itself forbids the connection")
                .action("Allow it in the firewall of this device, or in the service's sandbox.");
        }
        Connect::Failed => "it failed on this device".to_owned(),
    };
    Check::fail(name, failure).action(if works {
        "A firewall may block it: open its port, or set other servers in probe.anchors.".to_owned()
    } else {
        format!("If other programs get through by {family}, a firewall blocks it; else the line is down.")
    })
}

fn router(answer: Gateway, asked: &Observation, works: bool) -> Check {
    let name = format!("router {}", asked.target);
    match answer {
        Gateway::Alive => Check::pass(name, format!("it answers ({})", asked.answer)),
        Gateway::NotAsked => Check::skip(name, "this device may not ask it"),
        Gateway::Silent | Gateway::Gone if works => Check::warn(
            name,
            "it works, but answers no questions, so a dead router looks like a dead provider",
        )
        .action("If it can be told to, let it refuse connections or answer pings from inside."),
        Gateway::Silent | Gateway::Gone => {
            Check::fail(name, "it does not answer").action("Look after the router.")
        }
    }
}

fn system_names(answer: Dns, asked: &Observation) -> Check {
    let name = "names";
    let host = &asked.target;
    match answer {
        Dns::Answered => Check::pass(name, format!("{host} was found{}", in_time(asked))),
        Dns::Silent => Check::fail(name, format!("no name server answered for {host}"))
            .action("See whether the name servers in /etc/resolv.conf run."),
        Dns::Lied => Check::fail(name, format!("{host} was given an address that is nobody's"))
            .action("A filter or a login page answers: let the name through."),
        Dns::Failed => Check::fail(name, format!("{host} was not found ({})", asked.answer))
            .action("See whether the name is right, and the name servers in /etc/resolv.conf."),
        Dns::NotAsked => Check::skip(name, "there is no name server"),
    }
}

fn server(answer: Dns, asked: &Observation, names_work: bool) -> Check {
    let name = format!("name server {}", asked.target);
    let wrong = match answer {
        Dns::Answered => return Check::pass(name, format!("it answers{}", in_time(asked))),
        Dns::NotAsked => return Check::skip(name, "there is none to ask"),
        Dns::Silent => "it does not answer".to_owned(),
        Dns::Lied => "it gives the same address for every name, or one that is nobody's".to_owned(),
        Dns::Failed => format!("it answers with a failure ({})", asked.answer),
    };
    // A lie about this name is what the system tells, too: the agent takes it for an outage.
    if names_work && answer != Dns::Lied {
        // Others stand in for it, or it answers nobody but the system's own resolver.
        return Check::warn(name, format!("{wrong}, though names are found"))
            .action("Set another one in probe.resolver, or on this network.");
    }
    Check::fail(name, wrong).action("Set another one on this network, or ask whose it is.")
}

fn login_page(answer: Portal, asked: &Observation, works: bool) -> Check {
    let name = "login page";
    let server = &asked.target;
    match answer {
        Portal::Genuine => Check::pass(name, format!("none: {server} answered itself")),
        Portal::Intercepted => {
            Check::fail(name, format!("something answered in the name of {server}"))
                .action("Sign in with a browser, or have this device let through.")
        }
        Portal::NoAnswer if works => {
            Check::warn(name, format!("{server} does not answer, so none would be noticed"))
                .action("Open port 80 to it, or set another server in probe.portal.")
        }
        Portal::NoAnswer => Check::skip(name, format!("{server} does not answer")),
    }
}

fn in_time(asked: &Observation) -> String {
    asked.ms.map(|ms| format!(" in {}", Readable(Duration::from_millis(ms)))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
