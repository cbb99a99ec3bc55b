//! Handing the record over: every closed incident and gap, until the cloud has acknowledged it.

mod message;

pub use message::{WallTime, gap, incident};
