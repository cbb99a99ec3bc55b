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

    /// Whether this user only lacks the right to read parts of the configuration.
    pub fn is_forbidden(&self) -> bool {
        self.problems.iter().all(ConfigProblem::is_forbidden)
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
    /// Whether it is only this user's lack of rights: with sudo the same configuration may be valid.
    is_forbidden: bool,
}

impl ConfigProblem {
    /// Whether this user only lacks the right to read a part of the configuration.
    pub fn is_forbidden(&self) -> bool {
        self.is_forbidden
    }
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
        self.add_unreadable(origin, sentence, false);
    }

    /// Adds a problem of a file; `is_forbidden` is whether this user only lacks the right to read it.
    pub(super) fn add_unreadable(
        &mut self,
        origin: &SettingOrigin,
        sentence: impl fmt::Display,
        is_forbidden: bool,
    ) {
        let sentence = sentence.to_string();
        self.0.push(ConfigProblem { origin: origin.clone(), sentence, is_forbidden });
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
