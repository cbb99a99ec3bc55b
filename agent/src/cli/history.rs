//! The arguments of the commands that read the journal.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use crate::history::{Moment, Period};

/// The output format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text for a terminal.
    Text,
    /// JSON, for programs.
    Json,
    /// CSV, for spreadsheets.
    Csv,
    /// One HTML page, written to a file or, without one, to standard output.
    Html(Option<PathBuf>),
}

/// The request of `outages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutagesRequest {
    /// The output format.
    pub form: Form,
    /// The period that it covers.
    pub period: Period,
    /// Whether to include unmonitored times.
    pub all: bool,
}

/// The request of `report`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRequest {
    /// The output format.
    pub form: Form,
    /// The period that it covers.
    pub period: Period,
    /// The beginning of the id of the one incident to show in full.
    pub incident: Option<String>,
}

/// The flags of `outages`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("form").multiple(false))]
pub(super) struct OutagesFlags {
    #[command(flatten)]
    form: FormFlags,

    #[command(flatten)]
    period: PeriodFlags,

    /// List unmonitored times too: sleep, pauses, stops, power cuts
    #[arg(long)]
    all: bool,
}

/// The flags of `report`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("form").multiple(false))]
pub(super) struct ReportFlags {
    /// Write one HTML page to read or print; without FILE to standard output
    #[arg(long, group = "form", value_name = "FILE", num_args = 0..=1)]
    #[allow(clippy::option_option, reason = "clap's way to tell a flag without a value from none")]
    html: Option<Option<PathBuf>>,

    #[command(flatten)]
    form: FormFlags,

    #[command(flatten)]
    period: PeriodFlags,

    /// One month: 2026-11
    #[arg(long, value_name = "MONTH", value_parser = month, conflicts_with_all = ["since", "until"])]
    month: Option<Moment>,

    /// Show one incident in full; the beginning of an ID that `outages` lists is enough
    #[arg(long, value_name = "ID", value_parser = id, conflicts_with = "csv")]
    incident: Option<String>,
}

#[derive(Clone, Copy, Debug, Args)]
struct FormFlags {
    /// Print JSON for programs
    #[arg(long, group = "form")]
    json: bool,

    /// Print CSV for spreadsheets
    #[arg(long, group = "form")]
    csv: bool,
}

#[derive(Clone, Copy, Debug, Args)]
struct PeriodFlags {
    /// Start of the period: 7d, 12h, yesterday, 2026-11, 2026-11-24, 2026-11-24T18:30
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,

    /// End of the period, in the same format; a day or a month is included
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

impl From<PeriodFlags> for Period {
    fn from(flags: PeriodFlags) -> Self {
        Self { since: flags.since, until: flags.until }
    }
}

impl From<FormFlags> for Form {
    fn from(flags: FormFlags) -> Self {
        match flags {
            FormFlags { json: true, .. } => Self::Json,
            FormFlags { csv: true, .. } => Self::Csv,
            _ => Self::Text,
        }
    }
}

impl From<OutagesFlags> for OutagesRequest {
    fn from(flags: OutagesFlags) -> Self {
        Self { form: flags.form.into(), period: flags.period.into(), all: flags.all }
    }
}

impl From<ReportFlags> for ReportRequest {
    fn from(flags: ReportFlags) -> Self {
        let form = flags.html.map_or_else(|| flags.form.into(), Form::Html);
        let period = flags.month.map_or_else(|| flags.period.into(), Period::month);
        Self { form, period, incident: flags.incident }
    }
}

fn month(text: &str) -> Result<Moment, &'static str> {
    match text.parse() {
        Ok(month @ Moment::Month(_)) => Ok(month),
        _ => Err("give a month such as 2026-11"),
    }
}

fn id(text: &str) -> Result<String, &'static str> {
    let text = text.trim().to_ascii_lowercase();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        Ok(text)
    } else {
        Err("give an ID as `ispmon-agent outages` lists them, or its beginning")
    }
}
