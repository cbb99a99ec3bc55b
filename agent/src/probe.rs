//! Probes: one file per kind of question, and what comes back.
//!
//! A failed probe is a value like any other, never an error: it is what this program is there to
//! notice. Every probe is bounded in time, none blocks another, and none needs root.

mod answer;
mod family;

pub use answer::{Connect, Connected, Dns, Gateway, Link, Portal, Route};
pub use family::Family;
