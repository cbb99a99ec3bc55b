//! What the doctor says on a network of its own. Needs root for the network, not for the doctor.

use std::net::TcpListener;

use ispmon_agent::{
    journal::Entry,
    outage::{Network, NetworkFacts},
    probe::Family,
};

use super::{doctor::configured, place};
use crate::record::Maker;

/// The rows for a device whose router advertises IPv6 that leads nowhere, with an anchor of each family
/// beyond it. The record says whether IPv6 has worked there.
fn rows_where_ipv6_leads_nowhere(family_proved: bool) -> Option<String> {
    let home = ispmon_testing::network::TestNetwork::build()?;
    home.forward("meta nfproto ipv6 drop");
    let anchor = home.internet.enter(|| TcpListener::bind("203.0.113.1:9"));
    let _anchor = anchor.expect("a free port");
    let place = configured("tcp://203.0.113.1:9, tcp://[fd00:113::1]:9");
    let at = "2026-11-24T08:01:01Z";
    let mut record = Maker::begin(1, "dl-home", at);
    let network = Network {
        family: Family::Ipv6,
        interface: "eth0".to_owned(),
        router: "fe80::1".parse().ok(),
        router_mac: None,
    };
    let (anchor_proved, router_answered) = (family_proved, true);
    let network = NetworkFacts { network, family_proved, anchor_proved, router_answered };
    let at = record.at(at.parse().expect("a time"));
    record.push(at, Entry::Network { network });
    record.write(&place.state_dir());
    let command = place.command(&["doctor", "--config", "agent.toml"]);
    Some(home.device.enter(|| place::run(command)).output)
}

/// The rows that fail and concern IPv6.
fn failed(rows: &str) -> Vec<&str> {
    let failed = rows.lines().filter(|row| row.starts_with("FAIL"));
    failed.filter(|row| row.contains("IPv6") || row.contains("[fd00:113::1]")).collect()
}

#[test]
fn ipv6_that_leads_nowhere_fails_only_where_it_has_worked() {
    let Some(rows) = rows_where_ipv6_leads_nowhere(false) else { return };
    assert_eq!(failed(&rows), [""; 0], "{rows}");
    assert!(rows.contains("\nWARN  IPv6 "), "{rows}");
    assert!(rows.contains("\nSKIP  anchor [fd00:113::1]:9 "), "{rows}");
    assert!(rows.contains("\nPASS  anchor 203.0.113.1:9 "), "{rows}");
    let Some(rows) = rows_where_ipv6_leads_nowhere(true) else { return };
    let [row] = failed(&rows)[..] else { panic!("{rows}") };
    assert!(row.starts_with("FAIL  anchor [fd00:113::1]:9 "), "{rows}");
    assert!(!rows.contains("\nWARN  IPv6 "), "{rows}");
}
