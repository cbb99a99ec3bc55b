//! The answer's headers that hold a time: `Date` and `Retry-After` (RFC 9110, sections 6.6.1 and 10.2.3).

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::SOURCE_DATE;

/// Parses a `Date` in any of the three formats of RFC 9110; anything else counts as absent.
pub(super) fn parse_date(value: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(value.trim()).ok()?).ok()
}

/// Whether the server's clock can be right: `date` is not before this source was written, and at most
/// 20 years after.
pub(super) fn is_plausible(date: Timestamp) -> bool {
    let newest = SOURCE_DATE.as_second().saturating_add(20 * 366 * 86_400);
    (SOURCE_DATE.as_second()..=newest).contains(&date.as_second())
}

/// Parses a `Retry-After`: seconds, or a date that is compared with `now`. A date in the past means no
/// wait, an invalid value counts as absent, and more seconds than a `u64` holds become its maximum.
///
/// `now` should be the time of the clock that wrote the header, which is the answer's `Date`.
pub(super) fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let wait = now.duration_until(parse_date(value)?);
    Some(Duration::try_from(wait).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn now() -> Timestamp {
        parse_date(NOW).expect("a date")
    }

    #[test]
    fn seconds_and_all_formats_of_a_date_are_parsed() {
        for (value, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 120 ", Some(120)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(120)),
            ("Sunday, 06-Nov-94 08:51:37 GMT", Some(120)),
            ("Sun Nov  6 08:51:37 1994", Some(120)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(
                parse_retry_after(value, now()),
                seconds.map(Duration::from_secs),
                "{value:?}"
            );
        }
    }

    #[test]
    fn a_clock_can_be_right_for_twenty_years_after_this_source() {
        for (text, possible) in [
            (NOW, false),
            ("Wed, 06 Jan 2027 08:49:37 GMT", true),
            ("Sun, 06 Jan 2036 08:49:37 GMT", true),
            ("Fri, 06 Jan 2090 08:49:37 GMT", false),
        ] {
            assert_eq!(parse_date(text).map(is_plausible), Some(possible), "{text}");
        }
    }

    #[test]
    fn a_date_is_read_to_the_second() {
        assert_eq!(parse_date(NOW).map(Timestamp::as_second), Some(784_111_777));
        assert_eq!(parse_date("yesterday"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text: String) {
            parse_retry_after(&text, now());
            parse_date(&text);
        }
    }
}
