//! Packet filter rules that make faults.

use super::{Fault, device, impostors};
use crate::play::{
    addresses::{ALPHA, ANCHORS, BETA, TUNNEL_PEER},
    house::House,
    namespace::Namespace,
    portal,
};

impl Fault {
    /// The command that deletes the rules of a fault, which are in a table of their own.
    pub(super) fn delete(self) -> &'static str {
        match self {
            Self::RouterDead => "delete table netdev fault",
            Self::RouterDeaf => "delete table inet habit",
            _ => "delete table inet fault",
        }
    }

    /// The namespaces whose packet filters make the fault, with the rules for each.
    pub(super) fn rules(self, house: &House) -> Vec<(&Namespace, String)> {
        let silent_provider = (&house.isp, filter("fault", "forward", "drop"));
        match self {
            Self::RouterOwnsAnchor => {
                vec![(&house.router, impostors::router_owns_anchor()), silent_provider]
            }
            Self::RouterSpeaksTls => {
                vec![(&house.router, impostors::router_speaks_tls()), silent_provider]
            }
            Self::RouterPage => vec![(&house.router, impostors::router_page()), silent_provider],
            Self::ProxyAccepts => vec![
                (&house.router, impostors::proxy_accepts()),
                // A real router would answer from its cache; here the path to the name server stays
                // open.
                (
                    &house.isp,
                    filter(
                        "fault",
                        "forward",
                        "iifname resolver accept\noifname resolver accept\ndrop",
                    ),
                ),
            ],
            Self::PortalSaysOk => {
                vec![(&house.router, impostors::portal(portal::SHOWS))]
            }
            Self::WebForbidden => {
                vec![(&house.router, impostors::web_forbidden())]
            }
            Self::ProxyOnly => {
                vec![(&house.router, impostors::proxy_only())]
            }
            Self::FirewallRejects | Self::FirewallDrops | Self::KillSwitch => {
                vec![(&house.device, device::firewall(self))]
            }
            _ => vec![self.own_rules(house)],
        }
    }

    /// The only namespace whose packet filter makes the fault, and the rules for it.
    fn own_rules(self, house: &House) -> (&Namespace, String) {
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
                // ARP is not IP and passes an `inet` table anyway; IPv6 neighbour discovery is let
                // through.
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
            Self::IspSilentFor(family) => {
                (&house.isp, forward(&format!("meta nfproto {family} drop")))
            }
            Self::SmallPacketsOnly => (&house.isp, forward("meta length > 500 drop")),
            Self::OneAnchorDead => {
                let [_, _, [v4, v6]] = ANCHORS;
                (&house.isp, forward(&format!("ip daddr {v4} drop\nip6 daddr {v6} drop")))
            }
            Self::RouterNamesSilent => (
                &house.router,
                "table inet fault {
                   chain in {
                     type filter hook prerouting priority -150
                     iifname lan fib daddr type local th dport 53 drop
                   }
                 }"
                .to_owned(),
            ),
            Self::IspRejects => (&house.isp, forward("reject with icmpx type admin-prohibited")),
            Self::RouterResets => {
                (&house.router, forward("meta l4proto tcp reject with tcp reset\ndrop"))
            }
            Self::NamesSilent => (&house.resolver, input("th dport 53 drop")),
            Self::FirstNameServerSilent => {
                (&house.resolver, input("meta nfproto ipv4 th dport 53 drop"))
            }
            Self::Portal => (&house.router, impostors::portal(80)),
            Self::PortalAcceptsAll => (&house.router, impostors::portal_accepts_all()),
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
            Self::TunnelDead(_) => (&house.isp, forward(&format!("ip daddr {TUNNEL_PEER} drop"))),
            _ => unreachable!("{self:?} is not made by a packet filter"),
        }
    }
}

/// A table with one filter chain.
pub(super) fn filter(table: &str, hook: &str, rules: &str) -> String {
    format!(
        "table inet {table} {{
           chain {hook} {{
             type filter hook {hook} priority 0
             {rules}
           }}
         }}"
    )
}
