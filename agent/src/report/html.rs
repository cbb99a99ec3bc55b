//! A self-contained HTML page without scripts or external fonts and images. Its style covers screens,
//! dark mode, phones and print, for the copy that goes to the provider.

mod band;
mod incident;
mod marks;
mod timeline;

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{ReportOptions, words};
use crate::{
    duration::Readable,
    history::{Account, DowntimeFigures, PastIncident, QualitySummary},
    outage::Party,
};

const STYLE: &str = include_str!("html/style.css");

/// The most incidents that the page lists, the longest first. The timeline, the figures and the CSV
/// include all.
const MOST_LISTED: usize = 200;
/// The most gaps that the page lists, the longest first.
const MOST_GAPS: usize = 60;

/// Writes the page.
///
/// # Errors
/// The output cannot be written.
pub fn page(options: &ReportOptions<'_>, output: &mut impl Write) -> io::Result<()> {
    output.write_all(render(options).into_string().as_bytes())?;
    output.flush()
}

fn render(options: &ReportOptions<'_>) -> Markup {
    let title = format!("Internet connection of {}", options.device());
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (marks::definitions())
                header {
                    h1 { (title) }
                    (about(options))
                }
                main {
                    @if options.covered_period().is_empty() { (nothing(options)) } @else { (content(options)) }
                }
                footer { (verification(options)) }
            }
        }
    }
}

fn about(options: &ReportOptions<'_>) -> Markup {
    let reached = options.covered_period();
    let time = |at| words::time(at, options.zone);
    html! {
        @if !reached.is_empty() {
            p.period { (time(reached.from)) " to " (time(reached.to)) }
        }
        p.made {
            "Made " (time(options.now)) " by ispmon-agent " (env!("CARGO_PKG_VERSION"))
            @if let Some(name) = options.zone.iana_name() { ". Times are those of " (name) ", with their offset from UTC" }
            "."
        }
        @if let Some(damage) = options.damage {
            p.warning role="note" { strong { "The journal is damaged: " } (damage) ". What follows is what can still be read." }
        }
        @for sentence in options.history.unknown.sentences() {
            p.warning role="note" { (sentence) }
        }
    }
}

fn nothing(options: &ReportOptions<'_>) -> Markup {
    html! {
        p.lead {
            @if options.history.span.is_none() {
                "The journal is empty. It begins when the agent is started."
            } @else {
                "The journal has no records of that period."
            }
        }
    }
}

fn content(options: &ReportOptions<'_>) -> Markup {
    let account = Account::of(options.history, options.period);
    html! {
        (summary(&account))
        @if let Some(one) = options.incident { (incident::section(options, one)) }
        (timeline::section(options))
        (months(options))
        (quality(options))
        (list(options))
        (gaps(options))
    }
}

fn summary(account: &Account) -> Markup {
    let provider = &account.provider;
    html! {
        section aria-labelledby="summary" {
            h2 #summary { "Availability" }
            @if account.observed.is_zero() { p.lead { "Nothing was monitored in this time." } } @else { p.lead {
                "The internet provider’s part was available for "
                strong { (words::share(account.availability(provider))) }
                " of the " (Readable(account.observed)) " that were monitored"
                @if provider.count == 0 { ", without an outage." } @else {
                    ", with " (words::count(provider.count, "outage", "outages")) " of "
                    (Readable(provider.downtime)) " in all."
                }
            } }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "Whose part failed" }
                    th.n scope="col" { "Available" }
                    th.n scope="col" { "Outages" }
                    th.n scope="col" { "Downtime" }
                    th.n scope="col" { "Longest" }
                    th.n scope="col" { "Mean time to repair" }
                } }
                tbody {
                    @for party in Account::PARTIES {
                        (figures_row(words::party(party), account, account.party(party), party == Party::Provider))
                    }
                }
                tbody.sum {
                    (figures_row("All together", account, &account.total, false))
                }
                @if account.ipv4.count + account.ipv6.count > 0 {
                    tbody.apart {
                        @if account.ipv4.count > 0 { (figures_row("IPv4 only, IPv6 worked", account, &account.ipv4, false)) }
                        @if account.ipv6.count > 0 { (figures_row("IPv6 only, IPv4 worked", account, &account.ipv6, false)) }
                    }
                }
            } }
            p.note {
                strong { "Monitored: " (words::share(account.coverage())) }
                " of " (Readable(account.period.duration())) ". Availability is the share of the monitored time without "
                "downtime, cut off and never rounded up. Unmonitored times count neither as up nor as down. "
                "An outage counts for the part that failed longest in it; each failure of an unstable connection counts separately."
                @if account.ipv4.count + account.ipv6.count > 0 {
                    " Times in which one address family alone was down are not in the sum: the other one worked."
                }
                @if account.unaccounted.degraded > 0 {
                    " The connection was degraded (loss or slowness) " (words::count(account.unaccounted.degraded, "time", "times")) ", which is no downtime."
                }
                @if account.unaccounted.heartbeat > 0 {
                    " Heartbeats failed " (words::count(account.unaccounted.heartbeat, "time", "times")) " although the internet worked, which is no downtime either."
                }
            }
        }
    }
}

