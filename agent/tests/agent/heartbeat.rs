//! Heartbeats of the real program to servers that answer in every way there is.

mod answers;
mod ping;
mod proxy;
mod secrets;
mod tls;
