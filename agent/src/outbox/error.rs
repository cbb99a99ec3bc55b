//! Errors of the outbox.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::journal::JournalReadError;

/// Why the journal cannot be handed over now.
#[derive(Debug, Error)]
pub(super) enum OutboxError {
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Read(#[source] JournalReadError),
    /// The progress cannot be saved.
    #[error("the hand-over progress cannot be written to {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
}
