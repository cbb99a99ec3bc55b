//! The messages as each side reads and writes them.

mod client_address;
mod device;
mod heartbeat;
mod outage;
mod strategies;
