//! `ispmon-agent config`: which settings are in force and where each came from.

use std::io::{self, Write};

use crate::config::{Effective, Loaded, sample};

/// Writes the commented sample file.
///
/// # Errors
/// The output takes no more.
pub fn write_sample(output: &mut impl Write) -> io::Result<()> {
    output.write_all(sample::SAMPLE.as_bytes())?;
    output.flush()
}

/// Writes every setting with its value and where it came from; secrets are masked.
///
/// # Errors
/// The output takes no more.
pub fn write_settings(loaded: &Loaded, output: &mut impl Write) -> io::Result<()> {
    let shown =
        |setting: &Effective| setting.value.clone().unwrap_or_else(|| "(not set)".to_owned());
    let width =
        |text: fn(&Effective) -> usize| loaded.effective.iter().map(text).max().unwrap_or(0);
    let key_width = width(|setting| setting.key.chars().count());
    // One long address must not push every source out of sight.
    let value_width =
        width(|setting| setting.value.as_ref().map_or(9, |value| value.chars().count())).min(50);
    for setting in &loaded.effective {
        let (key, value) = (setting.key, shown(setting));
        writeln!(output, "{key:key_width$}  {value:value_width$}  {}", setting.source)?;
    }
    let read = match &loaded.file {
        Some(path) => format!("Read from {}, variables and flags.", path.display()),
        None => "There is no configuration file: read from variables and flags.".to_owned(),
    };
    writeln!(output, "\n{read}")?;
    output.flush()
}
