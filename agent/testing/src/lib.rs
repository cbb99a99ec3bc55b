//! What the tests of several crates share; nothing that is shipped depends on it.
//!
//! * [`certificates`] makes certificate authorities and servers' certificates.
//! * [`port`] holds a port that refuses connections.
//! * [`variants`] lists the variants of an enum.
//! * [`server`] is an HTTP server on loopback whose answers a test chooses.
//! * `network`, on Linux, builds networks of network namespaces.
//! * `logind`, on Linux, stands in for logind on a D-Bus of its own.

#![allow(clippy::missing_panics_doc, reason = "a helper that cannot do its work fails the test")]

pub mod certificates;
#[cfg(target_os = "linux")]
pub mod logind;
#[cfg(target_os = "linux")]
pub mod network;
pub mod port;
pub mod server;
pub mod variants;
