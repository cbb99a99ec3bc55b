//! The agent from the outside: mostly the real program, in folders, networks and services made for a test.

#[path = "../common/certificates.rs"]
mod certificates;
mod commands;
mod config;
mod heartbeat;
mod history;
mod journal;
#[cfg(target_os = "linux")]
#[path = "../common/logind.rs"]
mod logind;
#[cfg(target_os = "linux")]
#[path = "../common/network.rs"]
mod network;
#[path = "../common/port.rs"]
mod port;
// Made of network namespaces, which only Linux has.
#[cfg(target_os = "linux")]
mod probes;
mod process;
#[path = "../common/record.rs"]
mod record;
#[path = "../common/server.rs"]
mod server;
mod service;
