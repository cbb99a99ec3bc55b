//! Parses a line as a record.

use serde::Deserialize;

use super::{
    flaw::Flaw,
    record::{Digest, Entry, FORMAT, LARGEST_SEQ, Record, UnknownRecord},
};
use crate::{clock::Stamp, outage::IncidentId};

/// The fields that every record has, whatever its kind.
#[derive(Deserialize)]
struct Envelope {
    seq: u64,
    prev: Digest,
    #[serde(flatten)]
    at: Stamp,
    kind: String,
    format: Option<u32>,
    incident: Option<serde_json::Value>,
}

/// A line without the carriage return that an editor may have added, and whether there was one. The
/// rest of the line may still be unchanged.
pub(super) fn strip_carriage_return(line: &[u8]) -> (&[u8], bool) {
    match line.strip_suffix(b"\r") {
        Some(line) => (line, true),
        None => (line, false),
    }
}

/// Parses one line. A kind, or a value in a known kind, that only a newer version understands
/// becomes [`Entry::Unknown`]: the record still keeps its position in the chain.
///
/// # Errors
/// [`Flaw::NotARecord`], [`Flaw::TooLarge`] and [`Flaw::NewerFormat`].
pub(super) fn parse(line: &[u8]) -> Result<Record, Flaw> {
    let record = match serde_json::from_slice::<Record>(line) {
        Ok(record) => record,
        Err(error) => parse_unknown(line, &error.to_string())?,
    };
    match record.entry {
        Entry::ChainStarted { format, .. } if format > FORMAT => Err(Flaw::NewerFormat(format)),
        _ if record.seq > LARGEST_SEQ => Err(Flaw::TooLarge(record.seq)),
        _ => Ok(record),
    }
}

/// Parses the readable part of a record that this version does not understand.
fn parse_unknown(line: &[u8], reason: &str) -> Result<Record, Flaw> {
    let envelope: Envelope = serde_json::from_slice(line).map_err(|_| Flaw::NotARecord)?;
    let Envelope { seq, prev, at, kind, format, incident } = envelope;
    if let Some(format) = format.filter(|format| kind == "chain_started" && *format > FORMAT) {
        return Err(Flaw::NewerFormat(format));
    }
    let incident = incident.as_ref().and_then(|incident| incident.get("id"));
    let incident = incident.and_then(|id| IncidentId::deserialize(id).ok());
    let word = reason.strip_prefix("unknown variant `").and_then(|rest| rest.split_once('`'));
    let word = word.map(|(word, _)| word.to_owned()).filter(|word| *word != kind);
    let entry = Entry::Unknown(UnknownRecord { kind, word, incident });
    Ok(Record { seq, prev, at, entry })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(rest: &str) -> Result<Entry, Flaw> {
        let line = format!(
            r#"{{"seq":2,"prev":"{}","boot":"1f0c5a7e-93b4-4d5e-8a60-0c2f5b1d7e42","boot_ms":61000,"wall":"2026-11-24T08:01:01Z",{rest}}}"#,
            "0".repeat(64)
        );
        parse(line.as_bytes()).map(|record| record.entry)
    }

    fn unknown(kind: &str, word: Option<&str>) -> Entry {
        let (kind, word) = (kind.to_owned(), word.map(str::to_owned));
        Entry::Unknown(UnknownRecord { kind, word, incident: None })
    }

    #[test]
    fn kinds_and_words_of_a_newer_version_are_named() {
        assert_eq!(entry(r#""kind":"moon","full":true"#), Ok(unknown("moon", None)));
        let step = r#""kind":"clock_stepped","by_ms":1,"source":"gps""#;
        assert_eq!(entry(step), Ok(unknown("clock_stepped", Some("gps"))));
        let number = r#""kind":"agent_stopped","reason":7"#;
        assert_eq!(entry(number), Ok(unknown("agent_stopped", None)));
        let stopped = r#""kind":"agent_stopped","reason":"SIGTERM","more":[{}]"#;
        assert_eq!(entry(stopped), Ok(Entry::AgentStopped { reason: "SIGTERM".to_owned() }));
    }

    #[test]
    fn an_incident_with_an_unknown_word_keeps_its_id() {
        let id = "01936f3e-0000-7000-8000-000000000001";
        let closed = format!(r#""kind":"incident_closed","incident":{{"id":"{id}"}}"#);
        let Ok(Entry::Unknown(unknown)) = entry(&closed) else {
            panic!("required fields are missing")
        };
        assert_eq!(unknown.incident.map(|id| id.to_string()).as_deref(), Some(id));
    }

    #[test]
    fn a_line_that_is_not_a_record_is_a_flaw() {
        for line in ["", "\0\0\0", "{}", "[1]", "{\"seq\":18446744073709551616}"] {
            assert_eq!(parse(line.as_bytes()), Err(Flaw::NotARecord), "{line}");
        }
        let deep = "[".repeat(1_000_000);
        assert_eq!(entry(&format!(r#""kind":"moon","deep":{deep}"#)), Err(Flaw::NotARecord));
        assert_eq!(
            entry(r#""kind":"chain_started","format":2,"name":"x""#),
            Err(Flaw::NewerFormat(2))
        );
        let large = r#"{"seq":18446744073709551615,"prev":"","boot":"1f0c5a7e-93b4-4d5e-8a60-0c2f5b1d7e42","boot_ms":1,"wall":"2026-11-24T08:01:01Z","kind":"x"}"#;
        assert_eq!(parse(large.as_bytes()), Err(Flaw::TooLarge(u64::MAX)));
    }
}
