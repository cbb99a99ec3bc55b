//! The commands that concern the running agent, as the real program: what they print, and how they end.

mod doctor;
mod pause;
mod place;
mod running;
mod status;
