//! The history as plain text for a terminal or a mail.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::{ReportOptions, words};
use crate::{
    duration::Readable,
    history::{Account, DowntimeFigures, PastIncident, QualitySummary},
    outage::{Observation, Party},
    printable::printable,
    probe::Family,
};

/// Writes the table of incidents, oldest first, with gaps if the options include them.
///
/// # Errors
/// The output cannot be written.
pub fn incidents(options: &ReportOptions<'_>, output: &mut impl Write) -> io::Result<()> {
    let mut rows = Vec::new();
    for incident in options.history.incidents_in(options.period) {
        let recorded = &incident.recorded;
        let whose = recorded.party.map_or("–", Party::as_str);
        let what = with_notes(&words::cause(recorded.cause), &words::notes(options, incident));
        rows.push((
            incident.time.from,
            [
                words::time(incident.time.from, options.zone),
                Readable(incident.time.duration()).to_string(),
                whose.to_owned(),
                short_id(&recorded.id.to_string()),
                what,
            ],
        ));
    }
    for gap in options.history.gaps_in(options.period).filter(|_| options.gaps) {
        let what = format!("Not monitored: {}", words::gap(gap.cause));
        rows.push((
            gap.time.from,
            [
                words::time(gap.time.from, options.zone),
                Readable(gap.time.duration()).to_string(),
                "–".to_owned(),
                gap.id.map_or_else(|| "–".to_owned(), |id| short_id(&id.to_string())),
                with_notes(&what, &words::gap_notes(gap)),
            ],
        ));
    }
    rows.sort_by_key(|(from, _)| *from);
    if rows.is_empty() {
        writeln!(output, "{}", no_incidents(options))?;
    } else {
        table(
            output,
            &["STARTED", "LASTED", "WHOSE", "ID", "CAUSE"],
            rows.into_iter().map(|(_, row)| row),
        )?;
        writeln!(output)?;
    }
    if options.history.span.is_some() {
        let account = Account::of(options.history, options.period);
        let total = &account.total;
        let down = match total.count {
            0 if account.observed.is_zero() => "Not monitored".to_owned(),
            0 => "The internet was never down".to_owned(),
            count => format!(
                "The internet was down {}, {} in all",
                words::count(count, "time", "times"),
                Readable(total.downtime)
            ),
        };
        let families = words::families(&account);
        let apart = if families.is_empty() { families } else { format!("; {families}") };
        writeln!(
            output,
            "{down}{apart}. Monitored: {} of {}.",
            words::share(account.coverage()),
            Readable(account.period.duration()),
        )?;
    }
    write_footer(options, output)
}

/// The journal's folder, and what is wrong with the journal.
fn write_footer(options: &ReportOptions<'_>, output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "Journal: {}", options.folder.display())?;
    damage(options, output)?;
    output.flush()
}

fn no_incidents(options: &ReportOptions<'_>) -> String {
    match options.history.span {
        None => "The journal is empty: the agent has not written anything yet. It begins when the \
                 agent is started; look again after the first outage."
            .to_owned(),
        Some(_) if options.covered_period().is_empty() => {
            "The journal has no records of that period.".to_owned()
        }
        Some(span) => {
            format!("No outages. The journal begins on {}.", words::time(span.from, options.zone))
        }
    }
}

fn damage(options: &ReportOptions<'_>, output: &mut impl Write) -> io::Result<()> {
    if let Some(damage) = options.damage {
        writeln!(
            output,
            "Caution, the journal is damaged: {damage}. `ispmon-agent journal verify` shows details."
        )?;
    }
    for sentence in options.history.unknown.sentences() {
        writeln!(output, "Caution: {sentence}")?;
    }
    Ok(())
}

/// Writes the whole report.
///
/// # Errors
/// The output cannot be written.
pub fn report(options: &ReportOptions<'_>, output: &mut impl Write) -> io::Result<()> {
    if options.history.span.is_none() || options.covered_period().is_empty() {
        writeln!(output, "{}", no_incidents(options))?;
        return write_footer(options, output);
    }
    let account = Account::of(options.history, options.period);
    let time = |at| words::time(at, options.zone);
    writeln!(output, "Internet connection of {}", options.device())?;
    writeln!(output, "{} to {}", time(account.period.from), time(account.period.to))?;
    writeln!(
        output,
        "Monitored for {}, {} of the time; availability is over the monitored time.\n",
        Readable(account.observed),
        words::share(account.coverage()),
    )?;
    figures(&account, output)?;
    let months = options.months();
    if months.len() > 1 {
        writeln!(output, "\nBy month")?;
        let rows = months.iter().map(|(month, account)| {
            [
                month.date.strftime("%Y-%m").to_string(),
                words::share(account.availability(&account.provider)),
                words::share(account.availability(&account.total)),
                account.total.count.to_string(),
                words::duration(Some(account.total.downtime)),
                words::share(account.coverage()),
            ]
        });
        table(output, &["MONTH", "PROVIDER", "ALL", "OUTAGES", "DOWNTIME", "MONITORED"], rows)?;
    }
    quality(options, output)?;
    if let Some(incident) = options.incident {
        writeln!(output)?;
        one_incident(options, incident, output)?;
    }
    writeln!(output)?;
    if let Some(head) = options.head {
        writeln!(
            output,
            "Record {} of the chain has the hash {}.\n`ispmon-agent journal verify` proves that nothing before it was changed.",
            head.seq, head.head
        )?;
    }
    write_footer(options, output)
}

