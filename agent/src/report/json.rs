//! JSON for other programs, with the names and units of the journal; fields are only ever added.

use std::io::{self, Write};

use ispmon_wire::JournalHead;
use serde::Serialize;

use super::{ReportOptions, words};
use crate::{
    history::{Account, DowntimeFigures, PastIncident, QualityPart, QualitySummary, Unmonitored},
    outage::{Cause, GapCause, Observation, Party, Scope},
};

#[derive(Serialize)]
struct List<'a> {
    #[serde(flatten)]
    about: About<'a>,
    incidents: Vec<IncidentItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gaps: Option<Vec<GapItem>>,
}

#[derive(Serialize)]
struct JsonReport<'a> {
    #[serde(flatten)]
    about: About<'a>,
    all: AccountItem,
    months: Vec<Month>,
    quality: QualityItem,
    gaps: Vec<GapItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<FullIncident<'a>>,
}

#[derive(Serialize)]
struct About<'a> {
    device: &'a str,
    folder: String,
    made: String,
    zone: Option<&'a str>,
    from: String,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<&'a JournalHead>,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_shown: Vec<String>,
}

#[derive(Serialize)]
struct IncidentItem {
    id: String,
    cause: Cause,
    party: Option<Party>,
    scope: Scope,
    started: String,
    ended: Option<String>,
    open: bool,
    duration_s: f64,
    downtime_s: f64,
    ipv4_only_s: f64,
    ipv6_only_s: f64,
    failures: u32,
    clock_certain: bool,
    segments: Vec<SegmentItem>,
}

#[derive(Serialize)]
struct SegmentItem {
    scope: Scope,
    cause: Cause,
    from: String,
    to: String,
}

#[derive(Serialize)]
struct FullIncident<'a> {
    #[serde(flatten)]
    item: IncidentItem,
    last_ok: Option<String>,
    evidence: &'a [Observation],
    record_seq: u64,
}

#[derive(Serialize)]
struct GapItem {
    id: Option<String>,
    cause: Option<GapCause>,
    started: String,
    ended: Option<String>,
    open: bool,
    duration_s: f64,
    uncertain_s: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Month {
    month: String,
    #[serde(flatten)]
    account: AccountItem,
}

#[derive(Serialize)]
struct AccountItem {
    span_s: f64,
    observed_s: f64,
    coverage: Option<f64>,
    provider: FiguresItem,
    yours: FiguresItem,
    other: FiguresItem,
    total: FiguresItem,
    ipv4_only: FiguresItem,
    ipv6_only: FiguresItem,
    degraded: u32,
    heartbeat: u32,
}

#[derive(Serialize)]
struct FiguresItem {
    availability: Option<f64>,
    downtime_s: f64,
    count: u32,
    longest_s: f64,
    mean_time_to_repair_s: Option<f64>,
}

#[derive(Serialize)]
struct QualityItem {
    #[serde(flatten)]
    whole: QualityPart,
    by_hour_of_day: Vec<QualityPart>,
}

/// Writes the incidents of the period, and its gaps if the options include gaps.
///
/// # Errors
/// The output cannot be written.
pub fn incidents(options: &ReportOptions<'_>, output: &mut impl Write) -> io::Result<()> {
    let incidents =
        options.history.incidents_in(options.period).map(|it| item(options, it)).collect();
    let gaps = options.gaps.then(|| gaps(options));
    write(&List { about: about(options), incidents, gaps }, output)
}

/// Writes all figures of the report.
///
/// # Errors
/// The output cannot be written.
pub fn report(options: &ReportOptions<'_>, output: &mut impl Write) -> io::Result<()> {
    let quality = QualitySummary::of(options.history, options.covered_period(), options.zone);
    let report = JsonReport {
        about: about(options),
        all: account(&Account::of(options.history, options.period)),
        months: options
            .months()
            .iter()
            .map(|(month, figures)| Month {
                month: month.date.strftime("%Y-%m").to_string(),
                account: account(figures),
            })
            .collect(),
        quality: QualityItem { whole: quality.whole, by_hour_of_day: quality.by_hour },
        gaps: gaps(options),
        incident: options.incident.map(|incident| FullIncident {
            item: item(options, incident),
            last_ok: incident.last_ok.map(|at| words::exact_time(at, options.zone)),
            evidence: &incident.recorded.evidence,
            record_seq: incident.seq,
        }),
    };
    write(&report, output)
}

fn write(value: &impl Serialize, output: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, value)?;
    output.write_all(b"\n")?;
    output.flush()
}

