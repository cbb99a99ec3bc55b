//! ispmon-agent: the service on the monitored device.
//!
//! It sends heartbeats to a function in the cloud, and the cloud mails the owner when they stop.
//!
//! - [`event`] lists everything that is worth a line in the log, [`logging`] writes it without ever
//!   waiting for its reader.
//! - [`signals`] turns signals into requests, [`runtime`] runs the one thread that does the work.
//! - [`clock`] is the only part that reads a clock, [`duration`] shows durations.
//! - [`exit`] names the exit codes.

pub mod clock;
pub mod duration;
pub mod event;
pub mod exit;
pub mod logging;
pub mod runtime;
pub mod signals;
