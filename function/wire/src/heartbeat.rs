//! `POST /api/ping`: the heartbeat.

use serde::{Deserialize, Serialize};

use crate::{error::MessageError, lenient, limits, text};

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// One heartbeat. Every field is optional, and so is the whole body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// The device's name as written, at most 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Any text for people, at most 500 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The sending agent; absent when another program sends the heartbeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentInfo>,
    /// The newest record of the agent's journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalHead>,
    /// The quality of the connection since the last heartbeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkQuality>,
}

/// Version and state of the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentInfo {
    /// The agent's version, such as `0.1.0`.
    pub version: String,
    /// The operating system's id of this boot; empty when heartbeats are not ordered by `seq`.
    pub boot: String,
    /// Grows with each heartbeat of a boot, across restarts of the agent: of two heartbeats of one
    /// boot, the one with the higher number was sent later, whichever arrives first.
    #[serde(deserialize_with = "lenient::count")]
    pub seq: u64,
    /// What the agent is doing or about to do.
    pub state: AgentState,
    /// Announced silence: for how many seconds from now a missing heartbeat raises no alarm, 0 to
    /// 86,400.
    #[serde(deserialize_with = "lenient::quiet_seconds")]
    pub quiet_s: u32,
}

/// What the agent is doing or about to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// It monitors the connection and sends heartbeats.
    #[default]
    Running,
    /// It was stopped and is about to exit.
    Stopping,
    /// The device is about to sleep.
    Sleeping,
    /// The user paused it.
    Paused,
    /// The user ended the pause.
    Resumed,
    /// A state of a newer agent that this version does not know.
    #[serde(other)]
    Unknown,
}

impl AgentState {
    /// The state's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Sleeping => "sleeping",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Unknown => "unknown",
        }
    }
}

/// The newest record of the agent's journal. Its arrival proves, by the cloud's clock, that the
/// record existed by then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JournalHead {
    /// The record's sequence number.
    #[serde(deserialize_with = "lenient::count")]
    pub seq: u64,
    /// The record's SHA-256 hash, 64 hexadecimal digits.
    pub head: String,
}

/// Results of the probes since the last heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkQuality {
    /// How many scheduled probes were sent.
    #[serde(deserialize_with = "lenient::count")]
    pub probes: u64,
    /// How many of them were not answered within a second.
    #[serde(deserialize_with = "lenient::count")]
    pub lost: u64,
    /// Round-trip times of the answered probes; absent when none was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<RoundTrip>,
}

/// Round-trip times in milliseconds, 0 or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoundTrip {
    /// The median.
    #[serde(deserialize_with = "lenient::milliseconds")]
    pub p50: f64,
    /// The 95th percentile.
    #[serde(deserialize_with = "lenient::milliseconds")]
    pub p95: f64,
}

impl Heartbeat {
    /// Parses a body. An empty one is a heartbeat without any fields. A byte order mark, which some
    /// editors and shells write, is skipped, as RFC 8259 allows (section 8.1).
    ///
    /// Control characters are removed from texts, which are cut to their [`limits`]; a number out
    /// of range becomes the nearest one in range.
    ///
    /// # Errors
    /// [`MessageError::TooLong`], [`MessageError::NotAnObject`] or [`MessageError::Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, MessageError> {
        if body.len() > limits::BODY_BYTES {
            return Err(MessageError::TooLong);
        }
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        require_object(body)?;
        Ok(serde_json::from_slice::<Self>(body)?.cleaned())
    }

    /// The device name in the body, unless it is blank.
    pub fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    fn cleaned(self) -> Self {
        Self {
            device: text::present(self.device.as_deref(), limits::DEVICE_CHARACTERS),
            note: text::present(self.note.as_deref(), limits::NOTE_CHARACTERS),
            agent: self.agent.map(|agent| AgentInfo {
                version: text::clean(&agent.version, limits::TOKEN_CHARACTERS),
                boot: text::clean(&agent.boot, limits::TOKEN_CHARACTERS),
                ..agent
            }),
            journal: self.journal.map(JournalHead::cleaned),
            link: self.link,
        }
    }
}

impl JournalHead {
    pub(crate) fn cleaned(self) -> Self {
        Self { head: text::clean(&self.head, limits::TOKEN_CHARACTERS), ..self }
    }
}

/// Refuses JSON that is not an object: serde would also read a struct from an array.
pub(crate) fn require_object(body: &[u8]) -> Result<(), MessageError> {
    match body.trim_ascii_start().first() {
        Some(b'"' | b'[' | b'0'..=b'9' | b'-' | b't' | b'f' | b'n') => {
            serde_json::from_slice::<serde::de::IgnoredAny>(body)?;
            Err(MessageError::NotAnObject)
        }
        _ => Ok(()),
    }
}
