//! ispmon-lab: the cloud side of ispmon on one machine, for demos, tests and simulations.
//!
//! It runs the real function behind a stand-in for the Functions host, stores the telemetry,
//! evaluates the deployed alert rules and writes the mails that they would send.
//!
//! - [`demo`] shows a whole outage in a minute; [`up`] runs the same services in real time;
//!   [`simulate`] simulates years on virtual time.
//! - [`cloud`] combines all services.
//! - [`host`] starts the function and forwards requests to it, as the Functions host does.
//! - [`telemetry`] is the data that reaches Application Insights, with its ingestion delay.
//! - [`relay`] is a TCP relay that can be cut, [`internet`] the servers behind such relays.
//! - [`rules`] are the alert rules, on virtual time.
//! - [`mail`] formats and writes the mails.
//! - [`query`] implements the rules' queries; [`timelines`] and [`evaluate`] compare them with
//!   another engine.
//! - [`cli`] parses the command line; [`role`] makes the lab's executable run as function or agent.
//! - [`exit`] turns a command's result into its exit code; [`signals`] handles stop signals.
//! - [`clock`] is the only module that reads a clock.

use std::{ffi::OsString, process::ExitCode};

use role::{Role, end_with_the_lab};

pub mod cli;
pub mod clock;
pub mod cloud;
pub mod demo;
pub mod evaluate;
pub mod exit;
pub mod host;
pub mod internet;
#[cfg(test)]
mod layers;
pub mod mail;
pub mod query;
pub mod relay;
pub mod role;
pub mod rules;
pub mod signals;
pub mod simulate;
pub mod telemetry;
pub mod timelines;
pub mod up;

/// Runs the program that the first argument names, see [`Role`].
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match Role::of(&arguments) {
        Role::Function => {
            end_with_the_lab();
            ispmon_function::main()
        }
        Role::Agent => {
            end_with_the_lab();
            ispmon_agent::main(arguments)
        }
        Role::Lab => cli::main(arguments),
    }
}
