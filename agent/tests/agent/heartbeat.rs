//! Heartbeats of the real program to servers with all kinds of responses.

mod answers;
mod ping;
mod proxy;
mod secrets;
mod tls;
