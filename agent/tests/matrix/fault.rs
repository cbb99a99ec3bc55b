//! What can break, how it is broken, and what a plain program on the device sees of it.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use crate::{
    addresses::{
        ALPHA, BETA, CHECK_V4, DEVICE_V4, ENDPOINT_V4, PORTAL_V4, PORTAL_V6, ROUTER_V4,
        TUNNEL_PEER, v6,
    },
    endpoint::{Certificate, Reply},
    forwarder::Weather,
    house::House,
    world::World,
};

/// Something that is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Somebody pulled the cable.
    CablePulled,
    /// The device lost its addresses, and with them its routes.
    NoAddress,
    /// The router is dead: it does not even answer for its own address on the wire.
    RouterDead,
    /// The router's software is dead, but the neighbour table goes on being confirmed.
    RouterDeadButKnown,
    /// The router never answers a probe, although it forwards. Not a failure by itself.
    RouterDeaf,
    /// The provider swallows everything.
    IspSilent,
    /// The provider swallows one address family: `ipv4` or `ipv6`.
    IspSilentFor(&'static str),
    /// The provider answers everything with "administratively prohibited".
    IspRejects,
    /// The router answers connects with a reset in the name of whoever was called.
    RouterResets,
    /// The name server does not answer.
    NamesSilent,
    /// The name server gives an address for every name.
    NamesLie,
    /// A login page answers plain HTTP; the rest is swallowed.
    Portal,
    /// A login page accepts every connection.
    PortalAcceptsAll,
    /// Nobody listens where heartbeats go.
    EndpointRefuses,
    /// The endpoint does something else with each request.
    Endpoint(Reply),
    /// The endpoint shows another certificate.
    EndpointShows(Certificate),
    /// Somebody on the way keeps the device from the anchors alone. Not a failure by itself.
    AnchorsBlocked,
    /// The line loses or delays packets.
    Line(Weather),
    /// The tunnel's peer is gone.
    TunnelDead,
}

/// How a plain connect ends, or a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Connected,
    Refused,
    Unreachable,
    Silence,
    /// A look-up of a name that does not exist was answered with an address.
    Lie,
    /// A look-up was answered as it should be.
    Truth,
}

/// What a plain program asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// A connect to the first anchor by IPv4.
    AnchorV4,
    /// A connect to the first anchor by IPv6.
    AnchorV6,
    /// A connect to the router's port 80.
    Router,
    /// A connect to plain HTTP on the internet.
    Web,
    /// A connect to the endpoint.
    Endpoint,
    /// A look-up at the router of a name that does not exist.
    Name,
}

impl Fault {
    /// Breaks it.
    pub(crate) fn strike(self, world: &World) -> io::Result<()> {
        let World { house, servers, .. } = world;
        match self {
            Self::CablePulled => house.router.ip("link set lan0 down"),
            Self::NoAddress => {
                house.device.ip("addr flush dev eth0 scope global\nroute del ::/0 dev eth0\n")
            }
            Self::Endpoint(reply) => {
                servers.endpoint.reply_with(reply);
                Ok(())
            }
            Self::EndpointShows(certificate) => {
                servers.endpoint.show(certificate);
                Ok(())
            }
            Self::NamesLie => {
                servers.names.lie(true);
                Ok(())
            }
            Self::Line(weather) => {
                world.forwarder().set(weather);
                Ok(())
            }
            _ => {
                let (place, rules) = self.rules(house);
                place.nft(&rules)
            }
        }
    }

    /// Repairs it.
    pub(crate) fn repair(self, world: &World) -> io::Result<()> {
        let World { house, servers, .. } = world;
        match self {
            Self::CablePulled => house.router.ip("link set lan0 up"),
            Self::NoAddress => house.device.ip(&House::device_addresses(0)),
            Self::Endpoint(_) => {
                servers.endpoint.reply_with(Reply::Genuine);
                Ok(())
            }
            Self::EndpointShows(_) => {
                servers.endpoint.show(Certificate::Valid);
                Ok(())
            }
            Self::NamesLie => {
                servers.names.lie(false);
                Ok(())
            }
            Self::Line(_) => {
                world.forwarder().set(Weather::default());
                Ok(())
            }
            Self::RouterDead => house.router.nft("delete table netdev fault"),
            _ => self.rules(house).0.nft(&format!("delete table inet {}", self.table())),
        }
    }

