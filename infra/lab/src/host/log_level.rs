//! The log levels in `host.json`: `logging.logLevel`.

use std::collections::BTreeMap;

use crate::telemetry::item::Severity;

/// The minimum level to keep, by category; `None` keeps nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevels {
    default: Option<Severity>,
    categories: BTreeMap<String, Option<Severity>>,
}

/// An unknown level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the level of `{category}` is `{given}`; it must be Trace, Debug, Information, Warning, Error, Critical or None"
)]
pub struct LevelError {
    category: String,
    given: String,
}

impl LogLevels {
    /// Parses the levels in `host.json`; by default, Information and above are kept.
    pub fn parse(levels: &BTreeMap<String, String>) -> Result<Self, LevelError> {
        let mut parsed = Self { default: Some(Severity::Information), categories: BTreeMap::new() };
        for (category, given) in levels {
            let least = least(category, given)?;
            if category.eq_ignore_ascii_case("default") {
                parsed.default = least;
            } else {
                parsed.categories.insert(category.clone(), least);
            }
        }
        Ok(parsed)
    }

    /// Whether an item of this category and severity is kept. The longest configured category that
    /// is a prefix of the item's decides, as in .NET's logging.
    pub fn keeps(&self, category: &str, severity: Severity) -> bool {
        let begins = |name: &str| {
            category.get(..name.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(name))
        };
        let least = self
            .categories
            .iter()
            .filter(|(name, _)| begins(name))
            .max_by_key(|(name, _)| name.len())
            .map_or(self.default, |(_, least)| *least);
        least.is_some_and(|least| severity >= least)
    }
}

fn least(category: &str, given: &str) -> Result<Option<Severity>, LevelError> {
    Ok(Some(match given.to_ascii_lowercase().as_str() {
        "trace" | "debug" => Severity::Verbose,
        "information" => Severity::Information,
        "warning" => Severity::Warning,
        "error" => Severity::Error,
        "critical" => Severity::Critical,
        "none" => return Ok(None),
        _ => return Err(LevelError { category: category.to_owned(), given: given.to_owned() }),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(given: &[(&str, &str)]) -> Result<LogLevels, LevelError> {
        let given = given.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned()));
        LogLevels::parse(&given.collect())
    }

    #[test]
    fn the_longest_matching_category_decides() {
        let levels = levels(&[
            ("default", "Warning"),
            ("Host", "Error"),
            ("Host.Results", "information"),
            ("Host.Aggregator", "None"),
        ])
        .expect("levels");
        assert!(levels.keeps("Host.Results", Severity::Information));
        assert!(!levels.keeps("Host.Results", Severity::Verbose));
        assert!(!levels.keeps("Host.Function.Console", Severity::Warning));
        assert!(levels.keeps("Host.Function.Console", Severity::Error));
        assert!(!levels.keeps("Host.Aggregator", Severity::Critical));
        assert!(levels.keeps("Function.Ping", Severity::Warning));
        assert!(!levels.keeps("Function.Ping", Severity::Information));
    }

    #[test]
    fn without_levels_information_is_kept() {
        let levels = levels(&[]).expect("levels");
        assert!(levels.keeps("Host.Results", Severity::Information));
        assert!(!levels.keeps("Host.Results", Severity::Verbose));
    }

    #[test]
    fn an_unknown_level_is_refused_by_name() {
        let error = levels(&[("Host.Results", "loud")]).expect_err("no level").to_string();
        assert!(error.contains("`Host.Results`") && error.contains("`loud`"), "{error}");
    }
}
