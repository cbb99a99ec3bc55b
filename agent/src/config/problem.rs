//! The problems of a configuration, collected before they are reported.

use std::fmt;

use super::origin::SettingOrigin;

/// All problems of a configuration, one line each, with origin, value (never a secret) and what is valid
/// instead. The program exits with code 78.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<ConfigProblem>,
}

impl ConfigError {
    /// The problems, ordered by the precedence and line of their origins.
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            problem.fmt(formatter)?;
        }
        Ok(())
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigProblem {
    origin: SettingOrigin,
    sentence: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.origin, self.sentence)
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<ConfigProblem>);

impl Problems {
    pub(super) fn add(&mut self, origin: &SettingOrigin, sentence: impl fmt::Display) {
        self.0.push(ConfigProblem { origin: origin.clone(), sentence: sentence.to_string() });
    }

    /// Succeeds when there is no problem.
    pub(super) fn finish(mut self) -> Result<(), ConfigError> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.sort();
        self.0.dedup();
        Err(ConfigError { problems: self.0 })
    }
}

/// A value for a message: quoted, on one line, of bounded length. A URL in the wrong setting may be a
/// secret and is left out; an anchor's `tcp://…` has no part that could be one.
pub(super) fn quoted(value: &str) -> String {
    const MOST: usize = 60;
    let anchor = value.strip_prefix("tcp://").unwrap_or("://");
    if value.contains("://") && anchor.contains(['/', '@', '?']) {
        return "an address (not shown, it may be a secret)".to_owned();
    }
    if value.chars().count() <= MOST {
        return format!("{value:?}");
    }
    let start: String = value.chars().take(MOST).collect();
    format!("{start:?} and so on")
}