fn figures_row(name: &str, account: &Account, figures: &DowntimeFigures, first: bool) -> Markup {
    html! {
        tr class=[first.then_some("first")] {
            th scope="row" { (name) }
            td.n { (words::share(account.availability(figures))) }
            td.n { (figures.count) }
            td.n { (words::duration(Some(figures.downtime))) }
            td.n { (words::duration(Some(figures.longest))) }
            td.n { (words::duration(figures.mean_time_to_repair())) }
        }
    }
}

fn months(options: &ReportOptions<'_>) -> Markup {
    let months = options.months();
    html! {
        @if months.len() > 1 {
            section aria-labelledby="months" {
                h2 #months { "By month" }
                div.scroll { table {
                    thead { tr {
                        th scope="col" { "Month" }
                        th.n scope="col" { "Provider available" }
                        th.n scope="col" { "Provider’s downtime" }
                        th.n scope="col" { "All available" }
                        th.n scope="col" { "Outages" }
                        th.n scope="col" { "Downtime" }
                        th.n scope="col" { "Longest" }
                        th.n scope="col" { "Monitored" }
                    } }
                    tbody { @for (month, account) in &months {
                        tr {
                            th scope="row" { (month.date.strftime("%B %Y").to_string()) }
                            td.n { (words::share(account.availability(&account.provider))) }
                            td.n { (words::duration(Some(account.provider.downtime))) }
                            td.n { (words::share(account.availability(&account.total))) }
                            td.n { (account.total.count) }
                            td.n { (words::duration(Some(account.total.downtime))) }
                            td.n { (words::duration(Some(account.total.longest))) }
                            td.n { (words::share(account.coverage())) }
                        }
                    } }
                } }
                p.note { "An outage across the end of a month counts in both, each with its part." }
            }
        }
    }
}

