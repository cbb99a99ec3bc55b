//! The agent from the outside: mostly the real program, in folders, networks and services made for a test.

mod commands;
mod config;
mod heartbeat;
mod history;
mod journal;
mod lists;
// Made of network namespaces, which only Linux has.
#[cfg(target_os = "linux")]
mod probes;
mod process;
#[path = "../common/record.rs"]
mod record;
mod service;