fn about<'a>(options: &ReportOptions<'a>) -> About<'a> {
    let reached = options.covered_period();
    About {
        device: options.history.device.as_deref().unwrap_or_default(),
        folder: options.folder.display().to_string(),
        made: words::exact_time(options.now, options.zone),
        zone: options.zone.iana_name(),
        from: words::exact_time(reached.from, options.zone),
        to: words::exact_time(reached.to, options.zone),
        chain: options.head,
        damage: options.damage,
        not_shown: options.history.unknown.sentences(),
    }
}

fn item(options: &ReportOptions<'_>, incident: &PastIncident) -> IncidentItem {
    let recorded = &incident.recorded;
    let time = |at| words::exact_time(at, options.zone);
    let alone = options.history.family_downtime(incident);
    IncidentItem {
        id: recorded.id.to_string(),
        cause: recorded.cause,
        party: recorded.party,
        scope: recorded.scope,
        started: time(incident.time.from),
        ended: (!incident.is_open()).then(|| time(incident.time.to)),
        open: incident.is_open(),
        duration_s: incident.time.duration().as_secs_f64(),
        downtime_s: options.history.downtime(incident).as_secs_f64(),
        ipv4_only_s: alone.ipv4.as_secs_f64(),
        ipv6_only_s: alone.ipv6.as_secs_f64(),
        failures: recorded.failures,
        clock_certain: incident.clock_certain,
        segments: incident
            .segments
            .iter()
            .map(|phase| SegmentItem {
                scope: phase.scope,
                cause: phase.cause,
                from: time(phase.time.from),
                to: time(phase.time.to),
            })
            .collect(),
    }
}

fn gaps(options: &ReportOptions<'_>) -> Vec<GapItem> {
    let item = |gap: &Unmonitored| GapItem {
        id: gap.id.map(|id| id.to_string()),
        cause: gap.cause,
        started: words::exact_time(gap.time.from, options.zone),
        ended: (!gap.is_open).then(|| words::exact_time(gap.time.to, options.zone)),
        open: gap.is_open,
        duration_s: gap.time.duration().as_secs_f64(),
        uncertain_s: gap.uncertain_s,
        reason: gap.reason.clone(),
    };
    options.history.gaps_in(options.period).map(item).collect()
}

fn account(account: &Account) -> AccountItem {
    let figures = |figures: &DowntimeFigures| FiguresItem {
        availability: account.availability(figures).map(crate::history::Ratio::as_number),
        downtime_s: figures.downtime.as_secs_f64(),
        count: figures.count,
        longest_s: figures.longest.as_secs_f64(),
        mean_time_to_repair_s: figures.mean_time_to_repair().map(|mean| mean.as_secs_f64()),
    };
    AccountItem {
        span_s: account.period.duration().as_secs_f64(),
        observed_s: account.observed.as_secs_f64(),
        coverage: account.coverage().map(crate::history::Ratio::as_number),
        provider: figures(&account.provider),
        yours: figures(&account.yours),
        other: figures(&account.other),
        total: figures(&account.total),
        ipv4_only: figures(&account.ipv4),
        ipv6_only: figures(&account.ipv6),
        degraded: account.unaccounted.degraded,
        heartbeat: account.unaccounted.heartbeat,
    }
}