    /// What a plain program on the device sees of it. Whatever is not listed works.
    pub(crate) fn symptoms(self) -> &'static [(Question, &'static [Seen])] {
        /// A neighbour that does not answer is unreachable as soon as the kernel has given it up.
        const NO_WAY: &[Seen] = &[Seen::Silence, Seen::Unreachable];
        use Question::{AnchorV4, AnchorV6, Endpoint, Name, Router, Web};
        match self {
            Self::CablePulled | Self::RouterDead => {
                &[(AnchorV4, NO_WAY), (AnchorV6, NO_WAY), (Router, NO_WAY)]
            }
            Self::NoAddress => &[
                (AnchorV4, &[Seen::Unreachable]),
                (AnchorV6, &[Seen::Unreachable]),
                (Router, &[Seen::Unreachable]),
            ],
            Self::RouterDeadButKnown => &[
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Router, &[Seen::Silence]),
            ],
            Self::RouterDeaf => &[
                (Router, &[Seen::Silence]),
                (AnchorV4, &[Seen::Connected]),
                (AnchorV6, &[Seen::Connected]),
                (Name, &[Seen::Truth]),
            ],
            Self::IspSilent => &[
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Endpoint, &[Seen::Silence]),
                (Name, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
            ],
            Self::IspSilentFor("ipv4") => &[
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Connected]),
                (Router, &[Seen::Refused]),
            ],
            Self::IspSilentFor(_) => &[
                (AnchorV4, &[Seen::Connected]),
                (AnchorV6, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
            ],
            Self::IspRejects => &[
                (AnchorV4, &[Seen::Unreachable]),
                (AnchorV6, &[Seen::Unreachable]),
                (Endpoint, &[Seen::Unreachable]),
                (Router, &[Seen::Refused]),
            ],
            Self::RouterResets => &[
                (AnchorV4, &[Seen::Refused]),
                (AnchorV6, &[Seen::Refused]),
                (Name, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
            ],
            Self::NamesSilent => &[(Name, &[Seen::Silence]), (AnchorV4, &[Seen::Connected])],
            Self::NamesLie => &[(Name, &[Seen::Lie]), (AnchorV4, &[Seen::Connected])],
            Self::Portal => &[
                (Web, &[Seen::Connected]),
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Endpoint, &[Seen::Silence]),
                (Name, &[Seen::Truth]),
                (Router, &[Seen::Refused]),
            ],
            Self::PortalAcceptsAll => &[
                (Web, &[Seen::Connected]),
                (AnchorV4, &[Seen::Connected]),
                (AnchorV6, &[Seen::Connected]),
                (Endpoint, &[Seen::Connected]),
                (Router, &[Seen::Refused]),
            ],
            Self::EndpointRefuses => {
                &[(Endpoint, &[Seen::Refused]), (AnchorV4, &[Seen::Connected])]
            }
            Self::AnchorsBlocked => &[
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Endpoint, &[Seen::Connected]),
                (Name, &[Seen::Truth]),
            ],
            Self::TunnelDead => &[
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
            ],
            Self::Endpoint(_) | Self::EndpointShows(_) => &[
                (Endpoint, &[Seen::Connected]),
                (AnchorV4, &[Seen::Connected]),
                (AnchorV6, &[Seen::Connected]),
            ],
            // Whether a packet is lost is a matter of luck; the forwarder's count is checked instead.
            Self::Line(_) => &[],
        }
    }

    fn table(self) -> &'static str {
        match self {
            Self::RouterDeaf => "habit",
            _ => "fault",
        }
    }

    /// The place whose packet filter does it, and its rules.
    fn rules(self, house: &House) -> (&crate::namespace::Namespace, String) {
        let forward = |rules: &str| {
            format!(
                "table inet fault {{ chain forward {{ type filter hook forward priority 0\n{rules}\n}}\n}}"
            )
        };
        let input = |table: &str, rules: &str| {
            format!(
                "table inet {table} {{ chain input {{ type filter hook input priority 0\n{rules}\n}}\n}}"
            )
        };
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
                let tables = [input("fault", rules), forward("drop")];
                (&house.router, tables.join("\n"))
            }
            Self::RouterDeaf => (
                &house.router,
                input("habit", "iifname lan meta l4proto tcp drop\nicmp type echo-request drop\nicmpv6 type echo-request drop"),
            ),
            Self::IspSilent => (&house.isp, forward("drop")),
            Self::IspSilentFor(family) => (&house.isp, forward(&format!("meta nfproto {family} drop"))),
            Self::IspRejects => (&house.isp, forward("reject with icmpx type admin-prohibited")),
            Self::RouterResets => {
                (&house.router, forward("meta l4proto tcp reject with tcp reset\ndrop"))
            }
            Self::NamesSilent => (&house.resolver, input("fault", "th dport 53 drop")),
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
                (&house.endpoint, input("fault", "tcp dport 443 reject with tcp reset"))
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
            | Self::Endpoint(_)
            | Self::EndpointShows(_)
            | Self::Line(_) => unreachable!("{self:?} is not made by a packet filter"),
        }
    }
}

impl Question {
    /// Asks it from the device, as any program would.
    pub(crate) fn ask(self, house: &House) -> io::Result<Seen> {
        let address: (IpAddr, u16) = match self {
            Self::AnchorV4 => (ALPHA[0].parse().expect("an address"), 443),
            Self::AnchorV6 => (v6(ALPHA[1]).into(), 443),
            Self::Router => (ROUTER_V4[0].into(), 80),
            Self::Web => (CHECK_V4.into(), 80),
            Self::Endpoint => (ENDPOINT_V4.into(), 443),
            Self::Name => return house.device.enter(look_up),
        };
        house.device.enter(|| connect(address.into()))
    }
}

/// How long a connect or a look-up may take: no answer here takes longer than a few milliseconds.
const PATIENCE: Duration = Duration::from_millis(1_500);

fn connect(address: SocketAddr) -> Seen {
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(_) => Seen::Connected,
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Seen::Refused,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Seen::Unreachable,
            _ => Seen::Silence,
        },
    }
}

/// Asks the router for the IPv4 address of `no.such.example`.
fn look_up() -> Seen {
    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02no\x04such\x07example\x00\x00\x01\x00\x01";
    let mut answer = [0; 512];
    let asked = UdpSocket::bind((DEVICE_V4[0], 0)).and_then(|socket| {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(QUERY, (ROUTER_V4[0], 53))?;
        socket.recv(&mut answer)
    });
    match asked {
        // The number of answers stands in the seventh and eighth byte.
        Ok(length) if length > 12 && answer[7] > 0 => Seen::Lie,
        Ok(length) if length > 12 => Seen::Truth,
        Ok(_) | Err(_) => Seen::Silence,
    }
}
