//! Starting the handler and talking to it.

pub(crate) mod http;
pub(crate) mod in_process;
pub(crate) mod process;

use std::time::Duration;

/// Bounds a hang; nothing that works comes near it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
