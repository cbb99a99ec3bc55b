//! A chart of loss and latency: a band from the median to the 95th percentile, and bars of loss.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use maud::{Markup, PreEscaped, html};

use crate::history::{Interval, QualityPart, QualitySummary};

const LEFT: f64 = 58.0;
const RIGHT: f64 = 640.0;
/// Top and bottom of the band, then of the bars.
const TOP: f64 = 18.0;
const FLOOR: f64 = 130.0;
const LOSS_TOP: f64 = 150.0;
const LOSS_FLOOR: f64 = 185.0;
const HEIGHT: f64 = 208.0;

/// A column of the chart; `from` and `to` are shares of its width.
struct Column<'a> {
    from: f64,
    to: f64,
    part: &'a QualityPart,
}

pub(super) fn by_time(quality: &QualitySummary, period: Interval, zone: &TimeZone) -> Markup {
    let whole = period.duration().as_secs_f64();
    let share = |at: jiff::Timestamp| {
        (at.duration_since(period.from).as_secs_f64() / whole).clamp(0.0, 1.0)
    };
    let columns: Vec<_> = quality
        .by_time
        .iter()
        .map(|(time, part)| Column { from: share(time.from), to: share(time.to), part })
        .collect();
    let label = |part: f64| {
        let at = period.from.as_second() + (whole * part) as i64;
        let format = if whole < 3.0 * 86_400.0 { "%-d %b %H:%M" } else { "%-d %b" };
        let at = jiff::Timestamp::from_second(at).unwrap_or(period.from);
        at.to_zoned_datetime(zone.clone()).strftime(format).to_string()
    };
    let labels = [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| (part, label(part)));
    figure("Over the time", "Loss and latency over the time", &columns, &labels)
}

pub(super) fn by_hour(quality: &QualitySummary) -> Markup {
    let columns: Vec<_> = quality
        .by_hour
        .iter()
        .enumerate()
        .map(|(hour, part)| {
            let from = hour as f64 / 24.0;
            Column { from, to: from + 1.0 / 24.0, part }
        })
        .collect();
    let labels = [0_u8, 6, 12, 18, 24].map(|hour| (f64::from(hour) / 24.0, format!("{hour}:00")));
    figure("By the hour of the day", "Loss and latency by the hour of the day", &columns, &labels)
}

fn figure(
    title: &str,
    description: &str,
    columns: &[Column<'_>],
    labels: &[(f64, String); 5],
) -> Markup {
    let worst = columns.iter().filter_map(|column| column.part.p95_ms).fold(0.0, f64::max);
    let (ceiling, unit) = (round_up(worst.max(1.0)), "ms");
    let most_lost = columns.iter().filter_map(|column| column.part.loss()).fold(0.0, f64::max);
    let most_lost = round_up((most_lost * 100.0).max(1.0));
    let x = |share: f64| LEFT + share * (RIGHT - LEFT);
    let y = |ms: f64| FLOOR - (ms / ceiling).min(1.0) * (FLOOR - TOP);
    let mut picture = String::new();
    // Writing to a String cannot fail.
    for part in [0.0, 0.5, 1.0] {
        let (ms, height) = (ceiling * part, y(ceiling * part));
        let _ = write!(
            picture,
            r#"<path class="grid" d="M{LEFT} {height:.1}H{RIGHT}"/><text class="v" x="{}" y="{:.1}">{ms:.0} {unit}</text>"#,
            LEFT - 6.0,
            height + 4.0
        );
    }
    let _ = write!(
        picture,
        r#"<path class="grid" d="M{LEFT} {LOSS_FLOOR}H{RIGHT}M{LEFT} {LOSS_TOP}H{RIGHT}"/><text class="v" x="{0}" y="{1}">{most_lost:.0} %</text><text class="v" x="{0}" y="{2}">0 %</text>"#,
        LEFT - 6.0,
        LOSS_TOP + 4.0,
        LOSS_FLOOR + 4.0
    );
    let (mut area, mut line, mut bars) = (String::new(), String::new(), String::new());
    for run in columns.chunk_by(|one, next| {
        (next.from - one.to).abs() < 0.001
            && one.part.p50_ms.is_some() == next.part.p50_ms.is_some()
    }) {
        let known: Vec<_> = run
            .iter()
            .filter_map(|column| Some((column, column.part.p50_ms?, column.part.p95_ms?)))
            .collect();
        for (index, (column, p50, p95)) in known.iter().enumerate() {
            let letter = if index == 0 { 'M' } else { 'L' };
            let (from, to) = (x(column.from), x(column.to));
            let _ = write!(line, "{letter}{from:.1} {0:.1}H{to:.1}", y(*p50));
            let _ = write!(area, "{letter}{from:.1} {0:.1}H{to:.1}", y(*p95));
        }
        for (column, p50, _) in known.iter().rev() {
            let _ = write!(area, "L{:.1} {:.1}H{:.1}", x(column.to), y(*p50), x(column.from));
        }
        if !known.is_empty() {
            area.push('z');
        }
    }
    for column in columns {
        let lost = column.part.loss().unwrap_or(0.0) * 100.0;
        let height = (lost / most_lost).min(1.0) * (LOSS_FLOOR - LOSS_TOP);
        if height >= 0.2 {
            let (from, to) = (x(column.from), x(column.to));
            let width = (to - from).max(0.8);
            let _ = write!(bars, "M{from:.1} {LOSS_FLOOR}v-{height:.1}h{width:.1}v{height:.1}z");
        }
    }
    let _ = write!(
        picture,
        r#"<path class="area" d="{area}"/><path class="median" d="{line}"/><path class="loss" d="{bars}"/>"#
    );
    html! {
        figure.band {
            figcaption { strong { (title) } span.of { " round trip: band from the median to the 95th percentile; below it the share of lost probes" } }
            svg viewBox=(format!("0 0 660 {HEIGHT}")) role="img" aria-label=(description) {
                (PreEscaped(picture))
                @for (share, label) in labels {
                    text.x x=(format!("{:.1}", x(*share))) y=(HEIGHT - 6.0) text-anchor=(anchor(*share)) { (label) }
                }
            }
        }
    }
}

fn anchor(share: f64) -> &'static str {
    if share < 0.01 {
        "start"
    } else if share > 0.99 {
        "end"
    } else {
        "middle"
    }
}

/// The next of 1, 2, 4, 6, 8, 10, 20, 40 …
fn round_up(value: f64) -> f64 {
    // Exact, and avoids a logarithm, which would link the math library into the agent.
    let mut magnitude = 1.0;
    while value.is_finite() && magnitude * 10.0 < value {
        magnitude *= 10.0;
    }
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
    steps.map(|step| step * magnitude).into_iter().find(|step| *step >= value).unwrap_or(value)
}
