//! What the agent knows at this moment, in a file that every user of the machine may read.
//!
//! - [`Status`] is the content: one JSON object.
//! - [`Publisher`] writes it, at each heartbeat and at each change, without ever holding up the agent.
//! - [`place`] knows where the file stands, and finds it again.
//! - [`Presence`] tells whether the agent that wrote it still runs: a file outlives its writer.
//! - [`text`] shows it to people.

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
