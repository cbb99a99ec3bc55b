//! The timeline: a chart for each month with a row for each day and the hours across.
//!
//! The page must stay small for a year with thousands of incidents: all marks of one kind are one path,
//! and a mark takes about fifteen characters of it. One unit is three minutes; a shorter mark than two
//! units is drawn two units long, so that every outage is visible.

use std::fmt::Write as _;

use jiff::civil::Date;
use maud::{Markup, PreEscaped, html};

use super::marks;
use crate::{
    history::{Account, CalendarPart, Interval, days},
    outage::{Cause, Party, Scope},
    probe::PerFamily,
    report::{ReportOptions, words},
};

/// The left margin, with the day numbers.
const LEFT: u32 = 24;
/// The top margin, with the hours.
const TOP: u32 = 15;
/// Distance between rows, then the drawn height of a row.
const PITCH: u32 = 10;
const HEIGHT: u32 = 7;
/// Milliseconds per unit.
const UNIT_MS: i64 = 3 * 60 * 1_000;
/// The shortest mark, in units.
const SHORTEST: i64 = 2;
/// Wide enough for the longest day, of 25 hours.
const WIDTH: u32 = LEFT + 25 * 20;

pub(super) fn section(options: &ReportOptions<'_>) -> Markup {
    let all = options.months();
    let reached = options.covered_period();
    let mut incidents = options.history.incidents_in(reached);
    let degraded = incidents.any(|it| it.recorded.cause == Cause::Degraded);
    let account = Account::of(options.history, reached);
    let families = PerFamily::from_fn(|family| account.family(family).count > 0);
    html! {
        section aria-labelledby="timeline" {
            h2 #timeline { "Timeline" }
            p.note {
                "A row is a day, from midnight to midnight. What failed at the provider’s fills the row, own equipment lies in its lower part, others’ in its upper part. "
                "A thin line is a time in which one address family alone was down. Short ones are drawn six minutes long, so that they can be seen."
            }
            (marks::legend(degraded, families))
            div.months.one[all.len() == 1] {
                @for (month, account) in &all { (picture(options, month, account)) }
            }
        }
    }
}

fn picture(options: &ReportOptions<'_>, month: &CalendarPart, account: &Account) -> Markup {
    let name = month.date.strftime("%B %Y").to_string();
    let days = days(account.period, options.zone);
    let rows: Vec<Date> = days.iter().map(|day| day.date).collect();
    let height = TOP + PITCH * rows.len() as u32;
    let total = &account.total;
    let description = format!(
        "{name}: {}, {} down, {} monitored",
        words::count(total.count, "outage", "outages"),
        words::duration(Some(total.downtime)),
        words::share(account.coverage()),
    );
    let changes: Vec<String> = days
        .iter()
        .filter(|day| day.time.duration().as_secs() != 86_400)
        .map(|day| {
            let hours = day.time.duration().as_secs_f64() / 3_600.0;
            format!("{} has {hours} hours: the clocks change.", day.date.strftime("%-d %B"))
        })
        .collect();
    html! {
        figure.month {
            figcaption {
                strong { (name) } " "
                span.of { (words::share(account.availability(total))) " available, "
                    (words::count(total.count, "outage", "outages")) ", " (words::duration(Some(total.downtime))) " down" }
            }
            svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(description) {
                (PreEscaped(axes(&rows, height)))
                (PreEscaped(marks_of(options, &days, account.period)))
            }
            @for change in &changes { p.note { (change) } }
        }
    }
}

