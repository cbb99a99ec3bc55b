//! The messages as each side serialises and parses them.

mod client_address;
mod device;
mod heartbeat;
mod outage;
mod strategies;
