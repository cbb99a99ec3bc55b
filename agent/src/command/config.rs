//! `ispmon-agent config`: the settings in force, and the source of each.

use std::io::{self, Write};

use crate::config::{Effective, Loaded, sample};

/// Writes the commented sample file.
///
/// # Errors
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
    let widest = |text: fn(&Effective) -> &str| {
        let texts = loaded.effective.iter().map(text);
        texts.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let key_width = widest(|setting| setting.key);
    // Limits the width, so that one long URL does not move every source out of view.
    let value_width = widest(shown).min(50);
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

fn shown(setting: &Effective) -> &str {
    setting.value.as_deref().unwrap_or("(not set)")
}