/// The hours at the top, and some day numbers at the left.
fn axes(rows: &[Date], height: u32) -> String {
    let mut text = String::new();
    for hour in [0_u32, 6, 12, 18, 24] {
        let x = LEFT + hour * 20;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            r#"<text x="{x}" y="10" class="h">{hour}</text><path class="tick" d="M{x} {}V{height}"/>"#,
            TOP - 3
        );
    }
    for (row, date) in rows.iter().enumerate() {
        if rows.len() < 8 || date.day() == 1 || date.day() % 5 == 0 && date.day() < 31 {
            let y = TOP + PITCH * row as u32 + HEIGHT;
            let _ =
                write!(text, r#"<text x="{}" y="{y}" class="day">{}</text>"#, LEFT - 5, date.day());
        }
    }
    text
}

/// Builds the paths of one chart.
struct SvgPaths<'a> {
    days: &'a [CalendarPart],
    period: Interval,
}

impl SvgPaths<'_> {
    /// Adds a period to a path, in each row that it touches; `shortest` is in units.
    fn add(&self, path: &mut String, time: Interval, (y, height): (u32, u32), shortest: i64) {
        let time = time.within(&self.period);
        if time.is_empty() {
            return;
        }
        let first = self.days.partition_point(|day| day.time.to <= time.from);
        for (row, day) in self.days.iter().enumerate().skip(first) {
            if day.time.from >= time.to {
                break;
            }
            let part = time.within(&day.time);
            let unit = |at: jiff::Timestamp| {
                (at.as_millisecond() - day.time.from.as_millisecond()).div_euclid(UNIT_MS)
            };
            let last = unit(day.time.to);
            let width = (unit(part.to) - unit(part.from)).max(shortest).min(last);
            let x = unit(part.from).min(last - width) + i64::from(LEFT);
            let y = TOP + PITCH * row as u32 + y;
            // Writing to a String cannot fail.
            let _ = write!(path, "M{x} {y}h{width}v{height}h-{width}z");
        }
    }
}

fn marks_of(options: &ReportOptions<'_>, days: &[CalendarPart], period: Interval) -> String {
    let paths = SvgPaths { days, period };
    let whole = (0, HEIGHT);
    let mut text = String::new();
    let mut draw = |class: &str, path: &str| {
        if !path.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(text, r#"<path class="{class}" d="{path}"/>"#);
        }
    };
    let mut monitored = String::new();
    paths.add(&mut monitored, period, whole, 1);
    draw("monitored", &monitored);
    let mut degraded = String::new();
    let mut family = String::new();
    let mut down: Vec<(Cause, Party, String)> = Vec::new();
    for incident in options.history.incidents_in(period) {
        let recorded = &incident.recorded;
        if recorded.cause == Cause::Degraded {
            paths.add(&mut degraded, incident.time, whole, SHORTEST);
            continue;
        }
        if !incident.is_outage() {
            continue;
        }
        for phase in incident.merged.iter().chain(&incident.segments) {
            let monitored = phase.time.without(options.history.unmonitored());
            if let Some(one) = marks::family_of(phase) {
                let band = marks::band_of_family(one, HEIGHT);
                for time in monitored {
                    paths.add(&mut family, time, band, SHORTEST);
                }
                continue;
            }
            if !phase.is_down(Scope::Internet) {
                continue;
            }
            let cause = phase.cause;
            let party = cause.party(incident.name_servers()).unwrap_or(Party::Other);
            let index = down.iter().position(|it| (it.0, it.1) == (cause, party));
            let index = index.unwrap_or_else(|| {
                down.push((cause, party, String::new()));
                down.len() - 1
            });
            let band = marks::band_of(party, HEIGHT);
            for time in monitored {
                paths.add(&mut down[index].2, time, band, SHORTEST);
            }
        }
    }
    draw("degraded", &degraded);
    let mut gaps = String::new();
    for gap in options.history.unmonitored() {
        paths.add(&mut gaps, *gap, whole, 1);
    }
    draw("gap", &gaps);
    draw("family", &family);
    // The provider's marks fill the row, so they are drawn first.
    down.sort_by_key(|(cause, party, _)| (*party != Party::Provider, *cause));
    for (cause, _, path) in &down {
        draw(cause.as_str(), path);
    }
    text
}
