//! The configuration file: TOML, at exactly one path.

use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use toml::de::{DeTable, DeValue};

use super::{
    layer::{FileLayer, Layer},
    origin::SettingOrigin,
    problem::Problems,
    regular_file::{RegularFile, RegularFileError},
};
use crate::installation::Prefix;

/// The maximum size of a configuration file, in bytes. The sample with all its comments has a twentieth of
/// that.
const MAX_BYTES: u64 = 64 * 1024;

/// The paths to try when `--config` does not name the file: first in the Homebrew prefix that this program
/// is installed in, then in the system's folder.
///
/// The prefix comes first because the formula's service uses that file, and commands must show what the
/// service uses. A program that Homebrew did not install reads no prefix: a prefix belongs to a user, whose
/// file could make a root service send that user data that only root may read.
pub fn default_paths(homebrew: Option<&Prefix>) -> Vec<PathBuf> {
    let own = homebrew.map(Prefix::config_file);
    own.into_iter().chain([PathBuf::from("/etc/ispmon/agent.toml")]).collect()
}

/// Reads the file at `named`, which must exist, or otherwise the first of `defaults` that exists.
pub(super) fn read(
    named: Option<&Path>,
    defaults: &[PathBuf],
    problems: &mut Problems,
) -> Option<FileLayer> {
    let candidates = named.map_or_else(|| defaults.to_vec(), |path| vec![path.to_owned()]);
    for path in candidates {
        match RegularFile::open(&path) {
            Ok(file) => return Some(content(path, file, problems)),
            Err(RegularFileError::Absent) if named.is_none() => {}
            // A file that exists but cannot be read is a problem: the user expects it to be used.
            Err(error) => {
                problems.add(&whole(&path), cannot_be_read(&error));
                return Some(FileLayer { layer: empty(&path), path, is_public: false });
            }
        }
    }
    None
}

fn cannot_be_read(error: &RegularFileError) -> String {
    format!("the configuration file cannot be used: {}", error.reason())
}

fn content(path: PathBuf, file: RegularFile, problems: &mut Problems) -> FileLayer {
    let is_public = file.is_public();
    let mut layer = empty(&path);
    match file.read(MAX_BYTES) {
        Ok(text) => fill(&mut layer, &path, &text, problems),
        Err(error) => problems.add(&whole(&path), cannot_be_read(&error)),
    }
    FileLayer { path, layer, is_public }
}

/// The settings of a text that is to become the file at `path`, treated as readable by every user.
pub(super) fn of_text(path: &Path, text: &str, problems: &mut Problems) -> FileLayer {
    let mut layer = empty(path);
    fill(&mut layer, path, text, problems);
    FileLayer { path: path.to_owned(), layer, is_public: true }
}

fn empty(path: &Path) -> Layer {
    Layer::new("file", whole(path))
}

fn whole(path: &Path) -> SettingOrigin {
    SettingOrigin::File { path: path.to_owned(), line: None }
}

fn fill(layer: &mut Layer, path: &Path, text: &str, problems: &mut Problems) {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = error.span().map(|span| line_of(text, span.start));
        // The message describes the grammar and never quotes the text, which may contain a secret.
        let message = error.message().trim().replace('\n', ", ");
        problems.add(
            &SettingOrigin::File { path: path.to_owned(), line },
            format!("not valid TOML: {message}"),
        );
    }
    if !errors.is_empty() {
        return;
    }
    let mut reader = ConfigReader { layer, path, text, keys: Vec::new() };
    let values = reader.section(table.get_ref());
    for (key, value) in values {
        layer.set_at(key, value);
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

struct ConfigReader<'a> {
    layer: &'a mut Layer,
    path: &'a Path,
    text: &'a str,
    /// The keys from the root to the current section.
    keys: Vec<String>,
}

impl ConfigReader<'_> {
    fn section(&mut self, table: &DeTable<'_>) -> Dict {
        let mut values = Dict::new();
        for (key, value) in table {
            let line = line_of(self.text, key.span().start);
            let key = key.get_ref().as_ref().to_owned();
            self.keys.push(key.clone());
            self.layer.set_origin(
                self.keys.clone(),
                SettingOrigin::File { path: self.path.to_owned(), line: Some(line) },
            );
            let value = self.value(value.get_ref());
            self.keys.pop();
            values.insert(key, value);
        }
        values
    }

    /// Converts numbers and dates to the text that they were written as: a setting with a text value
    /// accepts a number, and durations are parsed from text anyway.
    fn value(&mut self, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => text.as_ref().into(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().into(),
            DeValue::Integer(number) => {
                let decimal = i128::from_str_radix(number.as_str(), number.radix());
                decimal.map_or_else(|_| number.to_string(), |number| number.to_string()).into()
            }
            DeValue::Float(number) => number.as_str().into(),
            DeValue::Datetime(date) => date.to_string().into(),
            DeValue::Boolean(value) => (*value).into(),
            DeValue::Array(values) => {
                values.iter().map(|value| self.value(value.get_ref())).collect::<Vec<_>>().into()
            }
            DeValue::Table(table) => self.section(table).into(),
        }
    }
}
