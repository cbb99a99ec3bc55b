//! Limits of a message. Longer texts are cut; longer bodies and lists are refused.

/// The longest device name, in characters.
pub const DEVICE_CHARACTERS: usize = 100;
/// The longest note, in characters.
pub const NOTE_CHARACTERS: usize = 500;
/// The longest of all other texts (versions, boot ids, hashes, causes), in characters.
pub const TOKEN_CHARACTERS: usize = 64;
/// The longest scope, in characters. Shorter than other texts, because each segment has one, and an
/// incident's line must not exceed what Application Insights keeps of it.
pub const SCOPE_CHARACTERS: usize = 16;
/// The longest request body, in bytes.
pub const BODY_BYTES: usize = 64 * 1024;
/// The longest silence that a heartbeat may announce, in seconds: one day.
pub const QUIET_SECONDS: u32 = 86_400;
/// The most incidents in one report.
pub const INCIDENTS: usize = 100;
/// The most segments in one incident.
pub const SEGMENTS: usize = 20;
