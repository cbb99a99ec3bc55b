//! The `.env` file of the current folder, which replaces a missing configuration file.
//!
//! It is parsed, never executed: `KEY=VALUE` lines, with or without `export` and blanks around the `=`,
//! with quotes and comments as in a shell. Nothing in it is expanded. A line that names one of our
//! variables and cannot be parsed is a problem; other programs' lines are ignored.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt, path::Path};

use super::{
    environment::{self, Variable},
    layer::{FileLayer, Layer},
    origin::SettingOrigin,
    problem::Problems,
    regular_file::{RegularFile, RegularFileError},
    table::SETTINGS,
};

/// The maximum size of a `.env`, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads the `.env` of a folder, if there is one that belongs to the user with this id.
///
/// One that belongs to another user could send this device's heartbeats to a stranger: it is ignored with a
/// warning.
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
        // A folder of this name is a Python environment, not an attempt to configure the agent.
        Err(RegularFileError::Absent | RegularFileError::NotRegular) => return None,
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
    match file.read(MAX_BYTES) {
        Ok(text) => {
            let layer = layer(&path, &text, problems);
            Some(FileLayer { path, layer, is_public })
        }
        Err(error) => ignore(error.reason()),
    }
}

/// A setting in a `.env` that the user named.
#[derive(Clone)]
pub struct DotenvSetting {
    /// Its key.
    pub key: &'static str,
    /// Its text, which may be a secret.
    pub text: String,
    /// The line that sets it.
    pub(super) origin: SettingOrigin,
}

/// Reads the settings of a `.env` that the user named, with any owner.
pub(super) fn settings(path: &Path, problems: &mut Problems) -> Vec<DotenvSetting> {
    let text = RegularFile::open(path).and_then(|file| file.read(MAX_BYTES));
    match text {
        Ok(text) => {
            let mut layer = layer(path, &text, problems);
            let mut take = |key| {
                let (text, origin) = layer.remove(key)?;
                Some(DotenvSetting { key, text: text.ok()?, origin })
            };
            SETTINGS.iter().filter_map(|setting| take(setting.key)).collect()
        }
        Err(error) => {
            let sentence = format!("it cannot be used: {}", error.reason());
            problems.add(&SettingOrigin::file(path), sentence);
            Vec::new()
        }
    }
}

fn layer(path: &Path, text: &str, problems: &mut Problems) -> Layer {
    let origin = |line, variable: &str| SettingOrigin::DotEnv {
        path: path.to_owned(),
        line,
        variable: variable.to_owned(),
    };
    let mut variables = BTreeMap::new();
    for (line, found) in lines(text) {
        match found {
            DotenvLine::Assignment { name, value } if environment::is_setting(name) => {
                let origin = origin(line, name);
                match value {
                    // As in a shell, a later line overrides an earlier one.
                    Ok(value) => {
                        variables.insert(name.to_owned(), Variable { text: Some(value), origin });
                    }
                    Err(error) => problems.add(&origin, error),
                }
            }
            DotenvLine::Assignment { .. } => {}
            DotenvLine::Other { names } => {
                if let Some(name) = names.into_iter().find(|name| environment::is_setting(name)) {
                    problems.add(&origin(line, name), "this line cannot be read; write NAME=VALUE");
                }
            }
        }
    }
    environment::settings(variables, problems)
}

/// Why the value in a line cannot be parsed.
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

/// The effect of a line on variables.
#[derive(Debug, PartialEq, Eq)]
enum DotenvLine<'a> {
    /// Sets a variable, if its value can be parsed.
    Assignment { name: &'a str, value: Result<String, ValueError> },
    /// A syntax that is not supported, which may be meant to set one of these variables.
    Other { names: Vec<&'a str> },
}

/// The lines that may set a variable, with their numbers from 1 on.
fn lines(text: &str) -> impl Iterator<Item = (usize, DotenvLine<'_>)> {
    text.trim_start_matches('\u{feff}')
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, read_line(line.trim())?)))
}

fn read_line(line: &str) -> Option<DotenvLine<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let (line, is_exported) = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => (rest.trim_start(), true),
        _ => (line, false),
    };
    if let Some((name, rest)) = line.split_once('=')
        && is_name(name.trim_end())
    {
        return Some(DotenvLine::Assignment { name: name.trim_end(), value: value(rest) });
    }
    // `export NAME` contains no value.
    if is_exported && line.split_whitespace().all(is_name) {
        return None;
    }
    Some(DotenvLine::Other { names: names(line) })
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(is_name_character)
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

const fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// The names before the first `=` or `:`, as in `set NAME=VALUE`, `NAME: VALUE` or `NAME VALUE`. A name
/// after a `$` is a use of the variable and is left out.
fn names(line: &str) -> Vec<&str> {
    let end = line.find(['=', ':']).unwrap_or(line.len());
    let mut before = "";
    let mut names = Vec::new();
    for word in line[..end].split_inclusive(|character| !is_name_character(character)) {
        let name = word.trim_end_matches(|character| !is_name_character(character));
        if is_name(name) && !before.ends_with(['$', '{']) {
            names.push(name);
        }
        before = word;
    }
    names
}

fn value(text: &str) -> Result<String, ValueError> {
    let (text, is_apart) = match text.trim_start_matches([' ', '\t']) {
        trimmed if trimmed.len() < text.len() => (trimmed, true),
        _ => (text, false),
    };
    if is_apart && text.starts_with('#') {
        return Ok(String::new());
    }
    if let Some(rest) = text.strip_prefix('\'') {
        let (value, after) = rest.split_once('\'').ok_or(ValueError::Unclosed)?;
        return check_end(after).map(|()| value.to_owned());
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
            '"' => return check_end(characters.as_str()).map(|()| value),
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

/// Checks that at most a comment follows a closing quote.
fn check_end(after: &str) -> Result<(), ValueError> {
    let is_comment = after.starts_with([' ', '\t']) && after.trim_start().starts_with('#');
    if after.trim().is_empty() || is_comment { Ok(()) } else { Err(ValueError::Trailing) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assignment(text: &str) -> Option<(String, Result<String, ValueError>)> {
        match lines(text).next()?.1 {
            DotenvLine::Assignment { name, value } => Some((name.to_owned(), value)),
            DotenvLine::Other { .. } => None,
        }
    }

    #[test]
    fn values_are_parsed_as_in_a_shell() {
        for (line, expected) in [
            ("A=b", "b"),
            ("  A=b  ", "b"),
            ("export A=b", "b"),
            ("export\tA=b", "b"),
            ("A = b", "b"),
            ("A =b", "b"),
            ("A= b", "b"),
            ("export A\t=\tb c ", "b c"),
            ("A = 'b # c' # comment", "b # c"),
            (r#"A = "b # c""#, "b # c"),
            ("A = # nothing but a comment", ""),
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
                assignment(line),
                Some(("A".to_owned(), Ok(expected.to_owned()))),
                "{line:?}"
            );
        }
    }

    #[test]
    fn expansions_and_command_substitutions_are_refused() {
        for line in ["A=$HOME", "A=${HOME}", "A=$(id)", "A=`id`", r#"A="x $(id)""#, r#"A="`id`""#] {
            assert_eq!(
                assignment(line),
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
            assert_eq!(assignment(line), Some(("A".to_owned(), Err(error))), "{line}");
        }
    }

    #[test]
    fn other_lines_are_ignored() {
        for line in ["", "# A=b", "#A", "export A", "export A B"] {
            assert_eq!(lines(line).next(), None, "{line}");
        }
        for line in ["=b", "9A=b", "echo \"$A\"", "[ -n \"${A}\" ] && echo", "x: A=b"] {
            let Some((1, DotenvLine::Other { names })) = lines(line).next() else {
                panic!("{line}")
            };
            assert!(!names.contains(&"A"), "{line}: {names:?}");
        }
    }

    #[test]
    fn an_unsupported_assignment_names_its_variable() {
        for line in [
            "A",
            "A b",
            "A https://b.example",
            "A: b",
            "-A=b",
            "- A=b",
            "set A=b",
            "'A'=b",
            "\"A\"=b",
            "A+=b",
            "unset A",
            "; A=b",
            "ü A=b",
        ] {
            let Some((1, DotenvLine::Other { names })) = lines(line).next() else {
                panic!("{line}")
            };
            assert!(names.contains(&"A"), "{line}: {names:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in any::<String>()) {
            for (line, found) in lines(&text) {
                prop_assert!(line >= 1);
                if let DotenvLine::Assignment { name, .. } = found {
                    prop_assert!(is_name(name));
                }
            }
        }

        #[test]
        fn any_value_survives_single_quotes(value in "[^'\r\n]*") {
            let line = format!("A='{value}'");
            prop_assert_eq!(assignment(&line), Some(("A".to_owned(), Ok(value))));
        }
    }
}
