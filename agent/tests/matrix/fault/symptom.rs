//! What a plain program on the device sees of a fault.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use super::Fault;
use crate::play::{
    addresses::{ALPHA, CHECK_V4, DEVICE_V4, ENDPOINT_V4, ROUTER_V4, v6},
    house::House,
};

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
            Self::NamesSilent | Self::FirstNameServerSilent => {
                &[(Name, &[Seen::Silence]), (AnchorV4, &[Seen::Connected])]
            }
            Self::EndpointNameGone => &[(Name, &[Seen::Truth]), (AnchorV4, &[Seen::Connected])],
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
            // "Administratively prohibited" is EACCES by IPv6 and EHOSTUNREACH by IPv4.
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::PermissionDenied => Seen::Unreachable,
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
