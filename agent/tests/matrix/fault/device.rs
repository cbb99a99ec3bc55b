//! Faults of the device itself.

use std::{
    io,
    net::{Ipv6Addr, TcpListener, UdpSocket},
};

use super::{Fault, rules::filter};
use crate::play::{
    addresses::{DEVICE_V6, ROUTER_V4},
    house::House,
};

/// Adds or removes a policy rule that prohibits all outgoing traffic.
pub(super) fn prohibit(house: &House, prohibit: bool) -> io::Result<()> {
    let what = if prohibit { "add" } else { "del" };
    ["-4", "-6"].iter().try_for_each(|family| {
        let arguments = [family, "rule", what, "pref", "100", "prohibit"];
        house.device.output("ip", &arguments).map(drop)
    })
}

/// Rules of the device's own packet filter. Like most, it lets neighbour discovery pass.
pub(super) fn firewall(fault: Fault) -> String {
    let near = "oifname != eth0 accept
                icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept";
    let rules = match fault {
        Fault::FirewallRejects => format!("{near}\nreject with icmpx admin-prohibited"),
        Fault::KillSwitch => format!(
            "{near}\nip daddr {}/24 accept\nip6 daddr {{ {}/64, fe80::/10 }} accept\ndrop",
            ROUTER_V4[0], DEVICE_V6[0]
        ),
        _ => format!("{near}\ndrop"),
    };
    filter("fault", "output", &rules)
}

/// All ephemeral ports of the device, until this is dropped.
pub(crate) struct TakenPorts {
    _tcp: TcpListener,
    _udp: UdpSocket,
}

impl TakenPorts {
    /// The one ephemeral port that is left, and the usual range.
    const PORT: u16 = 40_000;
    const USUAL: &str = "32768 60999";

    /// Reduces the device's ephemeral ports to one, and takes that.
    pub(crate) fn take(house: &House) -> io::Result<Self> {
        house.device.set("ipv4/ip_local_port_range", &format!("{0} {0}", Self::PORT))?;
        house.device.enter(|| {
            let address = (Ipv6Addr::UNSPECIFIED, Self::PORT);
            Ok(Self { _tcp: TcpListener::bind(address)?, _udp: UdpSocket::bind(address)? })
        })?
    }

    /// Restores the usual range of ephemeral ports.
    pub(crate) fn give_back(house: &House) -> io::Result<()> {
        house.device.set("ipv4/ip_local_port_range", Self::USUAL)
    }
}
