//! The `.env` file of the current folder, which stands in for a configuration file.
//!
//! It is read, never executed: `KEY=VALUE` lines, with or without `export`, with quotes and
//! comments as shells have them. Nothing in it is expanded.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt, path::Path};

use super::{
    environment::{self, Variable},
    layer::{FileLayer, Layer},
    origin::Origin,
    problem::Problems,
    regular_file::{ReadError, RegularFile},
};

/// The most bytes that a `.env` may have.
const MOST_BYTES: u64 = 64 * 1024;

/// Reads the `.env` of a folder, if there is one that belongs to the user with this id.
///
/// One that belongs to somebody else could send this device's heartbeats to a stranger: it is
/// ignored with a warning.
pub(super) fn read(
    folder: &Path,
    user: u32,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> Option<FileLayer> {
    let path = folder.join(".env");
    let mut ignore = |reason: String| {
        warnings.push(format!("{} is ignored: {reason}.", path.display()));
        None
    };
    let file = match RegularFile::open(&path) {
        Ok(file) => file,
        // A folder of this name is a Python environment and no attempt to configure anything.
        Err(ReadError::Absent | ReadError::NotRegular) => return None,
        Err(error) => return ignore(error.reason()),
    };
    let owner = file.metadata.uid();
    if owner != user {
        return ignore(format!(
            "it belongs to the user with the id {owner}, and the agent runs as the one with the \
             id {user}"
        ));
    }
    if file.metadata.mode() & 0o022 != 0 {
        return ignore(format!(
            "other users can write to it; take that away with: chmod go-w {}",
            path.display()
        ));
    }
    let is_public = file.is_public();
    match file.read(MOST_BYTES) {
        Ok(text) => {
            let layer = layer(&path, &text, problems);
            Some(FileLayer { path, layer, is_public })
        }
        Err(error) => ignore(error.reason()),
    }
}

/// Reads the settings of a `.env` that a user names, whoever owns it: the keys and texts that it sets.
pub(super) fn settings(path: &Path, problems: &mut Problems) -> Vec<(&'static str, String)> {
    let text = RegularFile::open(path).and_then(|file| file.read(MOST_BYTES));
    match text {
        Ok(text) => layer(path, &text, problems).texts(),
        Err(error) => {
            let whole = Origin::File { path: path.to_owned(), line: None };
            problems.add(&whole, format!("it cannot be used: {}", error.reason()));
            Vec::new()
        }
    }
}

fn layer(path: &Path, text: &str, problems: &mut Problems) -> Layer {
    let origin = |line, variable: &str| Origin::DotEnv {
        path: path.to_owned(),
        line,
        variable: variable.to_owned(),
    };
    let mut variables = BTreeMap::new();
    for (line, name, value) in assignments(text) {
        if !environment::is_ours(name) {
            continue;
        }
        let origin = origin(line, name);
        match value {
            // As in a shell, a later line replaces an earlier one.
            Ok(value) => {
                variables.insert(name.to_owned(), Variable { text: Some(value), origin });
            }
            Err(error) => problems.add(&origin, error),
        }
    }
    let whole = Origin::File { path: path.to_owned(), line: None };
    environment::fill(Layer::new(".env", whole), variables, problems)
}

/// Why the value of a line cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum ValueError {
    #[error("the quote is never closed; close it on the same line")]
    Unclosed,
    #[error("something follows the closing quote; put all of the value between the quotes")]
    Trailing,
    #[error(
        "the value has a \"$\" or \"`\", and this file is read without being executed; write out \
         what is meant, or put it between single quotes"
    )]
    Expansion,
}

/// The lines that assign something: number from 1 on, name and value.
fn assignments(text: &str) -> impl Iterator<Item = (usize, &str, Result<String, ValueError>)> {
    text.trim_start_matches('\u{feff}').lines().enumerate().filter_map(|(index, line)| {
        let line = line.trim();
        let line = match line.strip_prefix("export") {
            Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
            _ => line,
        };
        let (name, rest) = line.split_once('=')?;
        let is_name = !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|first: char| first.is_ascii_digit());
        is_name.then(|| (index + 1, name, value(rest)))
    })
}

