//! The lines on stdout: one event per line, as ASCII JSON.
//!
//! Every non-ASCII character is written as `\uXXXX`. So no character that some readers treat as a
//! line separator (U+0085, U+2028, U+2029) can occur, and the encoding in which the host decodes
//! its input does not matter.

use std::{
    io::{self, Write},
    net::IpAddr,
};

use ispmon_wire::{
    AgentInfo, AgentState, Device, Heartbeat, JournalHead, LinkQuality, ReportedIncident,
};
use serde::Serialize;
use serde_json::ser::Formatter;

/// The longest line, in characters: Application Insights cuts a message to this length (measured
/// with Functions host 4.1037).
pub const MAX_LINE_CHARACTERS: usize = 32_768;

/// One event as a line of ASCII JSON, terminated by a line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceLine(Vec<u8>);

impl TraceLine {
    /// The line, including its line feed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn of(event: &impl Serialize) -> Self {
        let mut bytes = Vec::with_capacity(512);
        // Neither can fail: these types contain no maps with non-string keys, and writing to memory
        // always succeeds.
        let _ = event.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Ascii));
        bytes.push(b'\n');
        Self(bytes)
    }
}

/// Formats a heartbeat. The line begins with `{"event":"heartbeat"`, which the queries search for.
/// Absent fields are left out, because every byte is stored and billed twice.
pub fn heartbeat(device: &Device, address: Option<IpAddr>, heartbeat: &Heartbeat) -> TraceLine {
    let agent = heartbeat.agent.as_ref();
    let text = |of: fn(&AgentInfo) -> &str| agent.map(of).filter(|text| !text.is_empty());
    TraceLine::of(&HeartbeatEvent {
        event: "heartbeat",
        device: device.as_str(),
        key: &device.comparison_key(),
        note: heartbeat.note.as_deref(),
        ip: address,
        seq: agent.map(|agent| agent.seq),
        state: agent.map(|agent| agent.state),
        quiet_s: agent.map(|agent| agent.quiet_s),
        version: text(|agent| &agent.version),
        boot: text(|agent| &agent.boot),
        journal: heartbeat.journal.as_ref(),
        link: heartbeat.link.as_ref(),
    })
}

/// Formats a handed-over incident. The line begins with `{"event":"outage"`, which the queries
/// search for.
///
/// `journal` is the newest record of the agent's journal at the time of the hand-over.
pub fn outage(
    device: &Device,
    incident: &ReportedIncident,
    journal: Option<&JournalHead>,
) -> TraceLine {
    let key = &device.comparison_key();
    TraceLine::of(&OutageEvent { event: "outage", device: device.as_str(), key, incident, journal })
}

/// Formats an error of the handler itself, cut to [`MAX_LINE_CHARACTERS`].
pub fn failure(message: &str) -> TraceLine {
    // One character becomes at most twelve: two `\uXXXX` escapes.
    let most = MAX_LINE_CHARACTERS / 12 - 100;
    let message: String = message.chars().take(most).collect();
    TraceLine::of(&FailureEvent { event: "failure", message: &message })
}

#[derive(Serialize)]
struct HeartbeatEvent<'a> {
    event: &'static str,
    device: &'a str,
    /// The join key of the queries.
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<AgentState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quiet_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<&'a JournalHead>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a LinkQuality>,
}

#[derive(Serialize)]
struct OutageEvent<'a> {
    event: &'static str,
    device: &'a str,
    key: &'a str,
    #[serde(flatten)]
    incident: &'a ReportedIncident,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<&'a JournalHead>,
}

#[derive(Serialize)]
struct FailureEvent<'a> {
    event: &'static str,
    message: &'a str,
}

/// Formats compact JSON with every non-ASCII character escaped.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|character: char| !matches!(character, ' '..='~')) {
            let (plain, other) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut characters = other.chars();
            if let Some(character) = characters.next() {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}
