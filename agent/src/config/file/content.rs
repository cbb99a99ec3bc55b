//! Reads the settings in the text of a configuration file.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::super::{
    key_place::KeyPlace,
    layer::Layer,
    origin::SettingOrigin,
    problem::{Problems, quoted},
    suggestion,
    table::{SETTINGS, Setting, SettingKind},
};

/// The settings in the text of the file at `path`. Invalid TOML, and every key that is no setting, is a
/// problem.
pub(super) fn layer(
    path: &Path,
    text: &str,
    key_place: &KeyPlace,
    problems: &mut Problems,
) -> Layer {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = ContentReader { path, text, key_place, problems, layer: Layer::new() };
    for error in &errors {
        let origin = reader.origin(error.span().map(|span| span.start));
        // The message describes the grammar and never quotes the text, which may contain a secret.
        let message = error.message().trim().replace('\n', ", ");
        reader.problems.add(&origin, format!("not valid TOML: {message}"));
    }
    if errors.is_empty() {
        reader.section(&[], table.get_ref());
    }
    reader.layer
}

struct ContentReader<'a> {
    path: &'a Path,
    text: &'a str,
    /// Where the function key belongs.
    key_place: &'a KeyPlace,
    problems: &'a mut Problems,
    layer: Layer,
}

impl ContentReader<'_> {
    /// The origin of what begins at this place in the text.
    fn origin(&self, offset: Option<usize>) -> SettingOrigin {
        let line =
            |offset| self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        SettingOrigin::File { path: self.path.to_owned(), line: offset.map(line) }
    }

    /// Reads a section; `section` holds the keys from the root to it.
    fn section(&mut self, section: &[&str], table: &DeTable<'_>) {
        for (key, value) in table {
            let origin = self.origin(Some(key.span().start));
            let path = [section, &[key.get_ref()]].concat();
            match (setting(&path), value.get_ref()) {
                (Some(setting), value) => {
                    self.layer.insert(setting.key, (text_for(setting, value), origin));
                }
                (None, DeValue::Table(inner)) if is_section(&path) => self.section(&path, inner),
                (None, _) if is_section(&path) => {
                    let name = path[0];
                    let sentence =
                        format!("{name} is a section and takes no value; begin it with [{name}]");
                    self.problems.add(&origin, sentence);
                }
                (None, _) => self.problems.add(&origin, unknown(&path, self.key_place)),
            }
        }
    }
}

/// The text of a setting, or a sentence that its value is of another type.
fn text_for(setting: &Setting, value: &DeValue<'_>) -> Result<String, String> {
    let text = match (setting.kind, value) {
        (SettingKind::Anchors | SettingKind::Portal, DeValue::Array(values)) => values
            .iter()
            .map(|value| text_of(value.get_ref()))
            .collect::<Result<Vec<_>, _>>()
            .map(|texts| texts.join(", "))
            .map_err(|_| "a list"),
        _ => text_of(value),
    };
    text.map_err(|actual| {
        let quotes = match setting.kind {
            SettingKind::Text(_) | SettingKind::Choice(_) => " (between quotes)",
            _ => "",
        };
        format!("{} is {actual}; it takes {}{quotes}", setting.key, setting.kind)
    })
}

/// A value as text, or what it is instead. Numbers and dates become the text that they were written as: a
/// setting with a text value accepts a number, and durations are parsed from text anyway.
fn text_of(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Integer(number) => {
            let decimal = i128::from_str_radix(number.as_str(), number.radix());
            Ok(decimal.map_or_else(|_| number.to_string(), |number| number.to_string()))
        }
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Datetime(date) => Ok(date.to_string()),
        DeValue::Boolean(true) => Err("true"),
        DeValue::Boolean(false) => Err("false"),
        DeValue::Array(_) => Err("a list"),
        DeValue::Table(_) => Err("a section"),
    }
}

fn setting(path: &[&str]) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key.split('.').eq(path.iter().copied()))
}

fn sections() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().filter_map(|setting| setting.key.split_once('.').map(|(section, _)| section))
}

fn is_section(path: &[&str]) -> bool {
    matches!(path, [section] if sections().any(|known| known == *section))
}

fn unknown(path: &[&str], key_place: &KeyPlace) -> String {
    let shown = path.iter().map(|key| shown(key)).collect::<Vec<_>>().join(".");
    let last = path.last().map(|key| key.to_lowercase()).unwrap_or_default();
    if ["key", "function_key", "functionkey", "token", "secret"].contains(&last.as_str()) {
        return format!(
            "there is no setting {shown}: a function key stands in a file of its own; write it {key_place}"
        );
    }
    let known = SETTINGS.iter().map(|setting| setting.key);
    let known = known.chain(sections().filter(|_| path.len() == 1));
    suggestion::nearest(&path.join("."), known).map_or_else(
        || format!("there is no setting {shown}; `ispmon-agent config --sample` explains all"),
        |near| format!("there is no setting {shown}; did you mean {near}?"),
    )
}

/// A key in TOML syntax, quoted only where necessary.
fn shown(key: &str) -> String {
    let is_bare =
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare && key.len() <= 60 { key.to_owned() } else { quoted(key) }
}
