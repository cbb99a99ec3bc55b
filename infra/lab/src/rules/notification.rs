//! What an alert rule sends when an alert fires or resolves.

use std::sync::Arc;

use jiff::Timestamp;

use super::{condition::Dimensions, monitor_condition::MonitorCondition, settings::RuleSettings};

/// A notification that Azure would mail.
///
/// An alert is identified by its rule, its dimensions and the time at which it fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The rule that sends it.
    pub rule: Arc<RuleSettings>,
    /// Whether the alert fired or resolved.
    pub condition: MonitorCondition,
    /// The dimension values of the alert.
    pub dimensions: Dimensions,
    /// The measured value; `None` when the query no longer returns a row for these dimensions.
    pub value: Option<f64>,
    /// When the alert fired.
    pub fired: Timestamp,
    /// The time of the evaluation that caused the notification.
    pub evaluated: Timestamp,
}
