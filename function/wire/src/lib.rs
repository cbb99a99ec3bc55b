//! The messages that agent and function exchange: types, limits, trimming and validation. No I/O.
//!
//! * [`Heartbeat`] is the body of `POST /api/ping`: "I am alive, and so is my line."
//! * [`OutageReport`] is the body of `POST /api/outages`: what the agent recorded while nobody could hear it.
//! * [`Device`] compares devices the same way everywhere: trimmed and in lower case.
//! * [`client_address`] reads the caller's address from `X-Forwarded-For`.
//!
//! Old and new versions mix: unknown fields are ignored, missing ones have defaults, texts that are too
//! long are cut. Only what cannot be understood at all is refused, with a [`MessageError`] that says why.

pub mod client_address;
mod device;
mod error;
mod heartbeat;
mod lenient;
pub mod limits;
mod outage;
mod text;

pub use device::{Device, comparison_key, unusable_character};
pub use error::MessageError;
pub use heartbeat::{AgentInfo, AgentState, Heartbeat, JournalHead, LinkQuality, RoundTrip};
pub use outage::{Accepted, IncidentKind, OutageReport, ReportedIncident, ReportedSegment};

/// The path of the heartbeat endpoint.
pub const PING_PATH: &str = "/api/ping";
/// The path of the endpoint that takes recorded outages.
pub const OUTAGES_PATH: &str = "/api/outages";
/// The request header that carries the function key; the Functions host checks it.
pub const FUNCTION_KEY_HEADER: &str = "x-functions-key";
/// The request header that names the device of a heartbeat whose body does not.
pub const DEVICE_HEADER: &str = "x-device";
/// The answer's header with the address that the cloud saw the request come from.
pub const CLIENT_ADDRESS_HEADER: &str = "x-ispmon-client-ip";
/// The answer's header that says `yes` or `no`: whether an alert watches this device.
pub const EXPECTED_HEADER: &str = "x-ispmon-expected";
