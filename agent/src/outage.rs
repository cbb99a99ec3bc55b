//! What the agent knows about failures, and how it decides: pure functions of evidence and `now`.
//!
//! - [`Cause`], [`Party`] and [`Scope`] name what failed, whose it is and what it concerns.
//! - [`Evidence`] is what the probes, the kernel and the heartbeats have to say.
//! - [`Incident`] is one failure from its start to its end, cut into [`Segment`]s of one cause each.
//! - [`Gap`] is an unmonitored period: neither up nor down.
//! - [`verdict`] names the cause; [`OutageMachine`] turns evidence into transitions, and says what to ask.
//! - [`sentence`] says it to people.
//! - [`Transition`] is what changes; the journal keeps it before anything else hears of it.

mod blind;
mod blips;
mod cause;
mod connectivity;
mod course;
mod evidence;
mod family;
mod gap;
mod heartbeats;
mod incident;
mod machine;
mod names;
mod network;
mod open;
mod quality;
pub mod sentence;
mod transition;
mod verdict;

pub use crate::probe::{Observation, ProbeKind};
pub use cause::{Cause, Party, Scope};
pub use evidence::{Evidence, GraceReason, RoundResult};
pub use family::{OPEN_AFTER, ROUNDS_TO_AGREE};
pub use gap::{Gap, GapCause};
pub use incident::{Incident, IncidentId, Segment};
pub use machine::{
    FamilyState, MachineLimits, MachineSettings, MachineSnapshot, OutageMachine, StatusKey, Wanted,
};
pub use network::{Network, NetworkFacts};
pub use open::MOST_SEGMENTS;
pub use transition::Transition;
pub use verdict::{FailureFacts, combined_cause, verdict};
