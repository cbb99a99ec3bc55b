//! One check and its result; the report of all checks, as text and as JSON.

use std::fmt;

use serde::Serialize;

use crate::printable::printable;

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// The check passed.
    Pass,
    /// The agent works, but the user should know about the finding. The command still succeeds.
    Warn,
    /// The agent cannot work, or its reports do not arrive.
    Fail,
    /// It could not be checked, or there is nothing to check here.
    Skip,
}

impl CheckResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
            Self::Skip => "SKIP",
        }
    }
}

/// One check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoctorCheck {
    /// The name of the check, in a few words.
    pub name: String,
    /// The result.
    #[serde(rename = "result")]
    pub verdict: CheckResult,
    /// The finding.
    pub detail: String,
    /// The advice: one action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

impl DoctorCheck {
    /// A check that passed.
    pub(super) fn pass(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: CheckResult::Pass, detail: detail.into(), action: None }
    }

    /// A check that was not possible; `detail` is the reason.
    pub(super) fn skip(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { verdict: CheckResult::Skip, ..Self::pass(name, detail) }
    }

    /// A check with a warning.
    pub(super) fn warn(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { verdict: CheckResult::Warn, ..Self::pass(name, detail) }
    }

    /// A check that failed.
    pub(super) fn fail(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { verdict: CheckResult::Fail, ..Self::pass(name, detail) }
    }

    /// Adds the advice: one action, as a sentence.
    #[must_use]
    pub(super) fn action(self, action: impl Into<String>) -> Self {
        Self { action: Some(action.into()), ..self }
    }
}

/// All checks in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    checks: Vec<DoctorCheck>,
}

impl DoctorReport {
    pub(super) fn extend(&mut self, checks: impl IntoIterator<Item = DoctorCheck>) {
        self.checks.extend(checks);
    }

    /// Whether no check failed.
    pub fn is_healthy(&self) -> bool {
        self.count(CheckResult::Fail) == 0
    }

    fn count(&self, verdict: CheckResult) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }
}

impl fmt::Display for DoctorReport {
    /// One row for each check, with its action below, and the summary as the last line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
        for check in &self.checks {
            let DoctorCheck { name, verdict, detail, action } = check;
            writeln!(formatter, "{}  {name:width$}  {}", verdict.as_str(), printable(detail))?;
            if let Some(action) = action {
                writeln!(formatter, "      {:width$}  → {}", "", printable(action))?;
            }
        }
        let count = |verdict| self.count(verdict);
        write!(formatter, "\nSUMMARY: {} passed, ", count(CheckResult::Pass))?;
        match count(CheckResult::Warn) {
            1 => write!(formatter, "1 warning, ")?,
            more => write!(formatter, "{more} warnings, ")?,
        }
        write!(formatter, "{} failed, ", count(CheckResult::Fail))?;
        write!(formatter, "{} skipped. ", count(CheckResult::Skip))?;
        let first = self.checks.iter().find(|check| check.verdict == CheckResult::Fail);
        match first {
            None => writeln!(formatter, "Nothing prevents the agent from working."),
            Some(check) => writeln!(formatter, "Begin with: {}.", check.name),
        }
    }
}
