//! Parses and prints durations in settings.

use std::time::Duration;

use jiff::{
    SpanRelativeTo,
    fmt::friendly::{SpanParser, SpanPrinter},
};

/// Parses `60s`, `30 min`, `1h 30m`, `1d` (24 hours), `1w` (7 days), or a plain number of seconds such as `60` and `1.5`.
///
/// `None` for any other text, and for a value that does not fit into a [`Duration`].
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    if is_plain_number(text) {
        return Duration::try_from_secs_f64(text.parse().ok()?).ok();
    }
    let span = SpanParser::new().parse_span(text).ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok()
}

/// Prints a duration in its shortest form that [`parse`] accepts: `1min`, `1h 30min`.
pub(crate) fn show(duration: Duration) -> String {
    let text = SpanPrinter::new().unsigned_duration_to_string(&duration);
    // The printer's "m" could be read as metres or months.
    let units = text.split(' ').map(|part| match part.strip_suffix('m') {
        Some(minutes) => format!("{minutes}min"),
        None => part.to_owned(),
    });
    units.collect::<Vec<_>>().join(" ")
}

/// Whether a text is a number without sign and exponent, which means seconds.
pub(super) fn is_plain_number(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn common_spellings_are_parsed() {
        for (text, seconds) in [
            ("60", 60.0),
            ("60s", 60.0),
            (" 60 s ", 60.0),
            ("60 sec", 60.0),
            ("60 seconds", 60.0),
            ("1.5", 1.5),
            ("100ms", 0.1),
            ("30min", 1800.0),
            ("30 min", 1800.0),
            ("30m", 1800.0),
            ("12 h", 43200.0),
            ("12 hours", 43200.0),
            ("1d", 86400.0),
            ("1w", 604_800.0),
            ("2 days 1h", 176_400.0),
            ("1h30m", 5400.0),
            ("1 h 30 min", 5400.0),
            ("0", 0.0),
            ("0s", 0.0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs_f64(seconds)), "{text:?}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            " ",
            "soon",
            "-5",
            "-5s",
            "5s ago",
            "1e3",
            "inf",
            "nan",
            "60 parsecs",
            "1 month",
            "1.2.3",
            ".",
            "99999999999999999999999",
            "٦٠",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_printed_parses_to_the_same_duration(milliseconds in 0_u64..100_000_000) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&show(duration)), Some(duration));
        }
    }
}
