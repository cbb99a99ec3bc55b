//! What is said over the control socket.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    clock::Stamp,
    pause::{LONGEST_PAUSE, SHORTEST_PAUSE},
};

/// The most bytes of a line, its line feed included.
pub(super) const LINE_BYTES: usize = 1_024;

/// What the agent is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum ControlRequest {
    /// Neither to watch nor to send heartbeats for a time. While it is paused already, the new time
    /// counts.
    Pause {
        /// For how long from now, [`SHORTEST_PAUSE`] to [`LONGEST_PAUSE`], in whole seconds.
        #[serde(rename = "seconds", serialize_with = "to_seconds", deserialize_with = "seconds")]
        time: Duration,
    },
    /// To go on at once.
    Resume,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn to_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_secs())
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let time = Duration::from_secs(u64::deserialize(deserializer)?);
    if (SHORTEST_PAUSE..=LONGEST_PAUSE).contains(&time) {
        return Ok(time);
    }
    Err(serde::de::Error::custom("a pause lasts from 1 s to 24 h"))
}

/// What the agent answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum ControlAnswer {
    /// It is paused.
    Paused {
        /// When it goes on by itself.
        until: Stamp,
        /// Whether it was paused before, until another time.
        again: bool,
        /// Whether the cloud was told, so that it raises no alarm meanwhile; nothing when there is
        /// nobody to tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        announced: Option<bool>,
    },
    /// It goes on.
    Resumed {
        /// When the pause had begun.
        paused: Stamp,
    },
    /// There was no pause to end.
    NotPaused,
    /// It did not do it.
    Refused {
        /// Why, as a sentence.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_lines_that_a_person_could_type() {
        for (request, line) in [
            (
                ControlRequest::Pause { time: Duration::from_hours(2) },
                r#"{"request":"pause","seconds":7200}"#,
            ),
            (ControlRequest::Resume, r#"{"request":"resume"}"#),
        ] {
            assert_eq!(serde_json::to_string(&request).expect("it is JSON"), line);
            assert_eq!(
                serde_json::from_str::<ControlRequest>(line).expect("it is a request"),
                request
            );
        }
    }

    #[test]
    fn a_pause_is_bounded_whoever_asks_for_it() {
        for (seconds, is_taken) in [(0, false), (1, true), (86_400, true), (86_401, false)] {
            let line = format!(r#"{{"request":"pause","seconds":{seconds}}}"#);
            assert_eq!(serde_json::from_str::<ControlRequest>(&line).is_ok(), is_taken, "{line}");
        }
        for line in [r#"{"request":"pause"}"#, r#"{"request":"stop"}"#, "{}", "pause", ""] {
            assert!(serde_json::from_str::<ControlRequest>(line).is_err(), "{line}");
        }
    }
}
