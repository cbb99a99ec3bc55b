//! ispmon-agent: the service on the monitored device.
//!
//! It sends heartbeats to a function in the cloud, and the cloud mails the owner when they stop.
//!
//! - [`cli`] understands the command line, [`command`] does what it asks for.
//! - [`config`] makes settings from the file, the environment and the flags.
//! - [`service`] is the running agent: it sends heartbeats and obeys signals.
//! - [`heartbeat`] is one heartbeat and when the next one goes: client, failures, pacing, back-off.
//! - [`probe`] asks whoever is on the way to the internet, and brings back what came of it.
//! - [`outage`] is what the agent knows about a failure: its cause, whose it is, from when to when.
//! - [`journal`] is the durable record of it.
//! - [`state_dir`] is the folder that the record is kept in, [`installation`] what Homebrew has to do with it.
//! - [`history`] is what the record says about the past, [`report`] shows it as text, JSON, CSV and HTML.
//! - [`status`] is what the agent knows at this moment, in a file; [`control`] is how the running agent
//!   is paused.
//! - [`doctor`] looks for everything that would keep the agent from its work.
//! - [`install`] makes the agent a service of the system, and removes it again.
//! - [`event`] lists everything that is worth a line in the log, [`logging`] writes it without ever
//!   waiting for its reader.
//! - [`generate`] makes man pages and completions.
//! - [`notify`] tells the service manager that the agent is ready, how it is, and that it works on.
//! - [`sleep`] hears of the machine's sleep before it begins.
//! - [`signals`] turns signals into requests, [`runtime`] runs the one thread that does the work.
//! - [`tls`] knows who may vouch for a server, and what a certificate proves under a wrong clock.
//! - [`resolver`] looks names up on a thread of its own, because a look-up can hang.
//! - [`clock`] is the only part that reads a clock, [`duration`] and [`error_chain`] show durations and
//!   errors, [`printable`] makes foreign text safe for a terminal, [`summary`] holds the figures of an
//!   hour, [`pause`] how long a pause can be, [`loopback`] knows what leads to this machine itself,
//!   [`exit`] names the exit codes.

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

/// The whole program: does what the command line asks for. `arguments` begin with the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match cli::parse(arguments) {
        Ok(invocation) => {
            let job = std::env::var_os("XPC_SERVICE_NAME");
            exit_for_manager(command::execute(&invocation), job.as_deref()).into()
        }
        Err(error) => cli::answer(&error).into(),
    }
}
