//! The monthly cost of a deployment, in US dollars.

use super::settings::SimulationSettings;

/// The monthly list price of a rule by its evaluation frequency in minutes. The 15-minute price is
/// from Azure's retail price list, the 5-minute one from a project that quotes it; the others are
/// list prices.
const RULES: [(u32, f64); 4] = [(1, 3.0), (5, 1.5), (10, 1.0), (15, 0.5)];
/// The rules that are deployed for a set of devices.
const RULES_OF_A_SET: u8 = 3;
/// The price of each further series as a share of a rule's price; a rule that is split by device
/// has one series per device.
const SERIES: f64 = 0.1;
/// Free mails per month, and the price of each further one.
const MAILS: (f64, f64) = (1_000.0, 2.0 / 100_000.0);
/// Free executions per month, and the price of each further one, on Flex Consumption.
const EXECUTIONS: (f64, f64) = (250_000.0, 0.40 / 1_000_000.0);
/// Free gigabyte-seconds per month, and the price of each further one.
const GIGABYTE_SECONDS: (f64, f64) = (100_000.0, 0.000_026);
/// Free gigabytes of ingested logs per month, and the price of each further one.
const GIGABYTES: (f64, f64) = (5.0, 2.30);
/// The gigabyte-seconds of one heartbeat: half a gigabyte for the minimum billable second.
const GIGABYTE_SECONDS_A_HEARTBEAT: f64 = 0.5;
/// The log volume of one heartbeat, in gigabytes: 1.7 kB, measured with the host's log levels set.
const GIGABYTES_A_HEARTBEAT: f64 = 1.7e-6;
/// The seconds of a month of 30 days.
const MONTH: f64 = 30.0 * 86_400.0;

/// The monthly price with this many devices, each of which causes `mails_a_year`.
pub fn monthly(settings: &SimulationSettings, devices: u32, mails_a_year: f64) -> f64 {
    let devices = f64::from(devices);
    let heartbeats = devices * MONTH / f64::from(settings.interval_s);
    let beyond = |(free, price): (f64, f64), used: f64| price * (used - free).max(0.0);
    let frequency = settings.evaluation_minutes;
    // A frequency below one evaluation per 15 minutes is not cheaper.
    let rule =
        RULES.iter().rev().find(|(minutes, _)| *minutes <= frequency).map_or(3.0, |each| each.1);
    // Only the rule about silence always has a series per device.
    let rules = rule * (f64::from(RULES_OF_A_SET) + SERIES * (devices - 1.0));
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
    fn every_deployed_rule_has_a_price() {
        let deployed = crate::rules::deployed().expect("the rules are recognized");
        assert_eq!(deployed.len(), usize::from(RULES_OF_A_SET));
    }

    #[test]
    fn one_device_costs_the_three_rules() {
        let prices = [1, 5, 10, 15, 30].map(|evaluation| price(evaluation, 60, 1));
        assert_eq!(prices, ["9.00", "4.50", "3.00", "1.50", "1.50"]);
        // The free grant covers four devices at one heartbeat per minute, or two at two per minute.
        assert_eq!(price(5, 60, 4), "4.95");
        assert_eq!(price(5, 30, 2), "4.65");
    }

    #[test]
    fn more_devices_exceed_the_free_grants_one_after_the_other() {
        // 10 devices: 9 further series, 116,000 GB-s and 182,000 executions beyond the grants.
        assert_eq!(price(5, 60, 10), "8.94");
    }
}
