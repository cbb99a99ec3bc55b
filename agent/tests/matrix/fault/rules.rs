//! The packet filter's rules that make faults.

use super::Fault;
use crate::play::{
    addresses::{ALPHA, BETA, PORTAL_V4, PORTAL_V6, TUNNEL_PEER},
    house::House,
    namespace::Namespace,
};

impl Fault {
    /// Takes its rules away again: each fault has a table of its own.
    pub(super) fn delete(self) -> String {
        match self {
            Self::RouterDead => "delete table netdev fault".to_owned(),
            Self::RouterDeaf => "delete table inet habit".to_owned(),
            _ => "delete table inet fault".to_owned(),
        }
    }

    /// The place whose packet filter does it, and its rules.
    pub(super) fn rules(self, house: &House) -> (&Namespace, String) {
        let forward = |rules: &str| filter("fault", "forward", rules);
        let input = |rules: &str| filter("fault", "input", rules);
        match self {
            Self::RouterDead => (
                &house.router,
                "table netdev fault {
                   chain in {
                     type filter hook ingress device lan0 priority 0
                     drop
                   }
                 }"
                .to_owned(),
            ),
            Self::RouterDeadButKnown => {
                // ARP is not IP and passes an `inet` table anyway; its successor for IPv6 is let through.
                let rules = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\niifname lan drop";
                let tables = [input(rules), forward("drop")];
                (&house.router, tables.join("\n"))
            }
            Self::RouterDeaf => (
                &house.router,
                filter(
                    "habit",
                    "input",
                    "iifname lan meta l4proto tcp drop
                     icmp type echo-request drop
                     icmpv6 type echo-request drop",
                ),
            ),
            Self::IspSilent => (&house.isp, forward("drop")),
            Self::IspSilentFor(family) => (&house.isp, forward(&format!("meta nfproto {family} drop"))),
            Self::IspRejects => (&house.isp, forward("reject with icmpx type admin-prohibited")),
            Self::RouterResets => {
                (&house.router, forward("meta l4proto tcp reject with tcp reset\ndrop"))
            }
            Self::NamesSilent => (&house.resolver, input("th dport 53 drop")),
            Self::FirstNameServerSilent => {
                (&house.resolver, input("meta nfproto ipv4 th dport 53 drop"))
            }
            Self::Portal => (
                &house.router,
                format!(
                    "table inet fault {{
                       chain in {{
                         type nat hook prerouting priority -110
                         iifname lan fib daddr type local return
                         iifname lan meta nfproto ipv4 tcp dport 80 dnat ip to {PORTAL_V4}
                         iifname lan meta nfproto ipv6 tcp dport 80 dnat ip6 to {PORTAL_V6}
                       }}
                       chain forward {{
                         type filter hook forward priority 0
                         iifname lan oifname wan udp dport 53 accept
                         iifname lan oifname wan drop
                       }}
                     }}"
                ),
            ),
            Self::PortalAcceptsAll => (
                &house.router,
                format!(
                    "table inet fault {{
                       chain in {{
                         type nat hook prerouting priority -110
                         iifname lan fib daddr type local return
                         iifname lan meta nfproto ipv4 tcp dport 80 dnat ip to {PORTAL_V4}
                         iifname lan meta nfproto ipv6 tcp dport 80 dnat ip6 to {PORTAL_V6}
                         iifname lan meta nfproto ipv4 meta l4proto tcp dnat ip to {PORTAL_V4}:443
                         iifname lan meta nfproto ipv6 meta l4proto tcp dnat ip6 to [{PORTAL_V6}]:443
                       }}
                     }}"
                ),
            ),
            Self::EndpointRefuses => {
                (&house.endpoint, input("tcp dport 443 reject with tcp reset"))
            }
            Self::AnchorsBlocked => {
                let of = |v4: bool| {
                    let all = ALPHA.iter().chain(&BETA);
                    let some: Vec<_> = all.copied().filter(|a| a.contains('.') == v4).collect();
                    some.join(", ")
                };
                let rules = format!(
                    "ip daddr {{ {} }} tcp dport 443 drop\nip6 daddr {{ {} }} tcp dport 443 drop",
                    of(true),
                    of(false)
                );
                (&house.isp, forward(&rules))
            }
            Self::TunnelDead => (&house.isp, forward(&format!("ip daddr {TUNNEL_PEER} drop"))),
            Self::CablePulled
            | Self::NoAddress
            | Self::NamesLie
            | Self::EndpointNameGone
            | Self::Endpoint(_)
            | Self::EndpointShows(_)
            | Self::Line(_) => unreachable!("{self:?} is not made by a packet filter"),
        }
    }
}

/// A table with one chain.
fn filter(table: &str, hook: &str, rules: &str) -> String {
    format!(
        "table inet {table} {{
           chain {hook} {{
             type filter hook {hook} priority 0
             {rules}
           }}
         }}"
    )
}
