//! The control socket: how `pause` and `resume` reach the running agent.
//!
//! A Unix socket stands beside the status file. A client connects, writes one [`ControlRequest`] as a line
//! of JSON, reads one [`ControlAnswer`] as a line of JSON, and that is all. Lines have at most 1,024 bytes,
//! an exchange takes a few seconds at most, and a handful of clients are served at a time.
//!
//! Who may connect is for the socket's mode to say (0660): root, the agent's user and the members of
//! its group. The system checks that when a client connects, with all of its groups. The credentials
//! that come with a connection would name only the first of them, so they say who it was, and do not
//! decide.

mod client;
mod message;
mod server;

pub use client::{AskError, ask};
pub use message::{ControlAnswer, ControlRequest};
pub use server::{BindError, Caller, ControlReply, Server};

#[cfg(test)]
mod tests;
