//! How the agent models failures and decides about them: pure functions of evidence and `now`.
//!
//! - [`Cause`], [`Party`] and [`Scope`] name what failed, whose part it is and what it concerns.
//! - [`Evidence`] is what the probes, the kernel and the heartbeats report.
//! - [`Incident`] is one failure from its start to its end, cut into [`Segment`]s of one cause each.
//! - [`Gap`] is an unmonitored period: neither up nor down.
//! - The verdict names the cause; [`OutageMachine`] turns evidence into transitions and plans the next
//!   probes.
//! - [`sentence`] turns transitions into sentences for users.
//! - [`Transition`] is one change; the journal stores it before any other component receives it.

mod blind;
mod blips;
mod cause;
mod cause_history;
mod connectivity;
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
mod settings;
mod transition;
mod verdict;

pub use crate::probe::{Observation, ProbeKind};
pub use cause::{Cause, Party, Scope};
pub use evidence::{Evidence, GraceReason, RoundResult};
pub use gap::{Gap, GapCause};
pub use incident::{Incident, IncidentId, Segment};
pub use machine::{FamilyState, MachineSnapshot, OutageMachine, ProbePlan, StatusKey};
pub use network::{Network, NetworkFacts};
pub use open::MOST_SEGMENTS;
pub use settings::{MachineLimits, MachineSettings};
pub use transition::Transition;
