//! What a deployment costs in a month, in US dollars.

use super::settings::SimulationSettings;

/// The list price of a rule by its evaluation frequency in minutes, a month. The 15-minute price stands in
/// Azure's retail price list, the 5-minute one in a project that quotes it; the others are list prices.
const RULES: [(u32, f64); 4] = [(1, 3.0), (5, 1.5), (10, 1.0), (15, 0.5)];
/// How much of a rule's price each further series costs: one device of a rule that is split by device.
const SERIES: f64 = 0.1;
/// Mails that are free each month, and the price of each further one.
const MAILS: (f64, f64) = (1_000.0, 2.0 / 100_000.0);
/// Executions that are free each month, and the price of each further one, on Flex Consumption.
const EXECUTIONS: (f64, f64) = (250_000.0, 0.40 / 1_000_000.0);
/// The same of gigabyte-seconds.
const GIGABYTE_SECONDS: (f64, f64) = (100_000.0, 0.000_026);
/// The same of gigabytes of ingested logs.
const GIGABYTES: (f64, f64) = (5.0, 2.30);
/// What one heartbeat costs in gigabyte-seconds: half a gigabyte for the least billable second.
const GIGABYTE_SECONDS_A_HEARTBEAT: f64 = 0.5;
/// What one heartbeat writes to the logs, in gigabytes: 1.7 kB, measured with the host's log levels set.
const GIGABYTES_A_HEARTBEAT: f64 = 1.7e-6;
/// The seconds of a month of 30 days.
const MONTH: f64 = 30.0 * 86_400.0;

/// The price of a month with so many devices, each of which causes so many mails a year.
pub fn monthly(settings: &SimulationSettings, devices: u32, mails_a_year: f64) -> f64 {
    let devices = f64::from(devices);
    let heartbeats = devices * MONTH / f64::from(settings.interval_s);
    let beyond = |(free, price): (f64, f64), used: f64| price * (used - free).max(0.0);
    let frequency = settings.evaluation_minutes;
    // Rarer than every 15 minutes is not cheaper.
    let rule =
        RULES.iter().rev().find(|(minutes, _)| *minutes <= frequency).map_or(3.0, |each| each.1);
    // Of the three rules only the one about silence has a series for each device at all times.
    let rules = rule * (3.0 + SERIES * (devices - 1.0));
    rules
        + beyond(MAILS, devices * mails_a_year / 12.0)
        + beyond(EXECUTIONS, heartbeats)
        + beyond(GIGABYTE_SECONDS, heartbeats * GIGABYTE_SECONDS_A_HEARTBEAT)
        + beyond(GIGABYTES, heartbeats * GIGABYTES_A_HEARTBEAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(evaluation_minutes: u32, interval_s: u32, devices: u32) -> String {
        let settings = SimulationSettings { threshold: 5.0, evaluation_minutes, interval_s };
        format!("{:.2}", monthly(&settings, devices, 100.0))
    }

    #[test]
    fn one_device_costs_its_three_rules() {
        let prices = [1, 5, 10, 15, 30].map(|evaluation| price(evaluation, 60, 1));
        assert_eq!(prices, ["9.00", "4.50", "3.00", "1.50", "1.50"]);
        // The free grant is enough for four devices at a minute, or for two at half a minute.
        assert_eq!(price(5, 60, 4), "4.95");
        assert_eq!(price(5, 30, 2), "4.65");
    }

    #[test]
    fn more_devices_leave_the_free_grants_one_after_the_other() {
        // 10 devices: 9 further series, 116,000 GB-s and 182,000 executions beyond the grants.
        assert_eq!(price(5, 60, 10), "8.94");
    }
}
