//! One line of the log, and how it looks.

use std::fmt::Write;

use jiff::{Timestamp, tz::TimeZone};
use tracing::Level;

use super::ReadVariable;
use crate::{event::Fields, printable::is_unsafe};

/// The longest text of one line in bytes; longer ones are cut. With it the queue is bounded too.
const TEXT_BYTES: usize = 4_096;

/// One event, ready to be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EventLine {
    /// When it happened, by the wall clock.
    pub(super) at: Timestamp,
    /// How severe it is.
    pub(super) level: Level,
    /// The sentence; anything in it may come from outside.
    pub(super) text: String,
    /// What programs read beside it.
    pub(super) fields: Fields,
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For people at a terminal, the level in colour.
    Coloured,
    /// For people at a terminal that shows no colours or shall not.
    Terminal,
    /// For a file or a pipe: each time with its offset, so that it means the same everywhere.
    Plain,
}

impl Style {
    /// Chooses by what standard error is and by the variables `NO_COLOR` (no-color.org: any value
    /// but an empty one counts) and `TERM`.
    pub fn choose(
        is_terminal: bool,
        variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Self {
        let variable: ReadVariable<'_> = &variable;
        if !is_terminal {
            return Self::Plain;
        }
        let colourless = variable("NO_COLOR").is_some_and(|value| !value.is_empty())
            || variable("TERM").is_none_or(|terminal| terminal == "dumb");
        if colourless { Self::Terminal } else { Self::Coloured }
    }
}

impl EventLine {
    /// A line of an event's text, which is cut when it is very long.
    pub(super) fn new(at: Timestamp, level: Level, mut text: String) -> Self {
        if text.len() > TEXT_BYTES {
            text.truncate(text.floor_char_boundary(TEXT_BYTES));
            text.push('…');
        }
        Self { at, level, text, fields: Fields::default() }
    }

    /// The same with what programs read beside it.
    pub(super) fn with_fields(self, fields: Fields) -> Self {
        Self { fields, ..self }
    }

    /// The text as a log of the system gets it: on one line, because journald and `os_log` hide or mangle
    /// what they take for binary.
    pub(super) fn sentence(&self) -> String {
        neutral(&self.text)
    }

    /// The line as it is written, with its newline.
    pub(super) fn render(&self, style: Style, zone: &TimeZone) -> String {
        let at = self.at.to_zoned_datetime(zone.clone());
        let stamp = match style {
            Style::Coloured | Style::Terminal => at.strftime("%Y-%m-%d %H:%M:%S"),
            Style::Plain => at.strftime("%Y-%m-%dT%H:%M:%S%:z"),
        };
        let level = self.level.as_str();
        let text = neutral(&self.text);
        match style {
            Style::Coloured => {
                format!(
                    "\u{1b}[2m{stamp}\u{1b}[0m {}{level:5}\u{1b}[0m {text}\n",
                    colour(self.level)
                )
            }
            Style::Terminal | Style::Plain => format!("{stamp} {level:5} {text}\n"),
        }
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}

/// The text on one line, without what a terminal would obey: control characters and those that
/// break a line or change the direction of writing are written as escapes.
fn neutral(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) {
            // Writing to a String cannot fail.
            let _ = write!(result, "{}", character.escape_default());
        } else {
            result.push(character);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn line(level: Level, text: &str) -> EventLine {
        let at = "2026-03-29T02:10:07.9+01:00".parse().expect("a time");
        EventLine::new(at, level, text.to_owned())
    }

    fn zone() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(2))
    }

    #[test]
    fn a_terminal_gets_local_time_and_a_file_the_offset_too() {
        let line = line(Level::INFO, "Heartbeats work again.");
        insta::assert_snapshot!(line.render(Style::Terminal, &zone()), @"2026-03-29 03:10:07 INFO  Heartbeats work again.");
        insta::assert_snapshot!(line.render(Style::Plain, &zone()), @"2026-03-29T03:10:07+02:00 INFO  Heartbeats work again.");
    }

    #[test]
    fn colour_is_on_time_and_level_only_and_ends_before_the_sentence() {
        let text = line(Level::WARN, "The line is cut.").render(Style::Coloured, &zone());
        assert_eq!(
            text,
            "\u{1b}[2m2026-03-29 03:10:07\u{1b}[0m \u{1b}[33mWARN \u{1b}[0m The line is cut.\n"
        );
    }

    #[test]
    fn values_cannot_break_a_line_or_command_a_terminal() {
        let line = line(Level::INFO, "a\nb\r\u{1b}[2Jc\u{9b}d\u{2028}e\u{202e}f\u{7f}ü");
        insta::assert_snapshot!(
            line.render(Style::Terminal, &zone()),
            @r"2026-03-29 03:10:07 INFO  a\nb\r\u{1b}[2Jc\u{9b}d\u{2028}e\u{202e}f\u{7f}ü"
        );
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let EventLine { text, .. } = line(Level::INFO, &format!("a{}", "ä".repeat(TEXT_BYTES)));
        assert!(text.len() <= TEXT_BYTES + '…'.len_utf8(), "{}", text.len());
        assert!(text.ends_with("ä…"));
    }

    #[test]
    fn colours_need_a_terminal_that_has_them_and_a_user_who_wants_them() {
        let choose = |is_terminal, variables: &[(&str, &str)]| {
            Style::choose(is_terminal, |name| {
                let found = variables.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| OsString::from(value))
            })
        };
        assert_eq!(choose(true, &[("TERM", "xterm")]), Style::Coloured);
        assert_eq!(choose(true, &[("TERM", "xterm"), ("NO_COLOR", "")]), Style::Coloured);
        assert_eq!(choose(true, &[("TERM", "xterm"), ("NO_COLOR", "1")]), Style::Terminal);
        assert_eq!(choose(true, &[("TERM", "dumb")]), Style::Terminal);
        assert_eq!(choose(true, &[]), Style::Terminal);
        assert_eq!(choose(false, &[("TERM", "xterm")]), Style::Plain);
    }
}
