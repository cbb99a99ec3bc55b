//! Identifies the host in its telemetry.

use uuid::Uuid;

use super::forward::HOST_VERSION;
use crate::telemetry::item::Tags;

/// The identity of one running host.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The id of this run.
    pub instance: String,
    /// The process id of the host.
    pub process: u32,
}

impl Identity {
    /// Creates an identity for a host in this process.
    pub fn of_this_process() -> Self {
        Self { instance: Uuid::new_v4().to_string(), process: std::process::id() }
    }

    /// The tags of every item.
    pub fn tags(&self) -> Tags {
        Tags {
            role_instance: "ispmon-lab".to_owned(),
            sdk_version: format!("azurefunctions: {HOST_VERSION}"),
            ..Tags::default()
        }
    }
}
