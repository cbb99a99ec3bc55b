//! Integration tests: mostly the real program, in temporary folders, test networks and services.

mod commands;
mod config;
mod heartbeat;
mod history;
mod journal;
mod lists;
// They use network namespaces, which only Linux has.
#[cfg(target_os = "linux")]
mod probes;
mod process;
#[path = "../common/record.rs"]
mod record;
mod service;
