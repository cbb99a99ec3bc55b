//! "Did you mean …?"

/// The lowest similarity, from 0 to 1, for a suggestion.
const MIN_SIMILARITY: f64 = 0.8;

/// The known name most similar to a wrong one, if any is similar enough.
pub(super) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // The comparison is quadratic in the length, and no known name is nearly as long.
    if wrong.len() > 100 {
        return None;
    }
    let wrong = wrong.to_lowercase();
    known
        .into_iter()
        .map(|name| (similarity(&wrong, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= MIN_SIMILARITY)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// The similarity of two names, from 0 to 1. A common section does not increase it; a missing or wrong
/// section decreases it only a little.
fn similarity(one: &str, other: &str) -> f64 {
    let parts = |name: &str| {
        let (section, last) = name.rsplit_once('.').unwrap_or(("", name));
        (section.to_owned(), last.to_owned())
    };
    let ((one_section, one_last), (other_section, other_last)) = (parts(one), parts(other));
    let last = strsim::jaro_winkler(&one_last, &other_last);
    if one_section == other_section {
        return last;
    }
    strsim::jaro_winkler(one, other).max(last * 0.95)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] =
        ["device", "heartbeat.url", "heartbeat.interval", "heartbeat.key_file", "log.level"];

    #[test]
    fn typing_errors_and_forgotten_sections_are_recognised() {
        for (wrong, right) in [
            ("devise", "device"),
            ("heartbeat.intervall", "heartbeat.interval"),
            ("heartbeet.interval", "heartbeat.interval"),
            ("interval", "heartbeat.interval"),
            ("heartbeat.keyfile", "heartbeat.key_file"),
            ("heartbeat.key-file", "heartbeat.key_file"),
            ("URL", "heartbeat.url"),
            ("logging.level", "log.level"),
            ("heartbeat.device", "device"),
        ] {
            assert_eq!(nearest(wrong, KNOWN), Some(right), "{wrong}");
        }
    }

    #[test]
    fn dissimilar_names_get_no_suggestion() {
        for wrong in ["", "x", "smtp_server", "colour", "log.file", "heartbeat.retries"] {
            assert_eq!(nearest(wrong, KNOWN), None, "{wrong}");
        }
    }
}
