//! Paths where the system refuses lookups: from the kernel's files, and from a socket's source address.

use std::net::IpAddr;

use super::{Path, source::by_source};
use crate::probe::{MacAddress, tcp::source_to};

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
