//! "Did you mean …?"

/// The least likeness, from 0 to 1, that is worth a suggestion.
const LEAST_LIKENESS: f64 = 0.8;

/// The known name that is most like a wrong one, if any is. Names with sections are compared as a
/// whole and by their last part, because a forgotten section is a common mistake.
pub(super) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Likeness is quadratic in the length, and no name of ours is nearly as long.
    if wrong.len() > 100 {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let likeness = |name: &str| {
        let name = name.to_lowercase();
        let whole = strsim::jaro_winkler(&wrong, &name);
        let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        // A match of the last parts counts a little less than one of the whole.
        whole.max(strsim::jaro_winkler(&last(&wrong), &last(&name)) * 0.95)
    };
    known
        .into_iter()
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
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
    fn far_off_names_get_no_suggestion() {
        for wrong in ["", "x", "smtp_server", "colour"] {
            assert_eq!(nearest(wrong, KNOWN), None, "{wrong}");
        }
    }
}
