//! Comma-separated values (RFC 4180) for spreadsheets.
//!
//! Spreadsheets evaluate a cell that begins like a formula, and a device name or a server's response
//! may do so. Such texts get a leading apostrophe, as OWASP recommends ("CSV Injection").

use std::io::{self, Write};

use super::{ReportOptions, words};
use crate::{
    history::{Account, DowntimeFigures},
    outage::Party,
};

/// Writes one row for each incident, and for each gap if the options include gaps, by start.
///
/// # Errors
/// The output cannot be written.
pub fn incidents(options: &ReportOptions<'_>, output: &mut impl Write) -> io::Result<()> {
    row(
        output,
        &[
            "kind",
            "id",
            "started",
            "ended",
            "duration_s",
            "downtime_s",
            "ipv4_only_s",
            "ipv6_only_s",
            "cause",
            "party",
            "scope",
            "failures",
            "notes",
        ],
    )?;
    let mut rows = Vec::new();
    for incident in options.history.incidents_in(options.period) {
        let recorded = &incident.recorded;
        let alone = options.history.family_downtime(incident);
        let ended = (!incident.is_open()).then_some(incident.time.to);
        rows.push((
            incident.time.from,
            vec![
                "incident".to_owned(),
                recorded.id.to_string(),
                words::exact_time(incident.time.from, options.zone),
                ended.map_or_else(String::new, |ended| words::exact_time(ended, options.zone)),
                seconds(incident.time.duration()),
                seconds(options.history.downtime(incident)),
                seconds(alone.ipv4),
                seconds(alone.ipv6),
                recorded.cause.as_str().to_owned(),
                recorded.party.map_or("", Party::as_str).to_owned(),
                recorded.scope.as_str().to_owned(),
                recorded.failures.to_string(),
                words::notes(options, incident).join("; "),
            ],
        ));
    }
    for gap in options.history.gaps_in(options.period).filter(|_| options.gaps) {
        rows.push((
            gap.time.from,
            vec![
                "gap".to_owned(),
                gap.id.map_or_else(String::new, |id| id.to_string()),
                words::exact_time(gap.time.from, options.zone),
                if gap.is_open {
                    String::new()
                } else {
                    words::exact_time(gap.time.to, options.zone)
                },
                seconds(gap.time.duration()),
                String::new(),
                String::new(),
                String::new(),
                gap.cause.map_or_else(String::new, |cause| cause.as_str().to_owned()),
                String::new(),
                String::new(),
                String::new(),
                words::gap_notes(gap).join("; "),
            ],
        ));
    }
    rows.sort_by_key(|(from, _)| *from);
    for (_, fields) in rows {
        row(output, &fields)?;
    }
    output.flush()
}

/// Writes one row for each party, for the whole period and for each month.
///
/// # Errors
/// The output cannot be written.
pub fn report(options: &ReportOptions<'_>, output: &mut impl Write) -> io::Result<()> {
    row(
        output,
        &[
            "month",
            "party",
            "availability_percent",
            "observed_s",
            "coverage_percent",
            "downtime_s",
            "count",
            "longest_s",
            "mean_time_to_repair_s",
        ],
    )?;
    rows(output, "all", &Account::of(options.history, options.period))?;
    for (month, account) in options.months() {
        rows(output, &month.date.strftime("%Y-%m").to_string(), &account)?;
    }
    output.flush()
}

fn rows(output: &mut impl Write, month: &str, account: &Account) -> io::Result<()> {
    let percent = |ratio: Option<crate::history::Ratio>| {
        ratio.map_or_else(String::new, |ratio| ratio.to_string().replace(" %", ""))
    };
    let parties = Account::PARTIES.map(|party| (party.as_str(), *account.party(party)));
    let rest = [("all", account.total), ("ipv4_only", account.ipv4), ("ipv6_only", account.ipv6)];
    for (name, figures) in parties.into_iter().chain(rest) {
        let DowntimeFigures { downtime, count, longest, .. } = figures;
        row(
            output,
            &[
                month.to_owned(),
                name.to_owned(),
                percent(account.availability(&figures)),
                seconds(account.observed),
                percent(account.coverage()),
                seconds(downtime),
                count.to_string(),
                seconds(longest),
                figures.mean_time_to_repair().map_or_else(String::new, seconds),
            ],
        )?;
    }
    Ok(())
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{}.{:03}", duration.as_secs(), duration.subsec_millis())
}

fn row(output: &mut impl Write, fields: &[impl AsRef<str>]) -> io::Result<()> {
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            output.write_all(b",")?;
        }
        output.write_all(cell(field.as_ref()).as_bytes())?;
    }
    output.write_all(b"\r\n")
}

fn cell(text: &str) -> String {
    let harmless = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if harmless.contains(['"', ',', '\n', '\r', ';']) {
        format!("\"{}\"", harmless.replace('"', "\"\""))
    } else {
        harmless
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_breaks_its_row() {
        for (text, written) in [
            ("provider", "provider"),
            ("", ""),
            ("=HYPERLINK(\"http://a.example\")", "\"'=HYPERLINK(\"\"http://a.example\"\")\""),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("a, b", "\"a, b\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(cell(text), written);
        }
    }
}
