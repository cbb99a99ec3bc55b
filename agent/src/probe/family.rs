//! The two address families, which are judged separately.

use std::{
    array, fmt,
    net::IpAddr,
    ops::{Index, IndexMut},
};

use serde::{Deserialize, Serialize};

/// An address family of the internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// Both, in the order in which they are shown.
    pub const BOTH: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The other family.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Ipv4 => Self::Ipv6,
            Self::Ipv6 => Self::Ipv4,
        }
    }

    /// The family of an address; an IPv4-mapped IPv6 address is IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// A pair of values, one for each address family; an object with the keys `ipv4` and `ipv6` in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PerFamily<T> {
    /// The value for IPv4.
    pub ipv4: T,
    /// The value for IPv6.
    pub ipv6: T,
}

impl<T> PerFamily<T> {
    /// Calls `make` for each family.
    pub fn from_fn(mut make: impl FnMut(Family) -> T) -> Self {
        Self { ipv4: make(Family::Ipv4), ipv6: make(Family::Ipv6) }
    }

    /// Both values with their families, in the order of [`Family::BOTH`].
    pub fn iter(&self) -> array::IntoIter<(Family, &T), 2> {
        [(Family::Ipv4, &self.ipv4), (Family::Ipv6, &self.ipv6)].into_iter()
    }

    /// Both values with their families, mutable.
    pub fn iter_mut(&mut self) -> array::IntoIter<(Family, &mut T), 2> {
        [(Family::Ipv4, &mut self.ipv4), (Family::Ipv6, &mut self.ipv6)].into_iter()
    }

    /// Applies `change` to both values.
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> PerFamily<U> {
        PerFamily { ipv4: change(self.ipv4), ipv6: change(self.ipv6) }
    }
}

impl<T> Index<Family> for PerFamily<T> {
    type Output = T;

    fn index(&self, family: Family) -> &T {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }
}

impl<T> IndexMut<Family> for PerFamily<T> {
    fn index_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        }
    }
}

impl<'a, T> IntoIterator for &'a PerFamily<T> {
    type Item = (Family, &'a T);
    type IntoIter = array::IntoIter<(Family, &'a T), 2>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut PerFamily<T> {
    type Item = (Family, &'a mut T);
    type IntoIter = array::IntoIter<(Family, &'a mut T), 2>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_own_value() {
        let mut pair = PerFamily::from_fn(|family| family.to_string());
        pair[Family::Ipv6].push('!');
        assert_eq!((&*pair[Family::Ipv4], &*pair[Family::Ipv6]), ("IPv4", "IPv6!"));
        for (_, value) in &mut pair {
            value.push('?');
        }
        let listed: Vec<_> =
            pair.iter().map(|(family, value)| format!("{family:?} {value}")).collect();
        assert_eq!(listed, ["Ipv4 IPv4?", "Ipv6 IPv6!?"]);
        assert_eq!(pair.map(|value| value.len()), PerFamily { ipv4: 5, ipv6: 6 });
    }

    #[test]
    fn a_pair_is_an_object_with_a_key_for_each_family() {
        let pair = PerFamily { ipv4: Some(4), ipv6: None };
        let json = serde_json::to_string(&pair).expect("it is JSON");
        assert_eq!(json, r#"{"ipv4":4,"ipv6":null}"#);
        assert_eq!(serde_json::from_str::<PerFamily<Option<i32>>>(&json).expect("and back"), pair);
    }
}
