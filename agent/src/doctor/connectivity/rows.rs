//! The rows of the report: what the results of the probes mean, and what to do.

use std::time::Duration;

use super::{
    super::{CheckResult, DoctorCheck},
    ConnectivityFacts,
};
use crate::{
    duration::Readable,
    outage::Observation,
    probe::{
        AnchorAnswer, AnchorEnd, DnsOutcome, Family, LinkAnswer, PortalAnswer, PortalOutcome,
        RouterOutcome,
    },
};

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

pub(in crate::doctor) fn judge(facts: &ConnectivityFacts) -> Vec<DoctorCheck> {
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
