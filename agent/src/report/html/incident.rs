//! One incident in full: its times by both clocks, its segments, and the evidence.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use super::marks;
use crate::{
    clock::Stamp,
    duration::Readable,
    history::{PastIncident, PastSegment},
    outage::{Cause, Party},
    report::{ReportOptions, words},
};

pub(super) fn section(options: &ReportOptions<'_>, incident: &PastIncident) -> Markup {
    let recorded = &incident.recorded;
    let time = |at| words::exact_time(at, options.zone);
    let row = |what: &str, at, stamp: &Stamp| {
        html! { tr {
            th scope="row" { (what) }
            td.t { (time(at)) }
            td.n { (format!("{}.{:03} s", stamp.boot_ms / 1_000, stamp.boot_ms % 1_000)) }
            td.t { (time(stamp.wall)) }
        } }
    };
    html! {
        section.incident aria-labelledby="incident" {
            h2 #incident { "One incident in full" }
            p.lead {
                strong { (words::cause(recorded.cause)) } ", " (Readable(incident.time.duration()))
                @if let Some(party) = recorded.party { ". Whose part: " (words::party(party)) }
                "."
            }
            @for note in words::notes(options, incident) { p.note { (note) } }
            (bar(options, incident))
            div.scroll { table {
                thead { tr {
                    th scope="col" { "Moment" } th scope="col" { "Time, corrected" }
                    th.n scope="col" { "Since boot" } th scope="col" { "Clock as recorded" }
                } }
                tbody {
                    @if let (Some(at), Some(stamp)) = (incident.last_ok, &recorded.last_ok) { (row("Last good answer", at, stamp)) }
                    (row("First failure", incident.time.from, &recorded.started))
                    @if let Some(stamp) = &recorded.ended { (row("Good again", incident.time.to, stamp)) }
                }
            } }
            p.note {
                "The true start lies between the last good answer and the first failure. ID " code { (recorded.id) }
                ", boot " code { (recorded.started.boot) } ", record " (incident.seq) " of the chain."
            }
            h3 { "What failed when" }
            div.scroll { table {
                thead { tr { th scope="col" { "From" } th scope="col" { "To" } th.n scope="col" { "Lasted" } th scope="col" { "Scope" } th scope="col" { "Cause" } } }
                tbody { @for phase in &incident.segments {
                    tr {
                        td.t { (time(phase.time.from)) } td.t { (time(phase.time.to)) } td.n { (Readable(phase.time.duration())) }
                        td { (words::scope(phase.scope)) } td { (words::cause(phase.cause)) }
                    }
                } }
            } }
            @if !recorded.evidence.is_empty() {
                h3 { "Evidence: the probes when it opened" }
                div.scroll { table {
                    thead { tr {
                        th scope="col" { "Probed at" } th scope="col" { "How" } th scope="col" { "Target" }
                        th scope="col" { "Answer" } th.n scope="col" { "After" }
                    } }
                    tbody { @for (seen, at) in recorded.evidence.iter().zip(&incident.observed) {
                        tr {
                            td.t { (time(*at)) }
                            td { (words::probe(seen.probe)) @if let Some(family) = seen.family { ", " (family) } }
                            td { code { (seen.target) } }
                            td { (seen.answer) }
                            td.n { @if let Some(ms) = seen.ms { (ms) " ms" } @else { "–" } }
                        }
                    } }
                } }
            }
        }
    }
}

/// The incident as a bar from start to end.
fn bar(options: &ReportOptions<'_>, incident: &PastIncident) -> Markup {
    const WIDTH: f64 = 640.0;
    const HEIGHT: u32 = 28;
    let whole = incident.time.duration().as_secs_f64().max(0.001);
    let x = |at: jiff::Timestamp| {
        let share = at.duration_since(incident.time.from).as_secs_f64() / whole;
        share.clamp(0.0, 1.0) * WIDTH
    };
    let mut picture = format!(r#"<rect class="monitored" width="{WIDTH}" height="{HEIGHT}"/>"#);
    let mut rect = |class: &str, time: crate::history::Interval, (y, height): (u32, u32)| {
        let (from, to) = (x(time.from), x(time.to));
        // Writing to a String cannot fail.
        let _ = write!(
            picture,
            r#"<rect class="{class}" x="{from:.1}" y="{y}" width="{:.1}" height="{height}"/>"#,
            (to - from).max(1.0)
        );
    };
    // For merged segments, draw the original ones.
    let drawn = |phase: &&PastSegment| !matches!(phase.cause, Cause::Up | Cause::Unstable);
    for phase in incident.merged.iter().chain(&incident.segments).filter(drawn) {
        if let Some(family) = marks::family_of(phase) {
            rect("family", phase.time, marks::band_of_family(family, HEIGHT));
        } else {
            let party = phase.cause.party(incident.name_servers()).unwrap_or(Party::Provider);
            rect(phase.cause.as_str(), phase.time, marks::band_of(party, HEIGHT));
        }
    }
    for gap in options.history.unmonitored().iter().filter(|gap| gap.touches(&incident.time)) {
        rect("gap", gap.within(&incident.time), (0, HEIGHT));
    }
    html! {
        figure.bar {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img"
                aria-label="The incident from its start to its end; the table below has the same" {
                (PreEscaped(picture))
            }
            figcaption.of { span { (words::time(incident.time.from, options.zone)) } span { (words::time(incident.time.to, options.zone)) } }
        }
    }
}
