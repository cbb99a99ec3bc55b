//! The commands that concern the running agent, as the real program: what they print, and how they end.

mod doctor;
mod pause;
mod place;
#[path = "../common/record.rs"]
#[allow(dead_code, reason = "these tests use a part")]
mod record;
mod running;
mod status;
mod terminal;
