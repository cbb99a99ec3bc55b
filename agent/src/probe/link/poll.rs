//! Where the system neither answers nor tells: what a socket would be given.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use crate::probe::{Link, Route};

/// How often it is looked: as often as an anchor is asked by default.
const PERIOD: Duration = Duration::from_secs(5);
/// Addresses that nobody has (RFC 5737, RFC 3849), so that they are reached by the default route.
const SOMEWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// Looks again and again whether the addresses that this device would send from have changed.
#[derive(Debug)]
pub(super) struct Poll {
    ticks: tokio::time::Interval,
    seen: [Option<IpAddr>; 2],
}

impl Poll {
    pub(super) fn new() -> Self {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, seen: SOMEWHERE.map(|address| source_to(address).ok()) }
    }

    pub(super) async fn changed(&mut self) {
        loop {
            self.ticks.tick().await;
            let now = SOMEWHERE.map(|address| source_to(address).ok());
            if std::mem::replace(&mut self.seen, now) != now {
                return;
            }
        }
    }
}

/// Whether there is a route to `anchor`, and from which address.
pub(super) fn link_to(anchor: IpAddr) -> Link {
    match source_to(anchor) {
        Ok(source) => Link::Routed(Route {
            interface: "unknown".to_owned(),
            index: 0,
            source: Some(source),
            gateway: None,
            tunnel: false,
        }),
        Err(_) => Link::NoRoute,
    }
}

/// The address that a datagram to `anchor` would leave from; none is sent.
fn source_to(anchor: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match anchor {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // The port is "discard"; connecting a datagram socket sends nothing.
    socket.connect(SocketAddr::new(anchor, 9))?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_from_itself() {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let link = link_to(loopback);
        assert_eq!(link.route().and_then(|route| route.source), Some(loopback));
    }
}
