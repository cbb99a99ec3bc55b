//! The agent as a service: the real program, its signals, its log and a server that it reports to.

mod agent;
mod backlog;
mod container;
mod hand_over;
mod journald;
mod log;
#[cfg(target_os = "linux")]
#[path = "../common/logind.rs"]
mod logind;
mod notify;
mod outage;
mod pause;
#[path = "../common/port.rs"]
mod port;
#[allow(dead_code, reason = "other tests make other records with it")]
#[path = "../common/record.rs"]
mod record;
mod reload;
mod server;
mod silent_resolver;
#[cfg(target_os = "linux")]
mod sleep;
mod start;
mod stop;
#[cfg(target_os = "linux")]
mod unit;