fn quality(options: &ReportOptions<'_>) -> Markup {
    let reached = options.covered_period();
    let quality = QualitySummary::of(options.history, reached, options.zone);
    html! {
        @if let Some(loss) = quality.whole.loss() {
            section aria-labelledby="quality" {
                h2 #quality { "Loss and latency" }
                p {
                    "Of " (quality.whole.probes) " scheduled probes " (quality.whole.lost) " were not answered within a second ("
                    (percent(loss)) ")."
                    @if let (Some(p50), Some(p95)) = (quality.whole.p50_ms, quality.whole.p95_ms) {
                        " In the median hour the round trip took " (milliseconds(p50)) " in the middle and "
                        (milliseconds(p95)) " at the 95th percentile."
                    }
                }
                (band::by_time(&quality, reached, options.zone))
                (band::by_hour(&quality))
                details {
                    summary { "The figures by hour of the day" }
                    div.scroll { table {
                        thead { tr {
                            th scope="col" { "Hour" } th.n scope="col" { "Probes" } th.n scope="col" { "Loss" }
                            th.n scope="col" { "Median" } th.n scope="col" { "95th percentile" }
                        } }
                        tbody { @for (hour, part) in quality.by_hour.iter().enumerate() {
                            tr {
                                th scope="row" { (format!("{hour:02}:00")) }
                                td.n { (part.probes) }
                                td.n { (part.loss().map_or_else(|| "–".to_owned(), percent)) }
                                td.n { (part.p50_ms.map_or_else(|| "–".to_owned(), milliseconds)) }
                                td.n { (part.p95_ms.map_or_else(|| "–".to_owned(), milliseconds)) }
                            }
                        } }
                    } }
                }
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn milliseconds(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

fn list(options: &ReportOptions<'_>) -> Markup {
    let mut listed: Vec<&PastIncident> = options.history.incidents_in(options.period).collect();
    let all = listed.len();
    if all > MOST_LISTED {
        listed.sort_by_key(|incident| {
            let open = incident.is_open();
            let longest = options.history.downtime(incident);
            std::cmp::Reverse((open, longest, incident.time.duration()))
        });
        listed.truncate(MOST_LISTED);
        listed.sort_by_key(|incident| incident.time.from);
    }
    html! {
        section aria-labelledby="list" {
            h2 #list { "Incidents" }
            @if all == 0 { p { "There was none." } } @else {
                @if all > MOST_LISTED {
                    p.note {
                        "These are the " (MOST_LISTED) " longest of " (all) "; the other " (all - MOST_LISTED)
                        " are in the timeline and in the figures above, and " code { "ispmon-agent outages --csv" } " lists them all."
                    }
                }
                div.scroll { table.list {
                    thead { tr {
                        th scope="col" { "Started" } th.n scope="col" { "Lasted" }
                        th scope="col" { "Cause" } th scope="col" { "Whose part" } th scope="col" { "Notes" }
                    } }
                    tbody { @for incident in &listed { (list_row(options, incident)) } }
                } }
                p.note { code { "ispmon-agent report --html --incident ID" } " shows one of them in full; "
                    code { "ispmon-agent outages" } " lists their IDs." }
            }
        }
    }
}

fn list_row(options: &ReportOptions<'_>, incident: &PastIncident) -> Markup {
    html! {
        tr {
            td.t { (words::time(incident.time.from, options.zone)) }
            td.n { (Readable(incident.time.duration())) }
            td { (words::short_cause(incident.recorded.cause)) }
            td { (incident.recorded.party.map_or("–", words::party)) }
            td { (words::notes(options, incident).join(", ")) }
        }
    }
}

fn gaps(options: &ReportOptions<'_>) -> Markup {
    let mut gaps: Vec<_> = options.history.gaps_in(options.period).collect();
    let all = gaps.len();
    if all > MOST_GAPS {
        gaps.sort_by_key(|gap| std::cmp::Reverse((gap.is_open, gap.time.duration())));
        gaps.truncate(MOST_GAPS);
        gaps.sort_by_key(|gap| gap.time.from);
    }
    html! {
        @if all > 0 {
            section aria-labelledby="gaps" {
                h2 #gaps { "Unmonitored periods" }
                @if all > MOST_GAPS {
                    p.note { "These are the " (MOST_GAPS) " longest of " (all) "; "
                        code { "ispmon-agent outages --all --csv" } " lists them all." }
                }
                div.scroll { table.list {
                    thead { tr { th scope="col" { "From" } th.n scope="col" { "Lasted" } th scope="col" { "Why" } } }
                    tbody { @for gap in &gaps {
                        tr {
                            td.t { (words::time(gap.time.from, options.zone)) }
                            td.n { (Readable(gap.time.duration())) }
                            td { (words::gap(gap.cause)) @for note in words::gap_notes(gap) { ", " (note) } }
                        }
                    } }
                } }
            }
        }
    }
}

fn verification(options: &ReportOptions<'_>) -> Markup {
    html! {
        section aria-labelledby="verify" {
            h2 #verify { "How to verify this" }
            @if let Some(head) = options.head {
                p {
                    "This page was made from " (options.history.records) " records. Each of them holds the SHA-256 hash of the line before it, so none "
                    "can be changed, left out or put in later without breaking the chain. The chain ends with record "
                    strong { (head.seq) } ", whose line has the hash"
                }
                p.hash { code { (head.head) } }
                p {
                    "On the device, " code { "ispmon-agent journal verify" } " recomputes the chain. Any other program can do it too: "
                    "every line of the files " code { "journal*.ndjson" } " in " code { (options.folder.display()) }
                    ", its line feed not included, has the SHA-256 hash that the next line gives as " code { "prev" }
                    "; the first record of a chain has 64 zeros there, and where old files were deleted to make room, the first line that is left has the hash of one that is gone. Heartbeats carry the hash of that moment to the cloud, whose clock is not the device’s: "
                    "a record that was stamped there cannot have been rewritten later."
                }
            } @else { p { "There is no record yet that could be verified." } }
            p {
                "How outages are found: every few seconds the device connects to one of several servers of different organisations. "
                "When one does not answer, all are probed at once, and an outage begins only after two rounds in which none answered. "
                "The router, the name servers and the device’s own connection are checked too, which shows whose part failed. "
                "Durations are measured by a clock that cannot be set."
            }
        }
    }
}
