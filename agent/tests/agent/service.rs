//! The agent as a service: the real program, its signals, its log and the server for its heartbeats.

mod backlog;
mod container;
mod hand_over;
mod journald;
mod log;
mod notify;
mod outage;
mod pause;
mod reload;
mod server;
mod silent_resolver;
#[cfg(target_os = "linux")]
mod sleep;
mod start;
mod stop;
#[cfg(target_os = "linux")]
mod unit;
