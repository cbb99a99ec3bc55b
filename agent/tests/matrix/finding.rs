//! The expectation and the result of a row, and the table of results.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use ispmon_agent::outage::{Cause, Incident, Party, Scope, Segment};

/// An incident as the journal should record it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The cause, in the journal's spelling.
    pub(crate) cause: &'static str,
    pub(crate) party: Option<Party>,
    pub(crate) scope: Scope,
}

impl Expected {
    pub(crate) fn new(cause: Cause, party: Option<Party>, scope: Scope) -> Self {
        Self { cause: cause.as_str(), party, scope }
    }

    /// Cause, party and scope of an incident: its headline, with the scope of the longest segment of
    /// that cause.
    pub(crate) fn of(incident: &Incident) -> Self {
        let named = incident.segments.iter().filter(|segment| segment.cause == incident.cause);
        let longest = named.max_by_key(|segment| segment.length());
        let scope = longest.map_or(incident.scope, |segment| scope_of(segment, incident));
        Self::new(incident.cause, incident.party, scope)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let party = self.party.map_or("no party", Party::as_str);
        write!(formatter, "{} ({party}, {})", self.cause, self.scope)
    }
}

/// The scope of a segment of an incident.
pub(crate) fn scope_of(segment: &Segment, incident: &Incident) -> Scope {
    let scope = serde_json::to_value(segment)
        .ok()
        .and_then(|mut segment| serde_json::from_value(segment.get_mut("scope")?.take()).ok());
    scope.unwrap_or(incident.scope)
}

/// A measured time and its limit, both in milliseconds; `None` if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) value: Option<i64>,
    pub(crate) limit: Option<i64>,
}

/// The result of one row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finding {
    /// The expected incident; `None` if none should be recorded.
    pub(crate) expected: Option<Expected>,
    /// The recorded incident; `None` if none was recorded.
    pub(crate) got: Option<Expected>,
    /// The time from the fault, or from the failed heartbeat that shows it, until the incident is
    /// recorded.
    pub(crate) detection: Measure,
    /// Difference of the recorded start from the true one.
    pub(crate) start: Measure,
    /// Difference of the recorded end from the true one.
    pub(crate) end: Measure,
    /// Other observations worth a line under the table.
    pub(crate) notes: Vec<String>,
    /// Everything that is wrong.
    pub(crate) failures: Vec<String>,
}

/// The difference of two times in milliseconds.
pub(crate) fn difference(later: Duration, earlier: Duration) -> i64 {
    let milliseconds = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    milliseconds(later) - milliseconds(earlier)
}

/// Delay that a loaded machine may cause the agent or this program, in milliseconds. Every check allows
/// for it; the figures in the table do not include it.
const SLACK_MS: i64 = 500;

impl Measure {
    /// A measured time with its limit.
    pub(crate) fn of(value: i64, limit: Duration) -> Self {
        Self { value: Some(value), limit: i64::try_from(limit.as_millis()).ok() }
    }

    /// The value is neither negative nor above its limit.
    pub(crate) fn is_within_limit(self) -> bool {
        match self {
            Self { value: Some(value), limit: Some(limit) } => {
                (-SLACK_MS..=limit + SLACK_MS).contains(&value)
            }
            _ => true,
        }
    }

    fn text(self) -> String {
        let seconds = |ms: i64| format!("{:.2}", ms as f64 / 1_000.0);
        match self {
            Self { value: None, .. } => "–".to_owned(),
            Self { value: Some(value), limit: None } => format!("{} s", seconds(value)),
            Self { value: Some(value), limit: Some(limit) } => {
                format!("{} of {} s", seconds(value), limit / 1_000)
            }
        }
    }
}

impl Finding {
    /// Adds a failure unless `holds`.
    pub(crate) fn require(&mut self, holds: bool, failure: impl FnOnce() -> String) {
        if !holds {
            self.failures.push(failure());
        }
    }

    /// Makes the checks that are common to all rows.
    pub(crate) fn judge(&mut self) {
        if self.expected != self.got {
            self.failures.push(format!(
                "expected {}, got {}",
                verdict(self.expected),
                verdict(self.got)
            ));
        }
        for (what, measure) in
            [("detection", self.detection), ("start error", self.start), ("end error", self.end)]
        {
            if !measure.is_within_limit() {
                self.failures.push(format!("{what}: {}", measure.text()));
            }
        }
    }
}

/// An incident in one phrase.
fn verdict(of: Option<Expected>) -> String {
    of.map_or("no incident".to_owned(), |expected| expected.to_string())
}

/// One row of the table.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// How the scaled row differs from real time; empty if it does not.
    pub(crate) scaled: &'static str,
    pub(crate) took: Duration,
    pub(crate) result: Result<Finding, String>,
}

impl Line {
    /// The row has no failures.
    pub(crate) fn passed(&self) -> bool {
        self.result.as_ref().is_ok_and(|finding| finding.failures.is_empty())
    }

    /// The failures of the row.
    pub(crate) fn failures(&self) -> Vec<String> {
        match &self.result {
            Ok(finding) => finding.failures.clone(),
            Err(error) => vec![error.clone()],
        }
    }
}

/// The table of all rows, as Markdown.
pub(crate) fn table(lines: &[Line]) -> String {
    const HEAD: [&str; 9] = [
        "row",
        "what happens",
        "expected",
        "recorded",
        "detection",
        "start error",
        "end error",
        "took",
        "result",
    ];
    let mut cells: Vec<Vec<String>> = vec![HEAD.map(str::to_owned).to_vec()];
    for line in lines {
        let none = Finding::default();
        let finding = line.result.as_ref().unwrap_or(&none);
        let (expected, got) = match &line.result {
            Ok(finding) => (verdict(finding.expected), verdict(finding.got)),
            Err(_) => ("–".to_owned(), "–".to_owned()),
        };
        cells.push(vec![
            line.name.to_owned(),
            if line.scaled.is_empty() {
                line.title.to_owned()
            } else {
                format!("{} [{}]", line.title, line.scaled)
            },
            expected,
            got,
            finding.detection.text(),
            finding.start.text(),
            finding.end.text(),
            format!("{} s", line.took.as_secs()),
            if line.passed() { "PASS" } else { "FAIL" }.to_owned(),
        ]);
    }
    let width =
        |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = String::new();
    for (index, row) in cells.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if index == 0 {
            for width in &widths {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            }
            text.push_str("|\n");
        }
    }
    for line in lines {
        for note in line.result.iter().flat_map(|finding| &finding.notes) {
            let _ = writeln!(text, "\n{}: {note}", line.name);
        }
    }
    for line in lines {
        for failure in line.failures() {
            let _ = writeln!(text, "\nFAILED {}: {failure}", line.name);
        }
    }
    text
}
