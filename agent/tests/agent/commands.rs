//! The commands that concern the running agent, as the real program: what they print, and how they end.

mod doctor;
#[cfg(target_os = "linux")]
mod doctor_network;
mod homebrew;
mod pause;
mod place;
mod running;
mod status;
mod terminal;
