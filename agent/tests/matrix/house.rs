//! A house with its device, its router, its provider, and the part of the internet that the agent
//! contacts.
//!
//! ```text
//! device ── router ── isp ─┬─ alpha     anchors, the portal check's genuine server, the remote tunnel end
//!              │           ├─ beta      anchors of another organisation
//!            portal        ├─ resolver  the provider's name server
//!                          └─ endpoint  the heartbeat endpoint
//! ```
//!
//! Each is a network namespace. The device is attached to a bridge in the router, so that unplugging
//! the cable takes the carrier from the device and leaves the router its addresses.

use std::{fmt::Write as _, io};

use crate::play::{
    addresses::{
        ADVERTISER_V4, ADVERTISER_V6, ALPHA, BETA, CHECK_V4, CHECK_V6, DEVICE_V4, DEVICE_V6,
        ENDPOINT_V4, ENDPOINT_V6, HOUSE_V6, ISP_V4, ISP_V6, PORTAL_V4, PORTAL_V6, RESOLVER_V4,
        RESOLVER_V6, ROUTER_V4, ROUTER_V6, TUNNEL_PEER, WAN_V4, WAN_V6,
    },
    namespace::Namespace,
};

/// The namespaces of one row.
pub(crate) struct House {
    pub(crate) device: Namespace,
    pub(crate) router: Namespace,
    pub(crate) portal: Namespace,
    pub(crate) isp: Namespace,
    pub(crate) alpha: Namespace,
    pub(crate) beta: Namespace,
    pub(crate) resolver: Namespace,
    pub(crate) endpoint: Namespace,
}

impl House {
    /// Creates and connects the namespaces. No server listens yet.
    pub(crate) fn build() -> io::Result<Self> {
        let house = Self {
            device: Namespace::new("device")?,
            router: Namespace::new("router")?,
            portal: Namespace::new("portal")?,
            isp: Namespace::new("isp")?,
            alpha: Namespace::new("alpha")?,
            beta: Namespace::new("beta")?,
            resolver: Namespace::new("resolver")?,
            endpoint: Namespace::new("endpoint")?,
        };
        for forwarding in [&house.router, &house.isp, &house.alpha] {
            forwarding.set("ipv4/ip_forward", "1")?;
            forwarding.set("ipv6/conf/all/forwarding", "1")?;
        }
        // The provider sends an ICMP error for each rejected packet, without a rate limit.
        house.isp.set("ipv4/icmp_ratemask", "0")?;
        house.isp.set("ipv6/icmp/ratemask", "255")?;
        house.connect_router()?;
        house.connect_isp()?;
        house.device.ip(&format!("link set eth0 up\n{}", Self::device_addresses(0)))?;
        Ok(house)
    }

    /// Commands for `ip` by which the device joins one of the router's two networks: addresses and
    /// routes, as if assigned by DHCP and router advertisement.
    pub(crate) fn device_addresses(network: usize) -> String {
        format!(
            "addr add {}/24 dev eth0\n\
             addr add {}/64 dev eth0\n\
             route add default via {} dev eth0\n\
             route add default via fe80::1 dev eth0\n",
            DEVICE_V4[network], DEVICE_V6[network], ROUTER_V4[network]
        )
    }

    /// Commands for `ip` that remove the device's own IPv6 addresses and routes.
    pub(crate) fn without_own_ipv6() -> String {
        format!("addr del {}/64 dev eth0\nroute del ::/0 dev eth0\n", DEVICE_V6[0])
    }

