//! The commands about the running agent: output and exit code of the real program.

mod doctor;
#[cfg(target_os = "linux")]
mod doctor_network;
mod homebrew;
mod pause;
mod place;
mod running;
mod status;
mod terminal;
