//! One log line and its text format.

use std::fmt::Write;

use jiff::{Timestamp, tz::TimeZone};
use tracing::Level;

use super::ReadVariable;
use crate::{event::Fields, printable::is_unsafe};

/// The longest text of a line in bytes; longer ones are truncated. This bounds the queue's memory too.
const TEXT_BYTES: usize = 4_096;

/// One log event, ready to be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EventLine {
    /// When it happened, by the wall clock.
    pub(super) at: Timestamp,
    /// Its severity.
    pub(super) level: Level,
    /// The sentence; may contain untrusted text.
    pub(super) text: String,
    /// The fields for programs.
    pub(super) fields: Fields,
}

/// The text format of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For a terminal, the level in colour.
    Coloured,
    /// For a terminal without colours, or whose user wants none.
    Terminal,
    /// For a file or a pipe: each time with its UTC offset, so that it is unambiguous elsewhere.
    Plain,
}

impl Style {
    /// Chooses by whether standard error is a terminal and by the variables `NO_COLOR` (no-color.org: any
    /// value but an empty one counts) and `TERM`.
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
    /// Creates a line without fields; truncates a very long text.
    pub(super) fn new(at: Timestamp, level: Level, mut text: String) -> Self {
        if text.len() > TEXT_BYTES {
            text.truncate(text.floor_char_boundary(TEXT_BYTES));
            text.push('…');
        }
        Self { at, level, text, fields: Fields::default() }
    }

    /// Sets the fields for programs.
    pub(super) fn with_fields(self, fields: Fields) -> Self {
        Self { fields, ..self }
    }

    /// The text for a system's log: on one line, because journald and `os_log` hide or mangle text that they
    /// consider binary.
    pub(super) fn single_line_text(&self) -> String {
        escape_unsafe(&self.text)
    }

    /// The line as text, with its newline.
    pub(super) fn render(&self, style: Style, zone: &TimeZone) -> String {
        let at = self.at.to_zoned_datetime(zone.clone());
        let stamp = match style {
            Style::Coloured | Style::Terminal => at.strftime("%Y-%m-%d %H:%M:%S"),
            Style::Plain => at.strftime("%Y-%m-%dT%H:%M:%S%:z"),
        };
        let level = self.level.as_str();
        let text = escape_unsafe(&self.text);
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

/// Escapes the characters that a terminal interprets: control characters and those that break a line or
/// change the direction of writing.
fn escape_unsafe(text: &str) -> String {
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
    fn a_terminal_shows_local_time_and_a_file_the_offset_too() {
        let line = line(Level::INFO, "Heartbeats work again.");
        insta::assert_snapshot!(line.render(Style::Terminal, &zone()), @"2026-03-29 03:10:07 INFO  Heartbeats work again.");
        insta::assert_snapshot!(line.render(Style::Plain, &zone()), @"2026-03-29T03:10:07+02:00 INFO  Heartbeats work again.");
    }

    #[test]
    fn only_time_and_level_are_coloured() {
        let text = line(Level::WARN, "The connection is cut.").render(Style::Coloured, &zone());
        assert_eq!(
            text,
            "\u{1b}[2m2026-03-29 03:10:07\u{1b}[0m \u{1b}[33mWARN \u{1b}[0m The connection is cut.\n"
        );
    }

    #[test]
    fn control_characters_are_escaped() {
        let line = line(Level::INFO, "a\nb\r\u{1b}[2Jc\u{9b}d\u{2028}e\u{202e}f\u{7f}ü");
        insta::assert_snapshot!(
            line.render(Style::Terminal, &zone()),
            @r"2026-03-29 03:10:07 INFO  a\nb\r\u{1b}[2Jc\u{9b}d\u{2028}e\u{202e}f\u{7f}ü"
        );
    }

    #[test]
    fn a_long_text_is_truncated_at_a_character_boundary() {
        let EventLine { text, .. } = line(Level::INFO, &format!("a{}", "ä".repeat(TEXT_BYTES)));
        assert!(text.len() <= TEXT_BYTES + '…'.len_utf8(), "{}", text.len());
        assert!(text.ends_with("ä…"));
    }

    #[test]
    fn colours_depend_on_terminal_term_and_no_color() {
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