fn figures(account: &Account, output: &mut impl Write) -> io::Result<()> {
    let row = |name: &str, figures: &DowntimeFigures| {
        [
            name.to_owned(),
            words::share(account.availability(figures)),
            figures.count.to_string(),
            words::duration(Some(figures.downtime)),
            words::duration(Some(figures.longest)),
            words::duration(figures.mean_time_to_repair()),
        ]
    };
    let mut rows: Vec<_> = Account::PARTIES
        .iter()
        .map(|party| row(words::party(*party), account.party(*party)))
        .collect();
    rows.push(row("All", &account.total));
    for family in Family::BOTH {
        if account.family(family).count > 0 {
            rows.push(row(&format!("{family} only"), account.family(family)));
        }
    }
    table(
        output,
        &["WHOSE PART", "AVAILABLE", "OUTAGES", "DOWNTIME", "LONGEST", "MEAN REPAIR"],
        rows.into_iter(),
    )?;
    let unaccounted = account.unaccounted;
    if account.ipv4.count + account.ipv6.count > 0 {
        writeln!(output, "IPv4 only and IPv6 only are not in the sum: the other family worked.")?;
    }
    if unaccounted.degraded + unaccounted.heartbeat > 0 {
        writeln!(
            output,
            "No downtime: {} of a degraded connection, {} without heartbeats although the internet worked.",
            words::count(unaccounted.degraded, "time", "times"),
            words::count(unaccounted.heartbeat, "time", "times"),
        )?;
    }
    Ok(())
}

fn quality(options: &ReportOptions<'_>, output: &mut impl Write) -> io::Result<()> {
    let quality = QualitySummary::of(options.history, options.covered_period(), options.zone);
    let Some(loss) = quality.whole.loss() else { return Ok(()) };
    let mut line = format!("\nLoss {:.2} %", loss * 100.0);
    if let (Some(p50), Some(p95)) = (quality.whole.p50_ms, quality.whole.p95_ms) {
        // Writing to a String cannot fail.
        let _ = write!(
            line,
            ", round trip {p50:.0} ms (median hour), {p95:.0} ms (its 95th percentile)"
        );
    }
    writeln!(output, "{line}.")
}

/// One incident in full.
fn one_incident(
    options: &ReportOptions<'_>,
    incident: &PastIncident,
    output: &mut impl Write,
) -> io::Result<()> {
    let recorded = &incident.recorded;
    let time = |at| words::time(at, options.zone);
    writeln!(output, "Incident {}", recorded.id)?;
    writeln!(
        output,
        "{}",
        with_notes(&words::cause(recorded.cause), &words::notes(options, incident))
    )?;
    let mut rows = Vec::new();
    let clocks = |what: &str, at, stamp: &crate::clock::Stamp| {
        [what.to_owned(), time(at), boot_time(stamp), time(stamp.wall)]
    };
    if let (Some(at), Some(stamp)) = (incident.last_ok, &recorded.last_ok) {
        rows.push(clocks("last good answer", at, stamp));
    }
    rows.push(clocks("first failure", incident.time.from, &recorded.started));
    if let Some(stamp) = &recorded.ended {
        rows.push(clocks("good again", incident.time.to, stamp));
    }
    writeln!(output)?;
    table(output, &["MOMENT", "TIME", "SINCE BOOT", "CLOCK AS RECORDED"], rows.into_iter())?;
    writeln!(output, "Boot {}, record {}", recorded.started.boot, incident.seq)?;
    writeln!(output)?;
    let rows = incident.segments.iter().map(|phase| {
        [
            time(phase.time.from),
            time(phase.time.to),
            Readable(phase.time.duration()).to_string(),
            words::scope(phase.scope).to_owned(),
            words::cause(phase.cause),
        ]
    });
    table(output, &["FROM", "TO", "LASTED", "SCOPE", "CAUSE"], rows)?;
    if !recorded.evidence.is_empty() {
        writeln!(output)?;
        let rows = recorded.evidence.iter().zip(&incident.observed).map(|(seen, at)| {
            [
                time(*at),
                words::probe(seen.probe).to_owned(),
                printable(&seen.target).into_owned(),
                printable(&seen.answer).into_owned(),
                milliseconds(seen),
            ]
        });
        table(output, &["PROBED AT", "HOW", "TARGET", "ANSWER", "AFTER"], rows)?;
    }
    Ok(())
}

fn milliseconds(seen: &Observation) -> String {
    seen.ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms"))
}

/// Time since boot, such as `3 d 4:05:06.250`.
fn boot_time(stamp: &crate::clock::Stamp) -> String {
    let (seconds, ms) = (stamp.boot_ms / 1_000, stamp.boot_ms % 1_000);
    let days = seconds / 86_400;
    format!(
        "{days} d {}:{:02}:{:02}.{ms:03}",
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The first 13 characters of an id, enough to identify it: it begins with the time in milliseconds.
fn short_id(id: &str) -> String {
    id.chars().take(13).collect()
}

fn with_notes(text: &str, notes: &[String]) -> String {
    if notes.is_empty() { text.to_owned() } else { format!("{text} ({})", notes.join(", ")) }
}

/// Writes columns as wide as their widest cell; the last one is not padded.
fn table<const N: usize>(
    output: &mut impl Write,
    head: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> io::Result<()> {
    let rows: Vec<[String; N]> = rows.collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{cell:width$}  ");
        }
        writeln!(output, "{}", text.trim_end())
    };
    line(&mut head.iter().copied())?;
    for row in &rows {
        line(&mut row.iter().map(String::as_str))?;
    }
    Ok(())
}
