//! Heartbeats of the real program to servers that answer in every way there is.

#[path = "../service/agent.rs"]
#[allow(dead_code, reason = "these tests use a part")]
mod agent;
mod answers;
#[path = "../common/certificates.rs"]
mod certificates;
mod ping;
#[path = "../common/port.rs"]
mod port;
mod proxy;
mod secrets;
#[path = "../common/server.rs"]
mod server;
mod tls;
