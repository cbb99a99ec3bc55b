//! The caller's address from `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use ispmon_wire::client_address::parse;
use proptest::prelude::*;

#[track_caller]
fn check(values: &[&str], expected: Option<&str>) {
    let expected = expected.map(|text| text.parse::<IpAddr>().expect("an address"));
    assert_eq!(parse(values.iter().copied()), expected, "{values:?}");
}

#[test]
fn one_entry() {
    check(&["198.51.100.23"], Some("198.51.100.23"));
    check(&["198.51.100.23:51712"], Some("198.51.100.23"));
    check(&["2001:db8::7"], Some("2001:db8::7"));
    check(&["[2001:db8::7]"], Some("2001:db8::7"));
    check(&["[2001:db8::7]:443"], Some("2001:db8::7"));
    check(&["  198.51.100.23:51712\t"], Some("198.51.100.23"));
}

#[test]
fn only_the_last_entry_counts() {
    check(&["203.0.113.9, 10.0.0.1:80, [2001:db8::7]:443"], Some("2001:db8::7"));
    check(&["203.0.113.9,10.0.0.1:80"], Some("10.0.0.1"));
    check(&["203.0.113.9", "198.51.100.23:1"], Some("198.51.100.23"));
    check(&["203.0.113.9, 192.0.2.1", "garbage, 198.51.100.23:1"], Some("198.51.100.23"));
}

#[test]
fn an_earlier_entry_is_never_used() {
    check(&["203.0.113.9, unknown"], None);
    check(&["203.0.113.9,"], None);
    check(&["203.0.113.9", ""], None);
}

#[test]
fn an_ipv4_address_mapped_into_ipv6_is_ipv4() {
    check(&["::ffff:198.51.100.23"], Some("198.51.100.23"));
    check(&["[::ffff:198.51.100.23]:80"], Some("198.51.100.23"));
}

#[test]
fn an_invalid_entry_has_no_address() {
    check(&[], None);
    for garbage in [
        "",
        ",",
        "unknown",
        "198.51.100",
        "198.51.100.256",
        "198.51.100.23:",
        "198.51.100.23:99999",
        "198.51.100.23:http",
        "[198.51.100.23]",
        "[2001:db8::7",
        "2001:db8::7]",
        "[2001:db8::7]443",
        "2001:db8::7%eth0",
        "::1::",
        "\u{661}\u{2028}",
        "198.51.100.23 10.0.0.1",
    ] {
        check(&[garbage], None);
    }
}

proptest! {
    #[test]
    fn any_text_gives_a_result(values in proptest::collection::vec(any::<String>(), 0..4)) {
        let _ = parse(values.iter().map(String::as_str));
    }

    #[test]
    fn the_entry_of_azure_is_found_after_any_forged_entries(
        claims in proptest::collection::vec("[^\u{0}]{0,40}", 0..4),
        socket in any::<SocketAddr>().prop_map(|mut socket| {
            if let SocketAddr::V6(v6) = &mut socket {
                v6.set_scope_id(0);
            }
            socket
        }),
    ) {
        let list = claims.into_iter().chain([socket.to_string()]).collect::<Vec<_>>().join(", ");
        prop_assert_eq!(parse([list.as_str()]), Some(socket.ip().to_canonical()));
    }
}
