//! Test helpers shared by several crates; no shipped code depends on them.
//!
//! * [`certificates`] creates certificate authorities and server certificates.
//! * [`layers`] checks the direction of the imports between a crate's modules.
//! * [`port`] reserves a port that refuses connections.
//! * [`server`] is an HTTP server on loopback whose responses a test chooses.
//! * [`variants`] lists the variants of an enum.
//! * `network`, on Linux, builds networks of network namespaces.
//! * `logind`, on Linux, is a fake logind on a private D-Bus.

#![allow(clippy::missing_panics_doc, reason = "a helper that fails must fail the test")]

pub mod certificates;
mod imports;
pub mod layers;
#[cfg(target_os = "linux")]
pub mod logind;
#[cfg(target_os = "linux")]
pub mod network;
pub mod port;
pub mod server;
pub mod variants;
