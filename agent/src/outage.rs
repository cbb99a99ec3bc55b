//! What the agent knows about failures, and how it decides: pure functions of evidence and `now`.
//!
//! - [`Cause`], [`Party`] and [`Scope`] name what failed, whose it is and what it concerns.
//! - [`Evidence`] is what the probes, the kernel and the heartbeats have to say.
//! - [`Incident`] is one failure from its start to its end, cut into [`Segment`]s of one cause each.
//! - [`Gap`] is a time that nobody watched: neither up nor down.
//! - [`Transition`] is what changes; the journal keeps it before anything else hears of it.

mod cause;
mod evidence;
mod gap;
mod incident;
mod transition;

pub use cause::{Cause, Party, Scope};
pub use evidence::{BeatOutcome, Evidence, Round, SettleReason};
pub use gap::{Gap, GapCause};
pub use incident::{Incident, IncidentId, Observation, ProbeKind, Segment};
pub use transition::Transition;
