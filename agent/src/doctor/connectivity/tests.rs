use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::{
    clock::BootId,
    doctor::tests::rows,
    outage::ProbeKind,
    probe::{LinkAnswer, LocalFailure, PerFamily, PortalOutcome, Route, link::FamilyPaths},
    status::FamilyStatus,
};

fn at() -> Stamp {
    Stamp { boot: BootId::UNKNOWN, boot_ms: 7, wall: Timestamp::UNIX_EPOCH }
}

fn routed(interface: &str, gateway: Option<&str>, tunnel: bool) -> LinkAnswer {
    LinkAnswer::Routed(Route {
        interface: interface.to_owned(),
        index: 2,
        source: None,
        gateway: gateway.and_then(|gateway| gateway.parse().ok()),
        gateway_mac: None,
        tunnel,
    })
}

/// Paths of two families; only the links matter.
fn paths(ipv4: LinkAnswer, ipv6: LinkAnswer) -> AnchorPaths {
    let family = |link| Some(FamilyPaths { link, anchors: Vec::new() });
    PerFamily { ipv4: family(ipv4), ipv6: family(ipv6) }
}

fn ended(anchor: &str, end: AnchorEnd) -> AnchorAnswer {
    AnchorAnswer {
        anchor: anchor.parse().expect("an address"),
        sent: at(),
        took: Duration::from_millis(9),
        end,
        from: None,
        own_path: false,
    }
}

fn from_server(answer: DnsOutcome, server: &str, word: &str) -> ServerAnswer {
    let observation = asked(ProbeKind::DirectDns, server, word);
    ServerAnswer { server: server.parse().expect("an address"), answer, observation }
}

fn page(portal: PortalOutcome, word: &str) -> PortalAnswer {
    let observation = asked(ProbeKind::Portal, "check.example", word);
    PortalAnswer { portal, from_router: false, observation }
}

fn asked(probe: ProbeKind, target: &str, answer: &str) -> Observation {
    let family = target.parse().ok().map(Family::of);
    let (target, answer) = (target.to_owned(), answer.to_owned());
    Observation { probe, target, family, answer, ms: Some(12), at: at() }
}

/// Facts of a connection without faults, by IPv4 alone.
fn healthy() -> ConnectivityFacts {
    ConnectivityFacts {
        has_link_events: true,
        paths: paths(routed("eth0", Some("192.168.1.1"), false), LinkAnswer::NoAddress),
        anchors: vec![
            ended("1.1.1.1:443", AnchorEnd::Proved),
            ended("9.9.9.9:443", AnchorEnd::Proved),
        ],
        wants_proof: true,
        no_roots: None,
        ipv6_unjudged: false,
        gateways: vec![(RouterOutcome::Alive, asked(ProbeKind::Gateway, "192.168.1.1", "refused"))],
        system_dns: (DnsOutcome::Answered, asked(ProbeKind::SystemDns, "dl.example", "answered")),
        direct_dns: vec![from_server(DnsOutcome::Answered, "192.168.1.1:53", "answered")],
        portal: Some(page(PortalOutcome::Genuine, "genuine")),
    }
}

#[test]
fn without_a_fault_every_check_passes() {
    insta::assert_snapshot!(rows(&judge(&healthy())), @"
    PASS route IPv4: by eth0 through 192.168.1.1
    SKIP route IPv6: this device has no address, so IPv6 is not monitored
    PASS anchor 1.1.1.1:443: verified by TLS in 9 ms
    PASS anchor 9.9.9.9:443: verified by TLS in 9 ms
    PASS router 192.168.1.1: it answers (refused)
    PASS names: dl.example was found in 12 ms
    PASS name server 192.168.1.1:53: it answers in 12 ms
    PASS login page: none: check.example answered as expected
    ");
}

/// The beginning of the row for a probe; `None` if this file does not check it.
fn row_of(probe: ProbeKind) -> Option<&'static str> {
    match probe {
        ProbeKind::Tcp => Some("anchor "),
        ProbeKind::Gateway => Some("router "),
        ProbeKind::SystemDns => Some("names: "),
        ProbeKind::DirectDns => Some("name server "),
        ProbeKind::Portal => Some("login page: "),
        ProbeKind::Link => Some("route "),
        // The first is sent only beneath a tunnel that fails; `cloud.rs` sends the second.
        ProbeKind::Underlay | ProbeKind::Heartbeat => None,
    }
}

#[test]
fn every_probe_has_a_row() {
    let rows = rows(&judge(&healthy()));
    for row in ProbeKind::ALL.into_iter().filter_map(row_of) {
        assert!(rows.contains(&format!("PASS {row}")), "no check has a row {row:?}");
    }
}

