//! Helpers that start the handler and send requests to it.

pub(crate) mod http;
pub(crate) mod in_process;
pub(crate) mod process;

use std::time::Duration;

/// Timeout for a hanging test, far above any normal duration.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
