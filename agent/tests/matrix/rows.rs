//! The rows: what happens to a house, and how the agent must record it.

mod blind;
mod carrier;
mod clocks;
mod failure;
mod families;
mod names;
mod quality;
mod quiet;
mod tolerated;
mod truth;
mod unstable;

use std::time::Duration;

use crate::play::{finding::Finding, stage::Run};

/// One row of the matrix.
pub(crate) struct Row {
    /// Its name on the command line and in the table.
    pub(crate) name: &'static str,
    /// What happens.
    pub(crate) title: &'static str,
    /// How the scaled row differs from real time; empty if it does not.
    pub(crate) scaled: &'static str,
    /// Approximate duration in seconds: in `.ci/run` (0 if it is not run there), and in full.
    pub(crate) seconds: [u32; 2],
    /// How it is run.
    pub(crate) play: Play,
}

/// The kind of a row.
pub(crate) enum Play {
    /// A fault is injected, detected and named, is repaired, and the repair is detected.
    Failure(failure::Failure),
    /// Anything else.
    Own(fn(&Run, &str) -> Result<Finding, String>),
}

impl Row {
    /// Runs the row.
    pub(crate) fn play(&self, run: &Run) -> Result<Finding, String> {
        match &self.play {
            Play::Failure(failure) => failure.play(run, self.name),
            Play::Own(play) => play(run, self.name),
        }
    }

    /// The approximate duration.
    pub(crate) fn duration(&self, full: bool) -> Duration {
        Duration::from_secs(self.seconds[usize::from(full)].into())
    }
}

/// All rows, in the order of the table.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = failure::rows();
    rows.extend(families::rows());
    rows.extend(names::rows());
    rows.extend(quality::rows());
    rows.extend(unstable::rows());
    rows.extend(clocks::rows());
    rows.extend(blind::rows());
    rows.extend(carrier::rows());
    rows.extend(tolerated::rows());
    rows.extend(quiet::rows());
    rows
}
