//! Whether an alert has fired or resolved.

/// `monitorCondition` of the common alert schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MonitorCondition {
    /// The condition is met.
    Fired,
    /// The condition has not been met for long enough.
    Resolved,
}

impl MonitorCondition {
    /// The name in the common alert schema.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "Fired",
            Self::Resolved => "Resolved",
        }
    }
}
