//! Why a message was refused.

use thiserror::Error;

use crate::{limits, text};

/// How much of the parser's reason an error message includes, in characters; the reason may quote
/// the body.
const REASON_CHARACTERS: usize = 200;

/// Why a body is refused. Each Display is one plain sentence that can be sent to the client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// The body is not JSON, or a field has the wrong type. Holds the parser's reason, on one line
    /// and cut to 200 characters.
    #[error(
        "The body is not a valid message: {0}. Send JSON in UTF-8 such as {{\"device\":\"dl-home\"}}, or \
         nothing."
    )]
    Malformed(String),
    /// The body is JSON, but not an object.
    #[error("The body must be a JSON object such as {{\"device\":\"dl-home\"}}, or empty.")]
    NotAnObject,
    /// The body is longer than [`limits::BODY_BYTES`].
    #[error("The body is longer than {} bytes.", limits::BODY_BYTES)]
    TooLong,
    /// The report holds more incidents than [`limits::INCIDENTS`].
    #[error("The report holds {0} incidents; at most {most} are accepted at once.", most = limits::INCIDENTS)]
    TooManyIncidents(usize),
    /// An incident has more segments than [`limits::SEGMENTS`].
    #[error("Incident {id} has {count} segments; at most {most} are accepted.", most = limits::SEGMENTS)]
    TooManySegments {
        /// The incident's id.
        id: uuid::Uuid,
        /// How many segments it has.
        count: usize,
    },
    /// An incident or one of its segments ends before it starts.
    #[error("Incident {id} ends before it starts.")]
    EndsBeforeStart {
        /// The incident's id.
        id: uuid::Uuid,
    },
    /// An incident reports more downtime than its duration.
    #[error("Incident {id} has more downtime than it lasted.")]
    DowntimeTooLong {
        /// The incident's id.
        id: uuid::Uuid,
    },
}

// The client receives the whole sentence, so the reason is part of it and there is no `source`.
impl From<serde_json::Error> for MessageError {
    fn from(reason: serde_json::Error) -> Self {
        Self::Malformed(text::clean(&reason.to_string(), REASON_CHARACTERS))
    }
}
