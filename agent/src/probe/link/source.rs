//! What a socket's source address shows about the link.

use std::{io, net::IpAddr};

use rustix::io::Errno;

use crate::probe::{LinkAnswer, LocalFailure, Route};

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
    use crate::probe::tcp::source_to;

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