fn value(text: &str) -> Result<String, ValueError> {
    if let Some(rest) = text.strip_prefix('\'') {
        let (value, after) = rest.split_once('\'').ok_or(ValueError::Unclosed)?;
        return ends(after).map(|()| value.to_owned());
    }
    if let Some(rest) = text.strip_prefix('"') {
        return double_quoted(rest);
    }
    let value = match text.find(" #").into_iter().chain(text.find("\t#")).min() {
        Some(comment) => &text[..comment],
        None => text,
    };
    if value.contains(['$', '`']) {
        return Err(ValueError::Expansion);
    }
    Ok(value.trim().to_owned())
}

fn double_quoted(text: &str) -> Result<String, ValueError> {
    let mut value = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return ends(characters.as_str()).map(|()| value),
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => value.push(escaped),
                Some(other) => value.extend(['\\', other]),
                None => return Err(ValueError::Unclosed),
            },
            '$' | '`' => return Err(ValueError::Expansion),
            other => value.push(other),
        }
    }
    Err(ValueError::Unclosed)
}

/// Passes when nothing but a comment follows a closing quote.
fn ends(after: &str) -> Result<(), ValueError> {
    let is_comment = after.starts_with([' ', '\t']) && after.trim_start().starts_with('#');
    if after.trim().is_empty() || is_comment { Ok(()) } else { Err(ValueError::Trailing) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_line(line: &str) -> Option<(String, Result<String, ValueError>)> {
        assignments(line).next().map(|(_, name, value)| (name.to_owned(), value))
    }

    #[test]
    fn values_are_read_as_a_shell_reads_them() {
        for (line, expected) in [
            ("A=b", "b"),
            ("  A=b  ", "b"),
            ("export A=b", "b"),
            ("export\tA=b", "b"),
            ("A=", ""),
            ("A=b c", "b c"),
            ("A=b # comment", "b"),
            ("A=b#c", "b#c"),
            ("A= # nothing but a comment", ""),
            ("A=#also", "#also"),
            ("A='b # c'", "b # c"),
            ("A='$HOME `x` \"'", "$HOME `x` \""),
            ("A='b' # comment", "b"),
            (r#"A="b # c""#, "b # c"),
            (r#"A="say \"hi\" \\ \$5 \n""#, r#"say "hi" \ $5 \n"#),
            ("A=https://a.example/x?b=c&d=e", "https://a.example/x?b=c&d=e"),
            ("\u{feff}A=b", "b"),
            ("A=b\r", "b"),
        ] {
            assert_eq!(
                read_line(line),
                Some(("A".to_owned(), Ok(expected.to_owned()))),
                "{line:?}"
            );
        }
    }

    #[test]
    fn what_a_shell_would_execute_is_refused() {
        for line in ["A=$HOME", "A=${HOME}", "A=$(id)", "A=`id`", r#"A="x $(id)""#, r#"A="`id`""#] {
            assert_eq!(
                read_line(line),
                Some(("A".to_owned(), Err(ValueError::Expansion))),
                "{line}"
            );
        }
    }

    #[test]
    fn broken_quotes_are_refused() {
        for (line, error) in [
            ("A='b", ValueError::Unclosed),
            ("A=\"b", ValueError::Unclosed),
            ("A=\"b\\", ValueError::Unclosed),
            ("A='b'c", ValueError::Trailing),
            ("A='b'#c", ValueError::Trailing),
            ("A=\"b\" c", ValueError::Trailing),
        ] {
            assert_eq!(read_line(line), Some(("A".to_owned(), Err(error))), "{line}");
        }
    }

    #[test]
    fn other_lines_are_passed_over() {
        for line in
            ["", "# A=b", "A b", "A =b", "set -e", "9A=b", "=b", "if [ A = b ]; then", "A-B=c"]
        {
            assert_eq!(read_line(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in any::<String>()) {
            for (line, name, _) in assignments(&text) {
                prop_assert!(line >= 1 && !name.is_empty());
            }
        }

        #[test]
        fn any_value_survives_single_quotes(value in "[^'\r\n]*") {
            let line = format!("A='{value}'");
            prop_assert_eq!(read_line(&line), Some(("A".to_owned(), Ok(value))));
        }
    }
}
