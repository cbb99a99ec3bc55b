//! Errors of the outbox.

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::journal::{JournalReadError, disk_advice};

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

impl OutboxError {
    /// What the user can do about it, as a sentence. `folder` is that of the journal.
    pub(super) fn advice(&self, folder: &Path) -> String {
        match self {
            Self::Read(JournalReadError::Io { source, .. }) | Self::Write(_, source) => {
                disk_advice(source.kind(), folder)
                    .unwrap_or_else(|| format!("Check the disk of {}.", folder.display()))
            }
            Self::Read(_) => "To see the damage: ispmon-agent journal verify".to_owned(),
        }
    }
}