    fn connect_router(&self) -> io::Result<()> {
        let mut lines = String::new();
        for (network, bridge) in ["lan", "guest"].into_iter().enumerate() {
            let _ = write!(
                lines,
                "link add {bridge} address 02:00:00:00:77:0{network} type bridge forward_delay 0 mcast_snooping 0\n\
                 link set {bridge} up\n\
                 addr add {}/24 dev {bridge}\n\
                 addr add {}/64 dev {bridge}\n\
                 addr add fe80::1/64 dev {bridge}\n",
                ROUTER_V4[network], ROUTER_V6[network]
            );
        }
        let _ = write!(
            lines,
            "link add lan0 type veth peer name eth0 netns {device}\n\
             link set lan0 master lan up\n\
             link add portal type veth peer name eth0 netns {portal}\n\
             link set portal up\n\
             addr add 10.77.0.1/30 dev portal\n\
             addr add fd77::1/64 dev portal\n\
             link add wan type veth peer name router netns {isp}\n\
             link set wan up\n\
             addr add {WAN_V4}/30 dev wan\n\
             addr add {WAN_V6}/64 dev wan\n\
             route add default via {ISP_V4}\n\
             route add default via {ISP_V6}\n",
            device = self.device.path().display(),
            portal = self.portal.path().display(),
            isp = self.isp.path().display(),
        );
        self.router.ip(&lines)?;
        // Like most routers it answers lookups itself; here it forwards them.
        self.router.nft(&format!(
            "table inet house {{
               chain in {{
                 type nat hook prerouting priority dstnat
                 ip daddr {{ {}, {} }} udp dport 53 dnat ip to {RESOLVER_V4}
                 ip6 daddr {{ {}, {} }} udp dport 53 dnat ip6 to {RESOLVER_V6}
               }}
               chain out {{
                 type nat hook postrouting priority srcnat
                 oifname wan meta nfproto ipv4 masquerade
               }}
             }}",
            ROUTER_V4[0], ROUTER_V4[1], ROUTER_V6[0], ROUTER_V6[1]
        ))?;
        self.portal.ip(&format!(
            "link set eth0 up\n\
             addr add {PORTAL_V4}/30 dev eth0\n\
             addr add {PORTAL_V6}/64 dev eth0\n\
             route add default via 10.77.0.1\n\
             route add default via fd77::1\n"
        ))
    }

    fn connect_isp(&self) -> io::Result<()> {
        let mut lines = format!(
            "link set router up\n\
             addr add {ISP_V4}/30 dev router\n\
             addr add {ISP_V6}/64 dev router\n\
             route add {HOUSE_V6} via {WAN_V6}\n"
        );
        let tunnel_peer = TUNNEL_PEER.to_string();
        let check = CHECK_V4.to_string();
        let resolver = RESOLVER_V4.to_string();
        let endpoint = ENDPOINT_V4.to_string();
        let advertiser = ADVERTISER_V4.to_string();
        let beta = [BETA.as_slice(), &[&advertiser, ADVERTISER_V6]].concat();
        let alpha = [ALPHA.as_slice(), &[&tunnel_peer, &check, CHECK_V6]].concat();
        let hosts: [(&Namespace, &str, &[&str]); 4] = [
            (&self.alpha, "alpha", &alpha),
            (&self.beta, "beta", &beta),
            (&self.resolver, "resolver", &[&resolver, RESOLVER_V6]),
            (&self.endpoint, "endpoint", &[&endpoint, ENDPOINT_V6]),
        ];
        for (namespace, name, addresses) in hosts {
            let _ = write!(
                lines,
                "link add {name} type veth peer name eth0 netns {path}\n\
                 link set {name} up\n\
                 addr add 169.254.0.1/32 dev {name}\n\
                 addr add fe80::1/64 dev {name}\n",
                path = namespace.path().display()
            );
            for address in addresses {
                let _ = writeln!(lines, "route add {address} dev {name}");
            }
        }
        self.isp.ip(&lines)?;
        for (namespace, _, addresses) in hosts {
            let mut lines = "link set eth0 up\n".to_owned();
            for address in addresses {
                let _ = writeln!(lines, "addr add {address} dev eth0");
            }
            lines.push_str(
                "route add 169.254.0.1 dev eth0\n\
                 route add default via 169.254.0.1 dev eth0\n\
                 route add default via fe80::1 dev eth0\n",
            );
            namespace.ip(&lines)?;
        }
        Ok(())
    }
}
