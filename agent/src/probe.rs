//! Probes: one module per kind of probe, and the types of their results.
//!
//! - [`Anchor`] is a server on the internet that is probed; [`tcp`] connects to one, [`proof`] verifies its
//!   TLS certificate, [`round`] probes all anchors of a family at once.
//! - [`gateway`] probes the router.
//! - [`dns`] queries name servers and detects false answers.
//! - [`portal`] detects a captive portal.
//! - [`targets`] lists the targets of all probes, for the agent and the doctor.
//! - [`link`] reads from the kernel how a packet would be routed, and monitors changes of that.
//!
//! A failed probe is a value, never an error: failures are what this program measures. Every probe has a
//! time limit, none blocks another, and none needs root.

mod address;
mod anchor;
mod answer;
pub mod dns;
mod family;
pub mod gateway;
mod interface;
pub mod link;
mod mac_address;
mod observation;
pub mod portal;
pub mod proof;
pub mod round;
pub mod targets;
pub mod tcp;

pub(crate) use address::{is_link_local, is_private};
pub(crate) use anchor::parse_address;
pub use anchor::{Anchor, AnchorError};
pub use answer::{
    AnchorAnswer, AnchorEnd, ConnectAnswer, ConnectEnd, DnsOutcome, LinkAnswer, LocalFailure,
    PortalOutcome, Route, RouterOutcome,
};
pub use dns::ServerAnswer;
pub use family::{Family, PerFamily};
pub use interface::Interface;
pub use mac_address::{MacAddress, MacAddressError};
pub use observation::{Observation, ProbeKind};
pub use portal::PortalAnswer;
pub use proof::Prover;
pub use round::Round;
pub use targets::Targets;
