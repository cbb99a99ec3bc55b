//! Makes foreign text safe for a terminal: it may contain control characters and escape sequences, which a
//! terminal executes, and marks that change the order in which text is shown.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use serde_json::Value;

/// The text without control characters, line breaks included, and without marks that change its
/// direction: what remains moves no cursor and stays on one line.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(is_unsafe) {
        return Cow::Owned(text.chars().filter(|character| !is_unsafe(*character)).collect());
    }
    Cow::Borrowed(text)
}

/// [`printable`] text, cut to `most` characters; a text that was cut ends in `…`.
pub fn shortened(text: &str, most: usize) -> String {
    let text = printable(text);
    match text.char_indices().nth(most) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Makes every string in a JSON document [`printable`], names of fields included.
pub fn make_printable(document: &mut Value) {
    match document {
        Value::String(text) => {
            if let Cow::Owned(safe) = printable(text) {
                *text = safe;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(make_printable),
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains(is_unsafe)) {
                let safe = std::mem::take(fields).into_iter();
                *fields =
                    safe.map(|(name, value)| (printable(&name).into_owned(), value)).collect();
            }
            fields.values_mut().for_each(make_printable);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a character is unsafe: control characters (C0, DEL and C1; U+009B also begins an escape sequence),
/// line and paragraph separators, and directional formatting characters (Unicode, UAX #9, section 2).
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Forwards text without the characters that [`printable`] removes, but with line breaks and tabs. All output
/// of commands passes through it, so that no foreign text reaches the terminal unfiltered.
#[derive(Debug)]
pub struct PrintableWriter<W> {
    inner: W,
    /// The first bytes of an incomplete UTF-8 character, at most 3.
    begun: Vec<u8>,
}

impl<W: Write> PrintableWriter<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, begun: Vec::new() }
    }

    /// The inner writer; an incomplete character is dropped.
    pub fn into_inner(self) -> W {
        self.inner
    }

    fn write_text(&mut self, text: &str) -> io::Result<()> {
        let is_taken_away = |character| is_unsafe(character) && !matches!(character, '\n' | '\t');
        text.split(is_taken_away).try_for_each(|part| self.inner.write_all(part.as_bytes()))
    }
}

impl<W: Write> Write for PrintableWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut begun = std::mem::take(&mut self.begun);
        let pending = if begun.is_empty() {
            bytes
        } else {
            begun.extend_from_slice(bytes);
            &begun[..]
        };
        for chunk in pending.utf8_chunks() {
            self.write_text(chunk.valid())?;
            let invalid = chunk.invalid();
            let is_last = invalid.as_ptr_range().end == pending.as_ptr_range().end;
            let is_begun =
                std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if is_last && is_begun {
                self.begun = invalid.to_vec();
            } else if !invalid.is_empty() {
                self.write_text("\u{fffd}")?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(parts: &[&[u8]]) -> String {
        let mut writer = PrintableWriter::new(Vec::new());
        for part in parts {
            writer.write_all(part).expect("memory takes it");
        }
        String::from_utf8(writer.inner).expect("it writes text")
    }

    #[test]
    fn what_a_terminal_would_execute_is_removed() {
        for (text, safe) in [
            ("dl-home", "dl-home"),
            ("\u{1b}[2J\u{1b}]0;title\u{7}gone", "[2J]0;titlegone"),
            ("8-bit \u{9b}31m", "8-bit 31m"),
            ("two\r\nlines", "twolines"),
            ("a\u{202e}b\u{2066}c\u{2028}d", "abcd"),
            ("Küche 東京 🏠", "Küche 東京 🏠"),
        ] {
            assert_eq!(printable(text), safe);
        }
        assert_eq!(shortened("abc\u{1b}def", 6), "abcdef");
        assert_eq!(shortened("äbcdefg", 3), "äbc…");
    }

    #[test]
    fn a_writer_keeps_line_breaks_and_joins_divided_characters() {
        assert_eq!(written(&[b"a\tb\n\x1b[1mc\n"]), "a\tb\n[1mc\n");
        assert_eq!(written(&[b"K\xc3", b"\xbcche"]), "Küche");
        assert_eq!(written(&[b"\xc2", b"\x9b31m"]), "31m", "a C1 control in two parts");
        assert_eq!(written(&[b"\xff\xfe", b"x"]), "\u{fffd}\u{fffd}x");
    }

    proptest! {
        #[test]
                fn no_unsafe_character_passes_wherever_the_input_is_split(bytes: Vec<u8>, cut in 0_usize..40) {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let text = written(&[head, tail]);
            prop_assert!(!text.contains(|c| is_unsafe(c) && c != '\n' && c != '\t'), "{text:?}");
        }
    }
}
