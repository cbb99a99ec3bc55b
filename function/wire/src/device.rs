//! The name of a device, and how two names are compared.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use crate::{limits, text};

/// The name of a monitored device: compared trimmed and in lower case, shown as it was written.
#[derive(Clone, Debug)]
pub struct Device(String);

impl Device {
    /// The name of a device that does not say its own.
    pub const UNKNOWN: &'static str = "unknown";

    /// Takes the first name that is not blank: the body's, the header's, else `unknown`.
    ///
    /// Control characters are removed and names are cut to 100 characters.
    pub fn choose(body: Option<&str>, header: Option<&str>) -> Self {
        let name = |candidate| text::present(candidate, limits::DEVICE_CHARACTERS);
        Self(name(body).or_else(|| name(header)).unwrap_or_else(|| Self::UNKNOWN.to_owned()))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which devices are compared ([`comparison_key`]).
    pub fn comparison_key(&self) -> String {
        comparison_key(&self.0)
    }
}

/// The form in which names of devices are compared everywhere: trimmed, each character in lower case.
///
/// Characters are mapped one by one, without regard to their neighbours, as `tolower` of the
/// Kusto query language does; `str::to_lowercase` makes another sigma of one that ends a word.
pub fn comparison_key(name: &str) -> String {
    name.trim().chars().flat_map(char::to_lowercase).collect()
}

impl From<&str> for Device {
    fn from(name: &str) -> Self {
        Self::choose(Some(name), None)
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        self.comparison_key() == other.comparison_key()
    }
}

impl Eq for Device {}

impl Hash for Device {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.comparison_key().hash(hasher);
    }
}

impl fmt::Display for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
