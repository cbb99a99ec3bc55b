//! ispmon-agent: the service on the monitored device.
//!
//! It sends heartbeats to a function in the cloud, and the cloud mails the owner when they stop.
//!
//! - [`cli`] parses the command line, [`command`] executes it.
//! - [`config`] builds the settings from file, environment and flags.
//! - [`service`] is the running agent: it sends heartbeats and handles signals.
//! - [`heartbeat`] sends one heartbeat and schedules the next: client, failures, pacing, back-off.
//! - [`probe`] sends probes to anchors, routers, name servers and portal pages, and returns their
//!   results.
//! - [`monitor`] schedules the probes and owns the current state of the connection.
//! - [`outage`] decides what failed: cause, party, start and end.
//! - [`journal`] is the durable file of it, [`outbox`] hands its incidents to the cloud.
//! - [`state_dir`] is the folder of the journal, [`installation`] handles how Homebrew affects it.
//! - [`history`] reconstructs the past from the journal, [`report`] renders it as text, JSON, CSV and
//!   HTML.
//! - [`status`] is the current state in a file, [`control`] is the socket that pauses the running
//!   agent.
//! - [`doctor`] checks for everything that would prevent the agent from working.
//! - [`install`] installs the agent as a service of the system and uninstalls it.
//! - [`event`] lists all log events, [`logging`] writes them without ever waiting for the reader of the
//!   log.
//! - [`generate`] creates man pages and completions.
//! - [`notify`] sends readiness, state and keep-alives to the service manager.
//! - [`sleep`] receives the announcement that the machine is about to sleep.
//! - [`signals`] turns signals into requests, [`runtime`] runs the one thread that does the work.
//! - [`tls`] holds the trusted roots, and decides what a certificate proves under a wrong clock.
//! - [`resolver`] looks up names on a thread of its own, because a lookup can hang.
//! - [`unit`](mod@unit) is the service as systemd sees it, [`program`] runs commands with a time limit,
//!   [`file_access`] finds what prevents a user from reading a file.
//! - [`clock`] is the only module that reads clocks, [`duration`] and [`error_chain`] format durations
//!   and errors, [`printable`] makes foreign text safe for a terminal, [`summary`] holds the counters
//!   of an hour, [`pause`] the limits of a pause, [`loopback`] detects addresses of this machine,
//!   [`exit`] defines the exit codes.

use std::{ffi::OsString, process::ExitCode};

use install::description::exit_for_manager;

pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod control;
pub mod doctor;
pub mod duration;
pub mod error_chain;
pub mod event;
pub mod exit;
pub mod file_access;
pub mod generate;
pub mod heartbeat;
pub mod history;
pub mod install;
pub mod installation;
pub mod journal;
#[cfg(test)]
mod layers;
pub mod logging;
pub mod loopback;
pub mod monitor;
pub mod notify;
pub mod outage;
pub mod outbox;
pub mod pause;
pub mod printable;
pub mod probe;
pub mod program;
pub mod report;
pub mod resolver;
pub mod runtime;
pub mod service;
pub mod signals;
pub mod sleep;
pub mod state_dir;
pub mod status;
pub mod summary;
pub mod tls;
pub mod unit;

/// Runs the program. `arguments` begin with the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match cli::parse(arguments) {
        Ok(invocation) => {
            let job = std::env::var_os("XPC_SERVICE_NAME");
            exit_for_manager(command::execute(&invocation), job.as_deref()).into()
        }
        Err(error) => cli::answer(&error).into(),
    }
}
