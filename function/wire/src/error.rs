//! Why a message was refused.

use thiserror::Error;

use crate::{limits, text};

/// The longest reason that a sentence repeats, in characters: it may quote the body.
const REASON_CHARACTERS: usize = 200;

/// Why a body cannot be accepted. Each Display is one plain sentence, fit to be sent to the caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// The body is not JSON, or a field has a type that it cannot have: the parser's reason, on one
    /// line and cut to 200 characters.
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
    /// An incident claims more downtime than it lasted.
    #[error("Incident {id} has more downtime than it lasted.")]
    DowntimeTooLong {
        /// The incident's id.
        id: uuid::Uuid,
    },
}

// The sentence goes to the caller whole, so the reason is a part of it and no source remains.
impl From<serde_json::Error> for MessageError {
    fn from(reason: serde_json::Error) -> Self {
        Self::Malformed(text::clean(&reason.to_string(), REASON_CHARACTERS))
    }
}
