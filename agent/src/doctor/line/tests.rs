use jiff::Timestamp;

use super::*;
use crate::{clock::BootId, doctor::tests::rows, outage::ProbeKind, probe::Route};

fn at() -> Stamp {
    Stamp { boot: BootId::UNKNOWN, boot_ms: 7, wall: Timestamp::UNIX_EPOCH }
}

fn routed(interface: &str, gateway: Option<&str>, tunnel: bool) -> Link {
    Link::Routed(Route {
        interface: interface.to_owned(),
        index: 2,
        source: None,
        gateway: gateway.and_then(|gateway| gateway.parse().ok()),
        tunnel,
    })
}

fn connected(target: &str, end: Connect) -> Connected {
    let target = target.parse().expect("an address");
    Connected { target, sent: at(), took: Duration::from_millis(9), end }
}

fn asked(probe: ProbeKind, target: &str, answer: &str) -> Observation {
    let family = target.parse().ok().map(Family::of);
    let (target, answer) = (target.to_owned(), answer.to_owned());
    Observation { probe, target, family, answer, ms: Some(12), at: at() }
}

/// A line on which everybody answers, by IPv4 alone.
fn healthy() -> Facts {
    Facts {
        links: vec![
            (Family::Ipv4, routed("eth0", Some("192.168.1.1"), false)),
            (Family::Ipv6, Link::NoAddress),
        ],
        anchors: vec![
            connected("1.1.1.1:443", Connect::Connected),
            connected("9.9.9.9:443", Connect::Connected),
        ],
        gateways: vec![(Gateway::Alive, asked(ProbeKind::Gateway, "192.168.1.1", "refused"))],
        system_dns: (Dns::Answered, asked(ProbeKind::SystemDns, "dl.example", "answered")),
        direct_dns: vec![(
            Dns::Answered,
            asked(ProbeKind::DirectDns, "192.168.1.1:53", "answered"),
        )],
        portal: Some((Portal::Genuine, asked(ProbeKind::Portal, "check.example", "genuine"))),
    }
}

