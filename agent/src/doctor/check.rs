//! One check and what came of it; all of them, as people and programs read them.

use std::fmt;

use serde::Serialize;

use crate::printable::printable;

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is as it should be.
    Pass,
    /// It works, but somebody should know about it. No reason for the command to fail.
    Warn,
    /// The agent cannot do its work, or nobody would hear of it.
    Fail,
    /// It could not be checked, or there is nothing to check here.
    Skip,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
            Self::Skip => "SKIP",
        }
    }
}

/// One check and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, in a few words.
    pub name: String,
    /// What came of it.
    #[serde(rename = "result")]
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// The one thing to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

impl Check {
    /// It is as it should be.
    pub(super) fn pass(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Pass, detail: detail.into(), action: None }
    }

    /// It could not be checked, and why.
    pub(super) fn skip(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skip, ..Self::pass(name, detail) }
    }

    /// It is worth knowing.
    pub(super) fn warn(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, ..Self::pass(name, detail) }
    }

    /// It is wrong.
    pub(super) fn fail(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, ..Self::pass(name, detail) }
    }

    /// With the one thing to do about it, as a sentence.
    #[must_use]
    pub(super) fn action(self, action: impl Into<String>) -> Self {
        Self { action: Some(action.into()), ..self }
    }
}

/// All checks in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn extend(&mut self, checks: impl IntoIterator<Item = Check>) {
        self.checks.extend(checks);
    }

    /// The checks.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether nothing has failed.
    pub fn is_healthy(&self) -> bool {
        self.count(Verdict::Fail) == 0
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }
}

impl fmt::Display for Report {
    /// A row a check, under it what to do, and the summary as the last line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
        for check in &self.checks {
            let Check { name, verdict, detail, action } = check;
            writeln!(formatter, "{}  {name:width$}  {}", verdict.as_str(), printable(detail))?;
            if let Some(action) = action {
                writeln!(formatter, "      {:width$}  → {}", "", printable(action))?;
            }
        }
        let count = |verdict| self.count(verdict);
        write!(formatter, "\nSUMMARY: {} passed, ", count(Verdict::Pass))?;
        match count(Verdict::Warn) {
            1 => write!(formatter, "1 warning, ")?,
            more => write!(formatter, "{more} warnings, ")?,
        }
        write!(formatter, "{} failed, ", count(Verdict::Fail))?;
        write!(formatter, "{} skipped. ", count(Verdict::Skip))?;
        let first = self.checks.iter().find(|check| check.verdict == Verdict::Fail);
        match first {
            None => writeln!(formatter, "Nothing keeps the agent from its work."),
            Some(check) => writeln!(formatter, "Begin with: {}.", check.name),
        }
    }
}
