//! The rows: what happens to a house, and what the agent has to make of it.

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
    /// What it is called on the command line and in the table.
    pub(crate) name: &'static str,
    /// What happens.
    pub(crate) title: &'static str,
    /// How it differs from life unless all is run in full; empty when it does not.
    pub(crate) scaled: &'static str,
    /// About how long it takes, in seconds: as it is in `.ci/run` (0 when it is not played there), and
    /// in full.
    pub(crate) seconds: [u32; 2],
    /// Plays it.
    pub(crate) play: Play,
}

/// How a row is played.
pub(crate) enum Play {
    /// Something breaks, is found and named, is repaired, and that is found too.
    Failure(failure::Failure),
    /// Anything else.
    Own(fn(&Run, &str) -> Result<Finding, String>),
}

impl Row {
    /// Plays the row.
    pub(crate) fn play(&self, run: &Run) -> Result<Finding, String> {
        match &self.play {
            Play::Failure(failure) => failure.play(run, self.name),
            Play::Own(play) => play(run, self.name),
        }
    }

    /// About how long it takes.
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
