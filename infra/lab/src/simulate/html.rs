//! The results as one self-contained page with plots.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    assumptions::Assumptions,
    report::{SimulationOutcome, SimulationReport, TABLE_ROWS},
};

const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.15rem .7rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child{text-align:left;white-space:pre}svg{max-width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:#444}.grid{stroke:#ddd}pre{white-space:pre-wrap}";

/// Colours that are distinguishable with the common colour vision deficiencies (Okabe and Ito).
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// The size of a plot's inner area, and the margins for its labels.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 20.0;

/// The minutes on the axis of the plot of first mails.
const SHOWN_MINUTES: f64 = 30.0;

/// Renders the page.
pub fn page(report: &SimulationReport, assumptions: &Assumptions) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "ispmon: simulated years" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Simulated years" }
                p { (report.title()) }
                h2 { "Results" }
                (table(report))
                h2 { "Time to the first mail" }
                p { "The part of the outages of 12 minutes or longer that was mailed within so many minutes." }
                (first_mails(&report.results))
                h2 { "False alarms in 100 years of one device" }
                (false_alarms(&report.results))
                h2 { "Assumptions" }
                pre { (format!("{assumptions:#?}")) }
            }
        }
    }
    .into_string()
}

fn table(report: &SimulationReport) -> Markup {
    html! {
        table {
            @for (name, show) in TABLE_ROWS {
                tr {
                    td { (name) }
                    @for outcome in &report.results { td { (show(outcome)) } }
                }
            }
        }
    }
}

fn label(outcome: &SimulationOutcome) -> String {
    let settings = &outcome.settings;
    format!(
        "threshold {}, evaluation {}, heartbeat {} s",
        settings.threshold, settings.evaluation_minutes, settings.interval_s
    )
}

fn colour(number: usize) -> &'static str {
    COLOURS[number % COLOURS.len()]
}

/// Plots the share of outages that were mailed by a given time, one curve per result.
fn first_mails(results: &[SimulationOutcome]) -> Markup {
    let height = TOP + HEIGHT + 40.0 + 18.0 * results.len() as f64;
    html! {
        svg viewBox=(format!("0 0 {} {height}", LEFT + WIDTH + 20.0)) width="720" role="img"
            aria-label="Part of the outages that was mailed, over minutes" {
            @for minute in (0..=6_u8).map(|step| 5.0 * f64::from(step)) {
                @let x = LEFT + WIDTH * minute / SHOWN_MINUTES;
                line .grid x1=(x) x2=(x) y1=(TOP) y2=(TOP + HEIGHT) {}
                text x=(x) y=(TOP + HEIGHT + 16.0) text-anchor="middle" { (minute) " min" }
            }
            @for percent in [0.0, 25.0, 50.0, 75.0, 100.0] {
                @let y = TOP + HEIGHT * (1.0 - percent / 100.0);
                line .grid x1=(LEFT) x2=(LEFT + WIDTH) y1=(y) y2=(y) {}
                text x=(LEFT - 6.0) y=(y + 4.0) text-anchor="end" { (percent) " %" }
            }
            @for (number, outcome) in results.iter().enumerate() {
                polyline points=(curve(&outcome.score.first_mails)) fill="none" stroke=(colour(number)) stroke-width="2" {}
                @let y = TOP + HEIGHT + 40.0 + 18.0 * number as f64;
                line x1=(LEFT) x2=(LEFT + 24.0) y1=(y) y2=(y) stroke=(colour(number)) stroke-width="3" {}
                text x=(LEFT + 32.0) y=(y + 4.0) { (label(outcome)) }
            }
        }
    }
}

/// The points of a curve through sorted seconds, one per tenth of a minute.
fn curve(sorted: &[u32]) -> String {
    let points = (0..=300_u32).map(|tenth| {
        let by_then = sorted.partition_point(|seconds| *seconds <= 6 * tenth);
        let part = by_then as f64 / sorted.len().max(1) as f64;
        let x = LEFT + WIDTH * f64::from(tenth) / 10.0 / SHOWN_MINUTES;
        format!("{x:.1},{:.1}", TOP + HEIGHT * (1.0 - part))
    });
    points.collect::<Vec<_>>().join(" ")
}

/// Plots a bar for each result.
fn false_alarms(results: &[SimulationOutcome]) -> Markup {
    let of = |outcome: &SimulationOutcome| outcome.false_alarms_in_100_years;
    let most = results.iter().map(of).fold(1.0, f64::max);
    let height = 26.0 * results.len() as f64 + 10.0;
    html! {
        svg viewBox=(format!("0 0 {} {height}", LEFT + WIDTH + 20.0)) width="720" role="img"
            aria-label="False alarms in 100 years" {
            @for (number, outcome) in results.iter().enumerate() {
                @let y = 6.0 + 26.0 * number as f64;
                text x="0" y=(y + 13.0) { (label(outcome)) }
                rect x="300" y=(y) width=(format!("{:.1}", 320.0 * of(outcome) / most)) height="18" fill=(colour(number)) {}
                text x=(format!("{:.1}", 306.0 + 320.0 * of(outcome) / most)) y=(y + 13.0) { (format!("{:.2}", of(outcome))) }
            }
        }
    }
}
