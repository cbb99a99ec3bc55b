//! The control socket: how `pause` and `resume` reach the running agent.
//!
//! It is a Unix socket beside the status file. A client connects, writes one [`ControlRequest`] as a
//! line of JSON and reads one [`ControlAnswer`] as a line of JSON. A line has at most 1,024 bytes, an
//! exchange takes a few seconds at most, and only a handful of clients are served at a time.
//!
//! The socket's mode (0660) decides who may connect: root, the agent's user and the members of its
//! group. The kernel checks this at connect, with all groups of the client. The peer credentials hold
//! only its first group, so they merely identify the client and do not authorise it.

mod client;
mod message;
mod server;

pub use client::{ControlClientError, send_request};
pub use message::{ControlAnswer, ControlRequest};
pub use server::{BindError, Caller, ControlReply, ControlServer};

#[cfg(test)]
mod tests;
