//! Who called: the last entry of `X-Forwarded-For`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Reads the caller's address from the values of all `X-Forwarded-For` headers, in their order.
///
/// Azure's front end appends what it saw, as `address:port`, behind whatever the caller sent, so the
/// **last** entry alone is to be believed (bitwarden/server#215). It is understood as IPv4 or IPv6,
/// with or without port, IPv6 with or without brackets; an IPv4 address that is mapped into IPv6 is
/// returned as IPv4. Anything else gives `None`, and an earlier entry is never taken in its place.
pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<IpAddr> {
    let last = values.into_iter().last()?.rsplit(',').next()?.trim();
    address(last).map(|address| address.to_canonical())
}

fn address(entry: &str) -> Option<IpAddr> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(address);
    }
    if let Some(inner) = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    entry.parse::<SocketAddr>().ok().map(|socket| socket.ip())
}
