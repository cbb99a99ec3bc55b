//! `ispmon-agent doctor` in a test network. The network needs root, the doctor does not.

use std::net::TcpListener;

use ispmon_agent::{
    journal::Entry,
    outage::{Network, NetworkFacts},
    probe::Family,
};

use super::{doctor::configured, place};
use crate::record::JournalBuilder;

/// The rows for a device whose router drops IPv6, with an anchor of each family beyond it. According to
/// the journal, IPv6 has worked in this network if `family_proved`.
fn rows_with_broken_ipv6(family_proved: bool) -> Option<String> {
    let home = ispmon_testing::network::TestNetwork::build()?;
    home.filter_forwarding("meta nfproto ipv6 drop");
    let anchor = home.internet.enter(|| TcpListener::bind("203.0.113.1:9"));
    let _anchor = anchor.expect("a free port");
    let machine = configured("tcp://203.0.113.1:9, tcp://[fd00:113::1]:9");
    let at = "2026-11-24T08:01:01Z";
    let mut journal = JournalBuilder::start(1, "dl-home", at);
    let network = Network {
        family: Family::Ipv6,
        interface: "eth0".to_owned(),
        router: "fe80::1".parse().ok(),
        router_mac: None,
    };
    let (anchor_proved, router_answered) = (family_proved, true);
    let network = NetworkFacts { network, family_proved, anchor_proved, router_answered };
    let at = journal.at(at.parse().expect("a time"));
    journal.push(at, Entry::Network { network });
    journal.write(&machine.state_dir());
    let command = machine.command(&["doctor", "--config", "agent.toml"]);
    Some(home.device.enter(|| place::run(command)).output)
}

/// The failed rows about IPv6.
fn failed(rows: &str) -> Vec<&str> {
    let failed = rows.lines().filter(|row| row.starts_with("FAIL"));
    failed.filter(|row| row.contains("IPv6") || row.contains("[fd00:113::1]")).collect()
}

#[test]
fn broken_ipv6_fails_only_where_it_has_worked_before() {
    let Some(rows) = rows_with_broken_ipv6(false) else { return };
    assert_eq!(failed(&rows), [""; 0], "{rows}");
    assert!(rows.contains("\nWARN  IPv6 "), "{rows}");
    assert!(rows.contains("\nSKIP  anchor [fd00:113::1]:9 "), "{rows}");
    assert!(rows.contains("\nPASS  anchor 203.0.113.1:9 "), "{rows}");
    let Some(rows) = rows_with_broken_ipv6(true) else { return };
    let [row] = failed(&rows)[..] else { panic!("{rows}") };
    assert!(row.starts_with("FAIL  anchor [fd00:113::1]:9 "), "{rows}");
    assert!(!rows.contains("\nWARN  IPv6 "), "{rows}");
}
