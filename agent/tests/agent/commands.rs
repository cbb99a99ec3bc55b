//! The commands that concern the running agent, as the real program: what they print, and how they end.

mod doctor;
#[cfg(target_os = "linux")]
mod doctor_network;
mod homebrew;
#[cfg(target_os = "linux")]
#[path = "../common/network.rs"]
mod network;
mod pause;
mod place;
#[path = "../common/port.rs"]
mod port;
#[path = "../common/record.rs"]
#[allow(dead_code, reason = "these tests use a part")]
mod record;
mod running;
mod status;
mod terminal;
