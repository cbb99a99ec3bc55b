//! The name of a device, and how two names are compared.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use crate::{limits, text};

/// The name of a monitored device: compared trimmed and in lower case, shown as written.
#[derive(Clone, Debug)]
pub struct Device(String);

impl Device {
    /// The name of a device that does not send one.
    pub const UNKNOWN: &'static str = "unknown";

    /// Returns the first name that is not blank: the body's, then the header's, else `unknown`.
    ///
    /// Control characters are removed and names are cut to 100 characters.
    pub fn choose(body: Option<&str>, header: Option<&str>) -> Self {
        let name = |candidate| text::present(candidate, limits::DEVICE_CHARACTERS);
        Self(name(body).or_else(|| name(header)).unwrap_or_else(|| Self::UNKNOWN.to_owned()))
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which devices are compared; see [`comparison_key`].
    pub fn comparison_key(&self) -> String {
        comparison_key(&self.0)
    }
}

/// The prefix that [`comparison_key`] puts before a name.
///
/// A JSON parser that converts strings to numbers, dates or GUIDs, as Kusto's `parse_json` does,
/// leaves a string with this prefix alone: `007` does not become 7.
const KEY_PREFIX: &str = "d:";

/// The form in which device names are compared everywhere: `d:`, then the name, trimmed and in
/// lower case.
///
/// The function writes it into each line, and the queries join on it, so only this implementation
/// decides how letters are lower-cased. Characters are mapped one by one, without regard to their
/// neighbours (`str::to_lowercase` uses another sigma at the end of a word); a character whose
/// lower case is more than one character, which is only `İ`, stays as it is.
pub fn comparison_key(name: &str) -> String {
    KEY_PREFIX.chars().chain(name.trim().chars().map(lower)).collect()
}

/// Letters that are lower-cased differently by the programs that compare names: the agent, the
/// function, the templates, the queries and the shells in between.
const AMBIGUOUS: &str = "İıẞΣςϴ\u{212a}\u{212b}\u{2126}ǄǅǇǈǊǋǱǲ";

/// Returns the first character that a monitored device's name must not contain: a comma, which
/// separates names in the list of devices, or a letter whose lower case is not the same everywhere.
/// The deployment refuses the same characters.
pub fn unusable_character(name: &str) -> Option<char> {
    name.chars().find(|character| *character == ',' || AMBIGUOUS.contains(*character))
}

fn lower(character: char) -> char {
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => character,
    }
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
