//! The agent as a service: the real program, its signals, its log and a server that it reports to.

mod agent;
mod container;
mod journald;
mod log;
mod outage;
mod reload;
mod server;
mod silent_resolver;
mod start;
mod stop;
