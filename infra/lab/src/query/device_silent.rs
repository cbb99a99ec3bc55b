//! How long every expected device has been silent: one row per device.

use jiff::Timestamp;

use super::{
    silence::{RecentHeartbeats, minutes, tenths},
    table::{Row, Trace},
    template::{Captures, QueryError, Template, quote_all},
};

/// `infra/queries/device-silent.kql`.
pub const TEMPLATE: Template = Template {
    name: "device-silent.kql",
    text: include_str!("../../../queries/device-silent.kql"),
    placeholders: &["DEVICES"],
};

/// The column that the rule measures, in minutes.
pub const MEASURED_COLUMN: &str = "silentMinutes";

/// The query and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSilent {
    /// The expected devices, at most 200 per rule.
    pub devices: Vec<String>,
}

impl DeviceSilent {
    pub(super) fn from_captures(captures: &Captures) -> Result<Self, QueryError> {
        Ok(Self { devices: captures.texts("DEVICES")? })
    }

    pub(super) fn text(&self) -> String {
        TEMPLATE.fill(&[("DEVICES", quote_all(&self.devices))])
    }

    /// Returns one row for each expected device: the minutes of its silence, in tenths, 0 during an
    /// announced silence and 2,880 when it has sent no heartbeat in 48 hours.
    pub fn evaluate(&self, now: Timestamp, rows: &[Trace]) -> Vec<Row> {
        let heartbeats = RecentHeartbeats::read(now, rows);
        let row = |device: &String| Row {
            dimensions: vec![("Computer".to_owned(), device.clone())],
            value: tenths(minutes(heartbeats.silent_since(device), now).max(0.0)),
        };
        self.devices.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn every_expected_device_has_a_row_that_is_never_below_zero() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let trace = |minutes_ago, device: &str, quiet_s: u32| Trace {
            timestamp: now - SignedDuration::from_mins(minutes_ago),
            message: format!(r#"{{"event":"heartbeat","device":"{device}","quiet_s":{quiet_s}}}"#),
        };
        let rows = [trace(7, "DL-Home", 60), trace(5, "laptop", 3_600), trace(1, "stranger", 0)];
        let devices = ["dl-home", " Laptop ", "office"].map(str::to_owned).to_vec();
        let row = |device: &str, value| Row {
            dimensions: vec![("Computer".to_owned(), device.to_owned())],
            value,
        };
        assert_eq!(
            DeviceSilent { devices }.evaluate(now, &rows),
            [row("dl-home", 6.0), row(" Laptop ", 0.0), row("office", 2_880.0)]
        );
    }
}
