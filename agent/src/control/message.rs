//! The messages on the control socket.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    clock::Stamp,
    pause::{LONGEST_PAUSE, SHORTEST_PAUSE},
};

/// The most bytes of one line, including the line feed.
pub(super) const LINE_BYTES: usize = 1_024;

/// A request to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum ControlRequest {
    /// Stop monitoring and sending heartbeats for a time. During a pause, the new time replaces the old
    /// one.
    Pause {
        /// Duration of the pause from now, [`SHORTEST_PAUSE`] to [`LONGEST_PAUSE`], in whole seconds.
        #[serde(rename = "seconds", serialize_with = "to_seconds", deserialize_with = "seconds")]
        time: Duration,
    },
    /// End the pause now.
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

/// The agent's answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum ControlAnswer {
    /// The agent is paused.
    Paused {
        /// When the pause ends by itself.
        until: Stamp,
        /// Whether the agent was already paused, until another time.
        again: bool,
        /// Whether the pause was announced to the cloud, so that it raises no alarm meanwhile; `None`
        /// when no heartbeats are sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        announced: Option<bool>,
    },
    /// Monitoring has resumed.
    Resumed {
        /// When the pause began.
        paused: Stamp,
    },
    /// The agent was not paused.
    NotPaused,
    /// The agent did not carry out the request.
    Refused {
        /// The reason, as a sentence.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_lines_that_a_user_could_type() {
        for (request, line) in [
            (
                ControlRequest::Pause { time: Duration::from_hours(2) },
                r#"{"request":"pause","seconds":7200}"#,
            ),
            (ControlRequest::Resume, r#"{"request":"resume"}"#),
        ] {
            assert_eq!(serde_json::to_string(&request).expect("a request is JSON"), line);
            assert_eq!(
                serde_json::from_str::<ControlRequest>(line).expect("the line is a request"),
                request
            );
        }
    }

    #[test]
    fn the_length_of_a_pause_is_bounded() {
        for (seconds, is_taken) in [(0, false), (1, true), (86_400, true), (86_401, false)] {
            let line = format!(r#"{{"request":"pause","seconds":{seconds}}}"#);
            assert_eq!(serde_json::from_str::<ControlRequest>(&line).is_ok(), is_taken, "{line}");
        }
        for line in [r#"{"request":"pause"}"#, r#"{"request":"stop"}"#, "{}", "pause", ""] {
            assert!(serde_json::from_str::<ControlRequest>(line).is_err(), "{line}");
        }
    }
}
