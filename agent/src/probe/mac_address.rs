//! Hardware addresses, which distinguish routers that have the same IP address.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The hardware address of a network interface (EUI-48), such as `52:54:00:12:34:56`.
///
/// It identifies a device wherever it is, so it is kept only in the local journal, and is neither sent nor
/// logged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

/// Error: a text is no hardware address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no hardware address such as \"52:54:00:12:34:56\"")]
pub struct MacAddressError(String);

impl MacAddress {
    /// Reads an address as the kernel reports it; `None` unless it is six bytes that are not all zero: the
    /// kernel reports an unknown address as zeros.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 6] = bytes.try_into().ok()?;
        (bytes != [0; 6]).then_some(Self(bytes))
    }

    /// Whether both may be equal. An unknown address may equal any: the kernel resolves the address of a router
    /// only when it has a packet to send.
    pub fn may_equal(one: Option<Self>, other: Option<Self>) -> bool {
        one.is_none() || other.is_none() || one == other
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            write!(formatter, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for MacAddress {
    type Err = MacAddressError;

    /// Reads six bytes of two hexadecimal digits with colons between them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let byte = |digits: &str| {
            let is_byte = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_byte.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
        };
        let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
        bytes.and_then(|bytes| Self::new(&bytes)).ok_or_else(|| MacAddressError(text.to_owned()))
    }
}

impl TryFrom<String> for MacAddress {
    type Error = MacAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_address_is_six_bytes_that_are_not_all_zero() {
        let text = "52:54:00:12:34:56";
        let address: MacAddress = text.parse().expect("an address");
        assert_eq!(Some(address), MacAddress::new(&[0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        assert_eq!(address.to_string(), text);
        let zeros = "00:00:00:00:00:00";
        for bad in ["", "52:54:00:12:34", "52:54:00:12:34:5", "52:54:00:12:34:+6", zeros] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_unknown_address_may_equal_any() {
        let (one, other) = (MacAddress::new(&[1; 6]), MacAddress::new(&[2; 6]));
        for (one, other, expected) in [
            (one, one, true),
            (one, None, true),
            (None, one, true),
            (None, None, true),
            (one, other, false),
        ] {
            assert_eq!(MacAddress::may_equal(one, other), expected, "{one:?} {other:?}");
        }
    }
}
