//! Which networks an IP address belongs to.

use std::net::IpAddr;

/// Whether the address is valid on one link only (RFC 3927, RFC 4291).
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Whether the address is not routed on the internet: private (RFC 1918, RFC 4193) or link-local.
pub(crate) fn is_private(address: IpAddr) -> bool {
    let is_site_wide = match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    };
    is_site_wide || is_link_local(address)
}
