//! The agent's current state in a file that every user of the machine may read: the status snapshot.
//!
//! - [`Status`] is the content: one JSON object.
//! - [`Publisher`] writes it at each heartbeat and at each change, without ever blocking the agent.
//! - [`place`] determines the file's path, and finds and reads it.
//! - [`Presence`] is whether the agent that wrote the file still runs: a file outlives its writer.
//! - [`text`] renders it for people.

mod content;
pub mod place;
mod presence;
mod publisher;
pub mod text;

#[cfg(test)]
pub(crate) use text::tests::status as working_status;

pub use content::{
    ClockStatus, ConnectivityStatus, FamilyStatus, HandOverProblem, HeartbeatStatus,
    IncidentStatus, JournalStatus, LastHeartbeat, LinkStatus, QualityStatus, Status,
};
pub use place::{FoundStatus, StatusReadError};
pub use presence::Presence;
pub use publisher::{PublishError, Publisher};
