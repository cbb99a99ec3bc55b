//! ispmon-agent: the service on the monitored device.
//!
//! It sends heartbeats to a function in the cloud, and the cloud mails the owner when they stop.
//!
//! - [`exit`] names the exit codes.
//! - [`clock`] is the only part that reads a clock.

pub mod clock;
pub mod exit;
