//! The results as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::{price, score::Score, settings::SimulationSettings, time::YEAR};

/// The parameters of the simulation and its results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulationReport {
    /// Years of each world.
    pub years: u32,
    /// The number of worlds.
    pub seeds: u32,
    /// The seed of the first world; each further one is one higher.
    pub first_seed: u64,
    /// The results, one for each set of settings.
    pub results: Vec<SimulationOutcome>,
}

/// The result of one set of settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulationOutcome {
    /// The settings.
    pub settings: SimulationSettings,
    /// Simulated years of one device in total.
    pub device_years: f64,
    /// The counts, with the times to the first mails sorted.
    #[serde(flatten)]
    pub score: Score,
    /// False alarms per 100 years of one device.
    pub false_alarms_in_100_years: f64,
    /// Minutes from the start of an outage to its first mail.
    pub first_mail: Option<FirstMail>,
    /// Mails per year, by kind.
    pub mails: Mails,
    /// US dollars per month.
    pub monthly_price: f64,
}

/// Minutes from the start of an outage to its first mail.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FirstMail {
    /// The median.
    pub median: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The maximum.
    pub worst: f64,
}

/// Mails per year.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mails {
    /// All.
    pub all: f64,
    /// A device is silent.
    pub silent: f64,
    /// A device is back.
    pub resolved: f64,
    /// A device is still silent.
    pub reminders: f64,
    /// An outage is over.
    pub reports: f64,
}

impl SimulationOutcome {
    /// Computes the result from the counts; the price is for `devices` devices.
    pub fn new(settings: SimulationSettings, mut score: Score, devices: u32) -> Self {
        let years = score.observed as f64 / YEAR as f64;
        let yearly = |count: usize| count as f64 / years;
        score.first_mails.sort_unstable();
        let mails = Mails {
            all: yearly(score.mails()),
            silent: yearly(score.silent_mails),
            resolved: yearly(score.resolved_mails),
            reminders: yearly(score.reminders),
            reports: yearly(score.reports),
        };
        Self {
            settings,
            device_years: years,
            false_alarms_in_100_years: 100.0 * yearly(score.false_alarms),
            first_mail: FirstMail::of(&score.first_mails),
            monthly_price: price::monthly(&settings, devices, mails.all),
            mails,
            score,
        }
    }
}

impl FirstMail {
    /// The quantiles of sorted seconds.
    fn of(sorted: &[u32]) -> Option<Self> {
        let quantile = |part: f64| {
            let index = (part * sorted.len() as f64).ceil() as usize;
            sorted.get(index.max(1) - 1).map(|seconds| f64::from(*seconds) / 60.0)
        };
        Some(Self { median: quantile(0.5)?, p95: quantile(0.95)?, worst: quantile(1.0)? })
    }
}

/// A row of the table: its name, and how it formats a result.
type TableRow = (&'static str, fn(&SimulationOutcome) -> String);

/// The rows of the table.
pub(super) const TABLE_ROWS: [TableRow; 23] = [
    ("threshold of silence, minutes", |each| each.settings.threshold.to_string()),
    ("evaluation every … minutes", |each| each.settings.evaluation_minutes.to_string()),
    ("heartbeat every … seconds", |each| each.settings.interval_s.to_string()),
    ("outages of 12 min or longer", |each| each.score.outages.to_string()),
    ("  mailed", |each| each.score.mailed.to_string()),
    ("  missed", |each| each.score.missed.to_string()),
    ("  missed while Azure failed", |each| each.score.missed_while_azure_failed.to_string()),
    ("false alarms", |each| each.score.false_alarms.to_string()),
    ("  in 100 years", |each| format!("{:.2}", each.false_alarms_in_100_years)),
    ("alarms while Azure failed", |each| each.score.alarms_while_azure_failed.to_string()),
    ("alarms about shorter outages", |each| each.score.alarms_about_short_outages.to_string()),
    ("false resolves", |each| each.score.false_resolves.to_string()),
    ("first mail: median, minutes", |each| minutes(each, |first| first.median)),
    ("first mail: 95 of 100 within", |each| minutes(each, |first| first.p95)),
    ("first mail: worst", |each| minutes(each, |first| first.worst)),
    ("mails a year", |each| format!("{:.1}", each.mails.all)),
    ("  silent", |each| format!("{:.1}", each.mails.silent)),
    ("  resolved", |each| format!("{:.1}", each.mails.resolved)),
    ("  reminders", |each| format!("{:.1}", each.mails.reminders)),
    ("  reports", |each| format!("{:.1}", each.mails.reports)),
    ("mails kept back by the limit", |each| each.score.kept_back.to_string()),
    ("years of one device", |each| format!("{:.0}", each.device_years)),
    ("price a month, US dollars", |each| format!("{:.2}", each.monthly_price)),
];

fn minutes(outcome: &SimulationOutcome, of: fn(&FirstMail) -> f64) -> String {
    outcome.first_mail.as_ref().map_or_else(|| "-".to_owned(), |first| format!("{:.1}", of(first)))
}

impl SimulationReport {
    /// One sentence with the parameters of the simulation.
    pub fn title(&self) -> String {
        let plural =
            |count: u64, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let last = self.first_seed + u64::from(self.seeds) - 1;
        let seeds = match self.seeds {
            1 => format!("seed {last}"),
            _ => format!("seeds {} to {last}", self.first_seed),
        };
        format!(
            "{} of {}, {seeds}",
            plural(self.seeds.into(), "world"),
            plural(self.years.into(), "year"),
        )
    }

    /// The table, with one column per set of settings; also valid Markdown.
    pub fn to_text(&self) -> String {
        let cells: Vec<Vec<String>> =
            TABLE_ROWS.iter().map(|(_, show)| self.results.iter().map(show).collect()).collect();
        let name_width = TABLE_ROWS.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let width = cells.iter().flatten().map(String::len).max().unwrap_or(0);
        let mut text = format!("{}\n\n", self.title());
        for (number, ((name, _), cells)) in TABLE_ROWS.iter().zip(&cells).enumerate() {
            let pad = " ".repeat(name_width - name.chars().count());
            let _ = write!(text, "| {name}{pad} |");
            for cell in cells {
                let _ = write!(text, " {cell:>width$} |");
            }
            text.push('\n');
            if number == 0 {
                let _ = write!(text, "|{}|", "-".repeat(name_width + 2));
                for _ in cells {
                    let _ = write!(text, "{}:|", "-".repeat(width + 1));
                }
                text.push('\n');
            }
        }
        text
    }

    /// The results as one JSON document.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
