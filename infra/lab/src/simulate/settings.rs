//! The settings that are compared.

use std::str::FromStr;

#[cfg(test)]
use super::assumptions::Assumptions;

/// One set of settings: two of the templates, one of the agent.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct SimulationSettings {
    /// `SILENCE_MINUTES`: minutes of silence from which a device counts as silent.
    pub threshold: f64,
    /// `EVALUATION_MINUTES`: minutes between two evaluations of a rule.
    pub evaluation_minutes: u32,
    /// `HEARTBEAT_INTERVAL`: seconds between two heartbeats.
    pub interval_s: u32,
}

/// A setting and the values to compare: `threshold=5,5.5,6`.
#[derive(Clone, Debug, PartialEq)]
pub struct Variation {
    name: Name,
    values: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Threshold,
    Evaluation,
    Interval,
}

impl SimulationSettings {
    /// Returns these settings combined with all combinations of the variations.
    pub fn combinations(self, variations: &[Variation]) -> Vec<Self> {
        variations.iter().fold(vec![self], |all, variation| {
            let with = |settings: Self| {
                variation.values.iter().map(move |value| settings.with(variation.name, *value))
            };
            all.into_iter().flat_map(with).collect()
        })
    }

    fn with(self, name: Name, value: f64) -> Self {
        match name {
            Name::Threshold => Self { threshold: value, ..self },
            Name::Evaluation => Self { evaluation_minutes: value as u32, ..self },
            Name::Interval => Self { interval_s: value as u32, ..self },
        }
    }

    #[cfg(test)]
    pub(super) fn default_assumptions() -> Assumptions {
        use clap::Parser as _;

        #[derive(clap::Parser)]
        struct AssumptionArguments {
            #[command(flatten)]
            assumptions: Assumptions,
        }
        AssumptionArguments::parse_from(["line"]).assumptions
    }
}

impl FromStr for Variation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let example = "give a setting and its values, such as threshold=5,5.5,6 or interval=30,60";
        let (name, values) = text.split_once('=').ok_or(example)?;
        let name = match name {
            "threshold" => Name::Threshold,
            "evaluation" => Name::Evaluation,
            "interval" => Name::Interval,
            _ => return Err(format!("there is no setting {name:?} to compare: {example}")),
        };
        let parse = |value: &str| match name {
            Name::Threshold => threshold(value),
            Name::Evaluation => evaluation(value).map(f64::from),
            Name::Interval => interval(value).map(f64::from),
        };
        let values: Result<Vec<_>, _> =
            values.split(',').map(|value| parse(value.trim())).collect();
        Ok(Self { name, values: values? })
    }
}

/// Parses a threshold in minutes; the query returns tenths.
pub fn threshold(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|minutes: &f64| {
            (1.0..=120.0).contains(minutes)
                && ((minutes * 10.0).round() - minutes * 10.0).abs() < 1e-9
        })
        .ok_or_else(|| "a threshold is 1 to 120 minutes, in whole tenths".to_owned())
}

/// Parses an evaluation frequency in minutes that a log alert rule may have.
pub fn evaluation(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|minutes| [1, 5, 10, 15, 30, 60].contains(minutes))
        .ok_or_else(|| "rules are evaluated every 1, 5, 10, 15, 30 or 60 minutes".to_owned())
}

/// Parses a heartbeat interval in seconds.
pub fn interval(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|seconds| (10..=3_600).contains(seconds))
        .ok_or_else(|| "heartbeats come every 10 to 3600 seconds".to_owned())
}
