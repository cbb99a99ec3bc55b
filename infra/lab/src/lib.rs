//! ispmon-lab: the cloud side of ispmon on one machine, for trying, testing and reasoning.
//!
//! It plays the Functions host to the real function, stores the telemetry, evaluates the alert rules of
//! the deployment and writes the mails that they would send.
//!
//! - [`host`] starts the function and forwards requests to it, as the Functions host does.
//! - [`telemetry`] is what reaches Application Insights, and when it can be queried.
//! - [`line`] is a connection that can be cut.
//! - [`rules`] are the alert rules, on virtual time.
//! - [`mail`] is what the rules send.
//! - [`clock`] is the only part that reads a clock.

pub mod clock;
pub mod host;
pub mod line;
pub mod mail;
pub mod query;
pub mod rules;
pub mod telemetry;
