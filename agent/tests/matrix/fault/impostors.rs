//! Rules by which the router, or a host next to it, answers under the addresses of others.

use crate::play::{
    addresses::{ANCHORS, PORTAL_V4, PORTAL_V6},
    portal::FORBIDS,
    router_services::{ACCEPTS, NAMES, OWN_TLS, PAGE},
};

/// The router answers as one anchor.
pub(super) fn router_owns_anchor() -> String {
    let [[v4, _], ..] = ANCHORS;
    capture(&format!("ip daddr {v4} tcp dport {{ 53, 80, 443 }} redirect to :{ACCEPTS}"))
}

/// The router answers as all anchors, with TLS certificates of its own.
pub(super) fn router_speaks_tls() -> String {
    let v4 = ANCHORS.map(|[v4, _]| v4).join(", ");
    let v6 = ANCHORS.map(|[_, v6]| v6).join(", ");
    capture(&format!(
        "ip daddr {{ {v4} }} tcp dport 443 redirect to :{OWN_TLS}
         ip6 daddr {{ {v6} }} tcp dport 443 redirect to :{OWN_TLS}"
    ))
}

/// A proxy on the router accepts every TCP connection.
pub(super) fn proxy_accepts() -> String {
    capture(&format!("fib daddr type local return\nmeta l4proto tcp redirect to :{ACCEPTS}"))
}

/// The router captures all lookups and all plain HTTP.
pub(super) fn router_page() -> String {
    capture(&format!(
        "udp dport 53 redirect to :{NAMES}
         tcp dport 80 redirect to :{PAGE}"
    ))
}

/// A page next to the router, on this port, answers plain HTTP; lookups pass, the rest is dropped.
pub(super) fn portal(port: u16) -> String {
    let swallow = "iifname lan oifname wan udp dport 53 accept\niifname lan oifname wan drop";
    format!("{}\n{}", capture(&web_to_portal(port)), forward(swallow))
}

/// A login page accepts every TCP connection.
pub(super) fn portal_accepts_all() -> String {
    capture(&format!(
        "{}
         meta nfproto ipv4 meta l4proto tcp dnat ip to {PORTAL_V4}:443
         meta nfproto ipv6 meta l4proto tcp dnat ip6 to [{PORTAL_V6}]:443",
        web_to_portal(80)
    ))
}

/// Every plain HTTP request is forbidden.
pub(super) fn web_forbidden() -> String {
    capture(&web_to_portal(FORBIDS))
}

/// The same, and nothing else passes the router.
pub(super) fn proxy_only() -> String {
    format!("{}\n{}", web_forbidden(), forward("iifname lan oifname wan drop"))
}

/// Redirects plain HTTP to a port of the portal, except for requests to the router itself.
fn web_to_portal(port: u16) -> String {
    format!(
        "fib daddr type local return
         meta nfproto ipv4 tcp dport 80 dnat ip to {PORTAL_V4}:{port}
         meta nfproto ipv6 tcp dport 80 dnat ip6 to [{PORTAL_V6}]:{port}"
    )
}

/// A table that redirects traffic from the house before the router's own rules apply.
fn capture(rules: &str) -> String {
    format!(
        "table inet fault {{
           chain in {{
             type nat hook prerouting priority -110
             iifname != lan return
             {rules}
           }}
         }}"
    )
}

/// Rules for forwarded traffic, in the same table.
fn forward(rules: &str) -> String {
    super::rules::filter("fault", "forward", rules)
}
