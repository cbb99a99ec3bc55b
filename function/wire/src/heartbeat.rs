//! `POST /api/ping`: the heartbeat.

use serde::{Deserialize, Serialize};

use crate::{error::MessageError, lenient, limits, text};

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// One sign of life. Every field is optional, and so is the whole body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// The device's name as written, at most 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Any text for people, at most 500 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who sends this, when it is an ispmon agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentInfo>,
    /// Where the agent's record stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalHead>,
    /// How good the line was since the last heartbeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkQuality>,
}

/// What the agent says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentInfo {
    /// The agent's version, such as `0.1.0`.
    pub version: String,
    /// The operating system's id of this boot; empty where heartbeats are not compared by their numbers.
    pub boot: String,
    /// Grows with each heartbeat of a boot, over restarts of the agent too: of two of one boot, that with
    /// the higher number was sent later, whichever arrives first.
    #[serde(deserialize_with = "lenient::count")]
    pub seq: u64,
    /// What the agent is doing, or about to do.
    pub state: AgentState,
    /// For how many seconds from now the device may be silent without alarm, 0 to 86,400.
    #[serde(deserialize_with = "lenient::quiet_seconds")]
    pub quiet_s: u32,
}

/// What the agent is doing, or about to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// It watches and sends heartbeats.
    #[default]
    Running,
    /// It stops, because it was told to.
    Stopping,
    /// The device goes to sleep.
    Sleeping,
    /// Somebody paused it.
    Paused,
    /// Somebody ended the pause.
    Resumed,
    /// Something that a newer agent knows and this version does not.
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

/// The newest record of the agent's journal: the cloud's clock witnesses that it existed by now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JournalHead {
    /// The record's sequence number.
    #[serde(deserialize_with = "lenient::count")]
    pub seq: u64,
    /// The record's SHA-256 hash, 64 hexadecimal digits.
    pub head: String,
}

/// The probes since the last heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkQuality {
    /// How many scheduled probes were sent.
    #[serde(deserialize_with = "lenient::count")]
    pub probes: u64,
    /// How many of them were not answered within a second.
    #[serde(deserialize_with = "lenient::count")]
    pub lost: u64,
    /// How long the others took; absent when none was answered.
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
    /// Reads a body. An empty one is a heartbeat that says nothing about itself. A byte order mark, which
    /// some editors and shells put before a text, is passed over, as RFC 8259 allows (section 8.1).
    ///
    /// Texts are cleaned of control characters and cut to their [`limits`]; a number that is out of its
    /// range becomes the nearest that is in it.
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

    /// The device's name in the body, when there is one that is not blank.
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
