//! Tests of the lab from the outside: its commands as a user runs them, the stand-in for the Functions
//! host, the deployed templates, and the deployed rules on virtual and on real time.

mod demo;
mod flood;
mod handover;
mod host;
mod http;
mod internet;
mod quiet;
mod relay;
mod rules;
mod simulate;
mod snapshot;
mod stage;
mod up;
