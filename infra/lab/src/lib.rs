//! ispmon-lab: the cloud side of ispmon on one machine, for trying, testing and reasoning.
//!
//! It plays the Functions host to the real function, stores the telemetry, evaluates the alert rules of
//! the deployment and writes the mails that they would send.
//!
//! - [`demo`] tells the whole story in a minute; [`up`] runs the same services in real time;
//!   [`simulate`] plays years of it on virtual time.
//! - [`cloud`] is all of them together.
//! - [`host`] starts the function and forwards requests to it, as the Functions host does.
//! - [`telemetry`] is what reaches Application Insights, and when it can be queried.
//! - [`mod@line`] is a connection that can be cut, [`internet`] everything behind it.
//! - [`rules`] are the alert rules, on virtual time.
//! - [`mail`] is what the rules send.
//! - [`query`] holds the rules' queries; [`timelines`] and [`evaluate`] compare them with another engine.
//! - [`cli`] understands the command line; [`role`] makes the lab play function and agent, too.
//! - [`signals`] ask it to stop; [`sentence`] says what went wrong.
//! - [`clock`] is the only part that reads a clock.

pub mod cli;
pub mod clock;
pub mod cloud;
pub mod demo;
pub mod evaluate;
pub mod host;
pub mod internet;
pub mod line;
pub mod mail;
pub mod query;
pub mod role;
pub mod rules;
pub mod sentence;
pub mod signals;
pub mod simulate;
pub mod telemetry;
pub mod timelines;
pub mod up;
