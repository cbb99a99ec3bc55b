//! The messages between agent and function: types, limits, trimming and validation. No I/O.
//!
//! * [`Heartbeat`] is the body of `POST /api/ping`: the device is alive and can reach the internet.
//! * [`OutageReport`] is the body of `POST /api/outages`: incidents that the agent recorded.
//! * [`Device`] compares device names the same way everywhere: trimmed and in lower case.
//! * [`client_address`] reads the client's address from `X-Forwarded-For`.
//!
//! Old and new versions interoperate: unknown fields are ignored, missing ones have defaults, texts
//! that are too long are cut. Only a message that cannot be parsed is refused, with a
//! [`MessageError`] as the reason.

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
/// The path of the endpoint that accepts recorded outages.
pub const OUTAGES_PATH: &str = "/api/outages";
/// The request header that carries the function key; the Functions host checks it.
pub const FUNCTION_KEY_HEADER: &str = "x-functions-key";
/// The request header that names the device of a heartbeat whose body does not.
pub const DEVICE_HEADER: &str = "x-device";
/// The response header with the address from which the cloud received the request.
pub const CLIENT_ADDRESS_HEADER: &str = "x-ispmon-client-ip";
/// The response header that says `yes` or `no`: whether an alert rule covers this device.
pub const EXPECTED_HEADER: &str = "x-ispmon-expected";
