//! The client's address: the last entry of `X-Forwarded-For`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Returns the client's address from the values of all `X-Forwarded-For` headers, in their order.
///
/// Azure's front end appends the address that it saw, as `address:port`, to whatever the client
/// sent, so only the **last** entry can be trusted (bitwarden/server#215). It may be IPv4 or IPv6,
/// with or without port, IPv6 with or without brackets; an IPv4-mapped IPv6 address is returned as
/// IPv4. Anything else gives `None`; an earlier entry is never used instead.
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
