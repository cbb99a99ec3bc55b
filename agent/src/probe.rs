//! Probes: one file per kind of question, and what comes back.
//!
//! - [`Anchor`] is a server that is probed; [`tcp`] connects to one, [`proof`] has it prove itself,
//!   [`round`] asks all of them at once.
//! - [`gateway`] asks the router whether it is alive.
//! - [`dns`] asks name servers, and catches those that lie.
//! - [`portal`] notices a login page that answers in the internet's place.
//! - [`targets`] is the one list of whom to ask, for the agent and the doctor.
//! - [`link`] knows what the kernel would do with a packet, and when that changes.
//!
//! A failed probe is a value like any other, never an error: it is what this program is there to
//! notice. Every probe is bounded in time, none blocks another, and none needs root.

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

pub(crate) use anchor::socket;
pub use anchor::{Anchor, AnchorError};
pub use answer::{
    AnchorAnswer, AnchorEnd, Connect, Connected, Dns, Gateway, LinkAnswer, LocalFailure, Portal,
    Route,
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
