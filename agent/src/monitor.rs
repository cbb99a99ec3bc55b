//! Watching the line: what is asked when, and what is made of the answers.

pub mod schedule;
