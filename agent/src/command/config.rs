//! `ispmon-agent config`: the settings in force, and the source of each.

use std::io::{self, Write};

use crate::config::{Effective, Loaded, sample};

/// Writes the commented sample file.
///
/// The output cannot be written.
pub fn write_sample(output: &mut impl Write) -> io::Result<()> {
    output.write_all(sample::SAMPLE.as_bytes())?;
    output.flush()
}

/// Writes every setting with its value and source; secrets are masked.
///
/// # Errors
/// The output cannot be written.
pub fn write_settings(loaded: &Loaded, output: &mut impl Write) -> io::Result<()> {
    let shown =
        |setting: &Effective| setting.value.clone().unwrap_or_else(|| "(not set)".to_owned());
    let width =
        |text: fn(&Effective) -> usize| loaded.effective.iter().map(text).max().unwrap_or(0);
    let key_width = width(|setting| setting.key.chars().count());
    // Limits the width, so that one long URL does not move every source out of view.
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
