//! Watching the line: what is asked when, and what is made of the answers.

mod histogram;
pub mod schedule;
mod tally;

pub use histogram::Histogram;
pub use tally::Tally;
