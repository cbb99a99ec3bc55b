//! An anchor: a server on the internet that is probed, with or without TLS.

use std::{fmt, net::IpAddr, net::SocketAddr, str::FromStr};

use thiserror::Error;

use super::Family;

/// The port of an anchor that names none: hardly any network blocks it.
const DEFAULT_PORT: u16 = 443;
/// Prefix of an anchor that is probed without TLS.
const WITHOUT_TLS: &str = "tcp://";

/// One anchor, written as `1.1.1.1`, `[2606:4700:4700::1111]:853` or `tcp://192.0.2.1:443`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Anchor {
    /// Its address; the port is never 0.
    pub address: SocketAddr,
    /// Whether it must prove its identity by a TLS certificate that names its address. Without TLS, a
    /// completed TCP handshake counts as contact, not as proof.
    pub tls: bool,
}

/// Error: a text names no anchor.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AnchorError {
    /// It is no IP address with or without a port.
    #[error("no address")]
    NoAddress,
    /// Its port is 0.
    #[error("without a port that could be probed")]
    NoPort,
}

impl Anchor {
    /// An anchor that is verified by TLS.
    pub fn with_tls(address: SocketAddr) -> Self {
        Self { address, tls: true }
    }

    /// An anchor that can only give contact.
    pub fn without_tls(address: SocketAddr) -> Self {
        Self { address, tls: false }
    }

    /// Its address family.
    pub fn family(&self) -> Family {
        Family::of(self.address.ip())
    }
}

impl FromStr for Anchor {
    type Err = AnchorError;

    fn from_str(text: &str) -> Result<Self, AnchorError> {
        let tcp =
            text.get(..WITHOUT_TLS.len()).filter(|head| head.eq_ignore_ascii_case(WITHOUT_TLS));
        let address =
            parse_address(text.get(tcp.map_or(0, str::len)..).unwrap_or_default(), DEFAULT_PORT);
        match address {
            None => Err(AnchorError::NoAddress),
            Some(address) if address.port() == 0 => Err(AnchorError::NoPort),
            Some(address) => Ok(Self { address, tls: tcp.is_none() }),
        }
    }
}

impl fmt::Display for Anchor {
    /// Writes it in the syntax of the setting, always with the port.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "" } else { WITHOUT_TLS };
        write!(formatter, "{scheme}{}", self.address)
    }
}

/// Parses an address with or without a port, IPv6 with or without brackets.
pub(crate) fn parse_address(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
    alone.or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_parsed_and_written_in_the_same_syntax() {
        for (text, written) in [
            ("1.1.1.1", "1.1.1.1:443"),
            ("1.1.1.1:853", "1.1.1.1:853"),
            ("2606:4700:4700::1111", "[2606:4700:4700::1111]:443"),
            ("[2606:4700:4700::1111]", "[2606:4700:4700::1111]:443"),
            ("[2606:4700:4700::1111]:853", "[2606:4700:4700::1111]:853"),
            ("tcp://192.0.2.1", "tcp://192.0.2.1:443"),
            ("TCP://192.0.2.1:80", "tcp://192.0.2.1:80"),
            ("tcp://[2001:db8::1]:80", "tcp://[2001:db8::1]:80"),
        ] {
            let anchor: Anchor = text.parse().expect(text);
            assert_eq!(anchor.to_string(), written);
            assert_eq!(written.parse(), Ok(anchor), "{text}");
        }
    }

    #[test]
    fn a_text_that_names_no_anchor_is_rejected() {
        for (text, error) in [
            ("", AnchorError::NoAddress),
            ("tcp://", AnchorError::NoAddress),
            ("one.example", AnchorError::NoAddress),
            ("tls://1.1.1.1", AnchorError::NoAddress),
            ("1.1.1.1:", AnchorError::NoAddress),
            ("tcp://1.1.1.1/", AnchorError::NoAddress),
            ("tcp:/é", AnchorError::NoAddress),
            ("1.1.1.1:0", AnchorError::NoPort),
            ("tcp://[2001:db8::1]:0", AnchorError::NoPort),
        ] {
            assert_eq!(text.parse::<Anchor>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_port_of_an_address_is_optional() {
        for (text, expected) in [
            ("192.168.1.1", Some("192.168.1.1:53")),
            ("192.168.1.1:5353", Some("192.168.1.1:5353")),
            ("fd00::1", Some("[fd00::1]:53")),
            ("[fd00::1]", Some("[fd00::1]:53")),
            ("[fd00::1]:5353", Some("[fd00::1]:5353")),
            ("dns.example", None),
            ("192.168.1.1:", None),
        ] {
            let expected = expected.map(|text| text.parse::<SocketAddr>().expect("an address"));
            assert_eq!(parse_address(text, 53), expected, "{text}");
        }
    }
}
