//! Paths where the system refuses lookups: from the kernel's files, and from a socket's source address.

use std::{io, net::IpAddr};

use rustix::io::Errno;

use super::Path;
use crate::probe::{LinkAnswer, LocalFailure, MacAddress, Route, tcp::source_to};

/// How a packet to `address` would leave: by the kernel's files, else by its source address alone.
pub(super) fn path_to(address: IpAddr) -> Path {
    let address = address.to_canonical();
    let source = source_to(address);
    #[cfg(target_os = "linux")]
    if let Ok(path) = super::procfs::path_to(address, &source) {
        return path;
    }
    Path::from(by_source(source))
}

/// The hardware address of the neighbour `gateway` on an interface, by the kernel's files.
pub(super) fn mac_of(gateway: IpAddr, interface: &str) -> Option<MacAddress> {
    #[cfg(target_os = "linux")]
    return super::procfs::mac_of(gateway, interface);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (gateway, interface);
        None
    }
}

/// The link that a socket's source address implies. It names neither interface nor router.
pub(super) fn by_source(source: io::Result<IpAddr>) -> LinkAnswer {
    match source {
        Ok(source) => LinkAnswer::Routed(Route {
            interface: "unknown".to_owned(),
            index: 0,
            source: Some(source),
            gateway: None,
            gateway_mac: None,
            tunnel: false,
        }),
        Err(error) => without_source(&error),
    }
}

/// The reason why there is no source address.
pub(super) fn without_source(error: &io::Error) -> LinkAnswer {
    match Errno::from_io_error(error) {
        Some(Errno::ADDRNOTAVAIL) => LinkAnswer::NoAddress,
        Some(Errno::ACCESS | Errno::PERM) => LinkAnswer::Prohibited,
        Some(errno) if LocalFailure::of(errno).is_some() => LinkAnswer::Unknown,
        Some(_) => LinkAnswer::NoRoute,
        None => LinkAnswer::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn loopback_is_reached_from_itself() {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let link = by_source(source_to(loopback));
        assert_eq!(link.route().and_then(|route| route.source), Some(loopback));
    }

    #[test]
    fn a_failed_lookup_is_no_missing_route() {
        for (errno, expected) in [
            (Errno::NETUNREACH, LinkAnswer::NoRoute),
            (Errno::HOSTUNREACH, LinkAnswer::NoRoute),
            (Errno::INVAL, LinkAnswer::NoRoute),
            (Errno::ADDRNOTAVAIL, LinkAnswer::NoAddress),
            (Errno::ACCESS, LinkAnswer::Prohibited),
            (Errno::MFILE, LinkAnswer::Unknown),
            (Errno::NOMEM, LinkAnswer::Unknown),
        ] {
            assert_eq!(by_source(Err(errno.into())), expected, "{errno:?}");
        }
    }
}