#[test]
fn a_line_on_which_everybody_answers() {
    insta::assert_snapshot!(rows(&judge(&healthy())), @"
    PASS route IPv4: by eth0 through 192.168.1.1
    SKIP route IPv6: this device has no address, so IPv6 is not watched
    PASS anchor 1.1.1.1:443: connected in 9 ms
    PASS anchor 9.9.9.9:443: connected in 9 ms
    PASS router 192.168.1.1: it answers (refused)
    PASS names: dl.example was found in 12 ms
    PASS name server 192.168.1.1:53: it answers in 12 ms
    PASS login page: none: check.example answered itself
    ");
}

#[test]
fn a_dead_line_is_told_from_one_blocked_server() {
    let mut facts = healthy();
    facts.anchors[1].end = Connect::Refused;
    insta::assert_snapshot!(rows(&judge(&facts)[2..4]), @"
    PASS anchor 1.1.1.1:443: connected in 9 ms
    FAIL anchor 9.9.9.9:443: refused after 9 ms → A firewall may block it: open its port, or set other servers in probe.anchors.
    ");
    for answer in &mut facts.anchors {
        answer.end = Connect::TimedOut;
    }
    facts.gateways[0].0 = Gateway::Silent;
    facts.system_dns = (Dns::Silent, asked(ProbeKind::SystemDns, "dl.example", "silent"));
    facts.direct_dns[0].0 = Dns::Silent;
    facts.portal = Some((Portal::NoAnswer, asked(ProbeKind::Portal, "check.example", "no_answer")));
    insta::assert_snapshot!(rows(&judge(&facts)[2..]), @"
    FAIL anchor 1.1.1.1:443: no answer in 9 ms → If other programs get through by IPv4, a firewall blocks it; else the line is down.
    FAIL anchor 9.9.9.9:443: no answer in 9 ms → If other programs get through by IPv4, a firewall blocks it; else the line is down.
    FAIL router 192.168.1.1: it does not answer → Look after the router.
    FAIL names: no name server answered for dl.example → See whether the name servers in /etc/resolv.conf run.
    FAIL name server 192.168.1.1:53: it does not answer → Set another one on this network, or ask whose it is.
    SKIP login page: check.example does not answer
    ");
}

#[test]
fn one_family_does_not_vouch_for_the_other() {
    let mut facts = healthy();
    facts.links[1].1 = routed("eth0", Some("fe80::1"), false);
    facts.anchors.push(connected("[2606:4700:4700::1111]:443", Connect::Unreachable));
    facts.gateways.push((Gateway::Silent, asked(ProbeKind::Gateway, "fe80::1", "silent")));
    let checks = judge(&facts);
    let of_ipv6: Vec<_> = [1, 4, 6].map(|row| checks[row].clone()).into();
    insta::assert_snapshot!(rows(&of_ipv6), @"
    PASS route IPv6: by eth0 through fe80::1
    FAIL anchor [2606:4700:4700::1111]:443: there is no way to it → If other programs get through by IPv6, a firewall blocks it; else the line is down.
    FAIL router fe80::1: it does not answer → Look after the router.
    ");
}

#[test]
fn a_device_that_is_not_connected_fails_once_for_each_family() {
    let mut facts = healthy();
    facts.links = vec![(Family::Ipv4, Link::NoCarrier), (Family::Ipv6, Link::NoCarrier)];
    facts.anchors.clear();
    facts.gateways.clear();
    insta::assert_snapshot!(rows(&judge(&facts)[..3]), @"
    FAIL route IPv4: no cable or Wi-Fi is connected → Connect this device to its router.
    FAIL route IPv6: no cable or Wi-Fi is connected → Connect this device to its router.
    SKIP router: there is none on the way
    ");
}

#[test]
fn a_router_that_never_answers_and_a_server_that_lies_are_worth_knowing() {
    let mut facts = healthy();
    facts.links[0].1 = routed("wg0", None, true);
    facts.gateways[0].0 = Gateway::Silent;
    facts.direct_dns[0] = (Dns::Lied, asked(ProbeKind::DirectDns, "192.168.1.1:53", "lied"));
    facts.portal = None;
    let checks = judge(&facts);
    let told: Vec<_> = [0, 4, 6, 7].map(|row| checks[row].clone()).into();
    insta::assert_snapshot!(rows(&told), @"
    PASS route IPv4: by wg0 (a tunnel)
    WARN router 192.168.1.1: it works, but answers no questions, so a dead router looks like a dead provider → If it can be told to, let it refuse connections or answer pings from inside.
    FAIL name server 192.168.1.1:53: it gives the same address for every name, or one that is nobody's → Set another one on this network, or ask whose it is.
    SKIP login page: probe.portal is off
    ");
}

#[test]
fn a_login_page_is_a_failure_even_when_connections_are_completed() {
    let mut facts = healthy();
    let intercepted = asked(ProbeKind::Portal, "check.example", "intercepted");
    facts.portal = Some((Portal::Intercepted, intercepted));
    let checks = judge(&facts);
    insta::assert_snapshot!(rows(&checks[6..]), @"
    PASS name server 192.168.1.1:53: it answers in 12 ms
    FAIL login page: something answered in the name of check.example → Sign in with a browser, or have this device let through.
    ");
}

#[test]
fn the_name_of_the_cloud_is_looked_up_unless_it_is_an_address() {
    let url = |text: &str| Some(text.parse::<Url>().expect("a URL"));
    assert_eq!(
        dns::name_to_ask(url("https://dl.example/api/ping").as_ref().and_then(Url::host_str)),
        "dl.example"
    );
    assert_eq!(
        dns::name_to_ask(url("http://127.0.0.1:8080/api/ping").as_ref().and_then(Url::host_str)),
        dns::WELL_KNOWN
    );
    assert_eq!(dns::name_to_ask(None), dns::WELL_KNOWN);
}