#[test]
fn an_outage_is_distinguished_from_one_blocked_server() {
    let mut facts = healthy();
    facts.anchors[1].end = AnchorEnd::Refused;
    insta::assert_snapshot!(rows(&judge(&facts)[2..4]), @"
    PASS anchor 1.1.1.1:443: verified by TLS in 9 ms
    FAIL anchor 9.9.9.9:443: refused after 9 ms → A firewall may block it: open its port, or set other servers in probe.anchors.
    ");
    for answer in &mut facts.anchors {
        answer.end = AnchorEnd::TimedOut;
    }
    facts.gateways[0].0 = RouterOutcome::Silent;
    facts.system_dns = (DnsOutcome::Silent, asked(ProbeKind::SystemDns, "dl.example", "silent"));
    facts.direct_dns[0].answer = DnsOutcome::Silent;
    facts.portal = Some(page(PortalOutcome::NoAnswer, "no_answer"));
    insta::assert_snapshot!(rows(&judge(&facts)[2..]), @"
    FAIL anchor 1.1.1.1:443: no answer in 9 ms → If other programs connect by IPv4, a firewall blocks it; else the internet is down.
    FAIL anchor 9.9.9.9:443: no answer in 9 ms → If other programs connect by IPv4, a firewall blocks it; else the internet is down.
    FAIL router 192.168.1.1: it does not answer → Check the router.
    FAIL names: no name server answered for dl.example → Check that the name servers in /etc/resolv.conf run.
    FAIL name server 192.168.1.1:53: it does not answer → Set another one on this network, or ask its operator.
    SKIP login page: check.example does not answer
    ");
}

#[test]
fn one_working_family_does_not_hide_a_failure_of_the_other() {
    let mut facts = healthy();
    let ipv4 = routed("eth0", Some("192.168.1.1"), false);
    facts.paths = paths(ipv4, routed("eth0", Some("fe80::1"), false));
    facts.anchors.push(ended("[2606:4700:4700::1111]:443", AnchorEnd::Unreachable));
    facts.gateways.push((RouterOutcome::Silent, asked(ProbeKind::Gateway, "fe80::1", "silent")));
    let checks = judge(&facts);
    let of_ipv6: Vec<_> = [1, 4, 6].map(|row| checks[row].clone()).into();
    insta::assert_snapshot!(rows(&of_ipv6), @"
    PASS route IPv6: by eth0 through fe80::1
    FAIL anchor [2606:4700:4700::1111]:443: there is no route to it → If other programs connect by IPv6, a firewall blocks it; else the internet is down.
    FAIL router fe80::1: it does not answer → Check the router.
    ");
}

#[test]
fn ipv6_that_has_never_worked_here_is_a_warning() {
    let mut facts = healthy();
    let ipv4 = routed("eth0", Some("192.168.1.1"), false);
    facts.paths = paths(ipv4, routed("eth0", Some("fe80::1"), false));
    facts.ipv6_unjudged = true;
    facts.anchors.push(ended("[2606:4700:4700::1111]:443", AnchorEnd::Unreachable));
    facts.anchors.push(ended("[2620:fe::9]:443", AnchorEnd::Unproved));
    facts.gateways.push((RouterOutcome::Silent, asked(ProbeKind::Gateway, "fe80::1", "silent")));
    insta::assert_snapshot!(rows(&judge(&facts)[1..8]), @"
    PASS route IPv6: by eth0 through fe80::1
    WARN IPv6: it has a route and has never worked on this network, so it is not monitored → If it should work here, ask the provider; if not, turn it off on the router.
    PASS anchor 1.1.1.1:443: verified by TLS in 9 ms
    PASS anchor 9.9.9.9:443: verified by TLS in 9 ms
    SKIP anchor [2606:4700:4700::1111]:443: there is no route to it; IPv6 is not monitored here
    SKIP anchor [2620:fe::9]:443: something else answers at its address, without a valid certificate for it; IPv6 is not monitored here
    PASS router 192.168.1.1: it answers (refused)
    ");
    insta::assert_snapshot!(rows(&judge(&facts)[8..9]), @"SKIP router fe80::1: it does not answer; IPv6 is not monitored here");
    // IPv6 has just begun to work.
    facts.anchors[2].end = AnchorEnd::Proved;
    let rows = rows(&judge(&facts));
    assert!(rows.contains("FAIL anchor [2620:fe::9]:443") && !rows.contains("SKIP"), "{rows}");
}

#[test]
fn the_journal_decides_whether_ipv6_is_judged_and_the_status_if_it_cannot_be_read() {
    let ipv4 = || routed("eth0", Some("192.168.1.1"), false);
    let ipv6 = || routed("eth0", Some("fe80::1"), false);
    let known = |family, router: &str, family_proved| NetworkFacts {
        network: Network {
            family,
            interface: "eth0".to_owned(),
            router: router.parse().ok(),
            router_mac: None,
        },
        family_proved,
        anchor_proved: family_proved,
        router_answered: true,
    };
    let worked = [known(Family::Ipv6, "fe80::1", true)];
    let failed = [known(Family::Ipv6, "fe80::1", false), known(Family::Ipv4, "192.168.1.1", true)];
    let elsewhere = [known(Family::Ipv6, "fe80::2", true)];
    let status = |condition| {
        let folder = "/var/lib/ispmon".as_ref();
        let mut status = Status::starting("dl-home", folder, at(), Duration::from_mins(1));
        let link = Some((&ipv6()).into());
        status.families =
            vec![FamilyStatus { family: Family::Ipv6, condition, last_ok: None, link }];
        status
    };
    let (unused, down) = (status(ConnectivityStatus::Unused), status(ConnectivityStatus::Down));
    let running = |status| Some((status, Presence::Running));
    for (what, paths, networks, status, expected) in [
        ("a new device", paths(ipv4(), ipv6()), Some(&[][..]), None, true),
        ("never here", paths(ipv4(), ipv6()), Some(&failed[..]), None, true),
        ("elsewhere", paths(ipv4(), ipv6()), Some(&elsewhere[..]), None, true),
        ("once here", paths(ipv4(), ipv6()), Some(&worked[..]), None, false),
        ("IPv6 alone", paths(LinkAnswer::NoAddress, ipv6()), Some(&failed[..]), None, false),
        ("no IPv6", paths(ipv4(), LinkAnswer::NoRoute), Some(&failed[..]), None, false),
        ("not readable", paths(ipv4(), ipv6()), None, None, false),
        ("the agent reports it", paths(ipv4(), ipv6()), None, running(&unused), true),
        ("it is down", paths(ipv4(), ipv6()), None, running(&down), false),
        (
            "a stopped agent reports it",
            paths(ipv4(), ipv6()),
            None,
            Some((&unused, Presence::Gone)),
            false,
        ),
    ] {
        assert_eq!(Past { networks, status }.is_ipv6_unjudged(&paths), expected, "{what}");
    }
}

#[test]
fn a_device_that_is_not_connected_fails_once_for_each_family() {
    let mut facts = healthy();
    facts.paths = paths(LinkAnswer::NoCarrier, LinkAnswer::NoCarrier);
    facts.anchors.clear();
    facts.gateways.clear();
    insta::assert_snapshot!(rows(&judge(&facts)[..3]), @"
    FAIL route IPv4: no cable or Wi-Fi is connected → Connect this device to its router.
    FAIL route IPv6: no cable or Wi-Fi is connected → Connect this device to its router.
    SKIP router: there is none on the path
    ");
}

#[test]
fn a_silent_router_is_a_warning_and_a_server_with_false_answers_a_failure() {
    let mut facts = healthy();
    facts.paths = paths(routed("wg0", None, true), LinkAnswer::NoAddress);
    facts.gateways[0].0 = RouterOutcome::Silent;
    facts.direct_dns[0] = from_server(DnsOutcome::Lied, "192.168.1.1:53", "lied");
    facts.portal = None;
    let checks = judge(&facts);
    let selected: Vec<_> = [0, 4, 6, 7].map(|row| checks[row].clone()).into();
    insta::assert_snapshot!(rows(&selected), @"
    PASS route IPv4: by wg0 (a tunnel)
    WARN router 192.168.1.1: it works, but answers no probes, so a dead router looks like a dead provider → If it has a setting for it, let it refuse connections or answer pings from the local network.
    FAIL name server 192.168.1.1:53: it gives the same address for every name, or one that no host can have → Set another one on this network, or ask its operator.
    SKIP login page: probe.portal is off
    ");
}

#[test]
fn a_query_that_fails_on_this_device_is_reported_as_such() {
    let mut facts = healthy();
    facts.direct_dns[0] = from_server(DnsOutcome::NotAsked, "192.168.1.1:53", "no_descriptors");
    insta::assert_snapshot!(rows(&judge(&facts)[6..7]), @"FAIL name server 192.168.1.1:53: this device could not send the query (no_descriptors) → See what has used up its file descriptors, memory or ports.");
}

#[test]
fn a_login_page_is_a_failure_even_when_connections_are_completed() {
    let mut facts = healthy();
    facts.portal = Some(page(PortalOutcome::Intercepted, "intercepted"));
    let checks = judge(&facts);
    insta::assert_snapshot!(rows(&checks[6..]), @"
    PASS name server 192.168.1.1:53: it answers in 12 ms
    FAIL login page: something answered in the name of check.example → Sign in with a browser, or have this device let through.
    ");
}

#[test]
fn an_anchor_without_proof_fails_if_another_has_proof() {
    let mut facts = healthy();
    facts.anchors[0].end = AnchorEnd::Unproved;
    insta::assert_snapshot!(rows(&judge(&facts)[2..4]), @r#"
    FAIL anchor 1.1.1.1:443: something else answers at its address, without a valid certificate for it → See what answers for this address here (a router that uses it itself, a proxy), or set another server in probe.anchors. One that has no certificate for its address is written "tcp://…".
    PASS anchor 9.9.9.9:443: verified by TLS in 9 ms
    "#);
}

#[test]
fn without_any_proof_the_possible_causes_are_named() {
    let mut facts = healthy();
    for answer in &mut facts.anchors {
        answer.end = AnchorEnd::Unproved;
    }
    insta::assert_snapshot!(rows(&judge(&facts)[2..5]), @r#"
    WARN anchor 1.1.1.1:443: connected, but TLS failed after 9 ms
    WARN anchor 9.9.9.9:443: connected, but TLS failed after 9 ms
    WARN proof: connections are completed, but no anchor can be verified: a router or a proxy answers for them, or intercepts TLS → If other programs connect, a proxy intercepts TLS: write anchors as "tcp://…" in probe.anchors. If none does, the internet is down behind the device that answers.
    "#);
    facts.no_roots = Some("No CA certificates were loaded from the system".to_owned());
    insta::assert_snapshot!(rows(&judge(&facts)[4..5]), @"WARN proof: no certificate can be verified here (No CA certificates were loaded from the system), so a device on the path that answers for the anchors is mistaken for the internet → Install the package ca-certificates, or see what SSL_CERT_FILE names.");
    for answer in &mut facts.anchors {
        answer.end = AnchorEnd::Contact;
    }
    facts.wants_proof = false;
    insta::assert_snapshot!(rows(&judge(&facts)[2..5]), @"
    PASS anchor 1.1.1.1:443: connected in 9 ms, without TLS
    PASS anchor 9.9.9.9:443: connected in 9 ms, without TLS
    PASS router 192.168.1.1: it answers (refused)
    ");
}

#[test]
fn faults_of_this_device_are_reported_as_such() {
    let mut facts = healthy();
    facts.has_link_events = false;
    facts.paths = paths(LinkAnswer::Prohibited, LinkAnswer::Unknown);
    facts.anchors = vec![
        ended("1.1.1.1:443", AnchorEnd::NotAsked(LocalFailure::NoDescriptors)),
        ended("8.8.8.8:443", AnchorEnd::Forbidden),
        ended("9.9.9.9:443", AnchorEnd::OnLink),
        AnchorAnswer {
            from: "192.168.1.1".parse().ok(),
            ..ended("192.0.2.1:443", AnchorEnd::Unreachable)
        },
    ];
    insta::assert_snapshot!(rows(&judge(&facts)[..7]), @r#"
    FAIL route IPv4: a policy rule or route of this device forbids it → Look for "prohibit" in "ip rule" and "ip route".
    WARN route IPv6: it could not be looked up → Run this again; if it keeps failing, see the kernel log ("dmesg").
    WARN netlink: the kernel denies route lookups here, so changes are detected only every 5 s, and policy rules not at all → Allow AF_NETLINK in the sandbox (RestrictAddressFamilies= of the service).
    FAIL anchor 1.1.1.1:443: it could not be probed: this device has no free file descriptors → Find the program that keeps so many files or connections open ("lsof"), or raise the limit (LimitNOFILE= of the service, fs.file-max).
    FAIL anchor 8.8.8.8:443: this device itself forbids the connection → Allow it in the firewall of this device, or in the service's sandbox.
    WARN anchor 9.9.9.9:443: it is reached without a router, so it proves nothing about the internet → Set a server on the internet in probe.anchors.
    FAIL anchor 192.0.2.1:443: there is no route to it, reported by 192.168.1.1 → If other programs connect by IPv4, a firewall blocks it; else the internet is down.
    "#);
}

#[test]
fn a_page_of_the_router_is_distinguished_from_a_login_page() {
    let mut facts = healthy();
    let answer = page(PortalOutcome::Intercepted, "intercepted");
    facts.portal = Some(PortalAnswer { from_router: true, ..answer });
    let checks = judge(&facts);
    insta::assert_snapshot!(rows(&checks[checks.len() - 1..]), @"FAIL login page: the router itself answered in the name of check.example → Open its page with a browser: it requires a login, or shows what is wrong.");
}
