//! The sample configuration file, which documents the settings.

use super::table;

/// The sample file: all settings at their defaults, commented out.
pub const SAMPLE: &str = include_str!("../../agent.toml");

/// The sample file with some settings set, each in the line of its default.
pub fn with(settings: &[(&'static str, String)]) -> String {
    let mut section = "";
    let mut text = String::with_capacity(SAMPLE.len());
    for line in SAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        }
        let set = settings.iter().find_map(|(key, value)| {
            let (part, name) = key.split_once('.').unwrap_or(("", key));
            let default = table::Setting::find(key)?.default;
            let is_it = part == section && line == format!("# {name} = \"{default}\"");
            is_it.then(|| format!("{name} = {}", toml_string(value)))
        });
        text.push_str(set.as_deref().unwrap_or(line));
        text.push('\n');
    }
    text
}

/// A text as a quoted TOML string.
fn toml_string(text: &str) -> String {
    let quoted = |character: char| match character {
        '"' | '\\' => format!("\\{character}"),
        control if control.is_control() => format!("\\u{:04X}", u32::from(control)),
        other => other.to_string(),
    };
    format!("\"{}\"", text.chars().map(quoted).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::config::table::SETTINGS;

    /// Renders the sample file from the table of settings.
    fn rendered() -> String {
        let mut text = "\
# The configuration of ispmon-agent: all settings, each with its default.
#
# To change a setting, remove the \"# \" in front of it. Environment variables override this file, and
# flags override both. Write durations like \"90s\", \"5 min\", \"1h 30m\", or as a number of seconds.
# `ispmon-agent config` shows the current values and their sources. A running agent reads this file
# again on SIGHUP (systemctl reload). A service receives the function key only when it starts.
"
        .to_owned();
        let mut section = "";
        for setting in SETTINGS {
            let (part, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
            if part != section {
                section = part;
                writeln!(text, "\n[{section}]").expect("writing to a string cannot fail");
            }
            writeln!(text).expect("writing to a string cannot fail");
            for line in setting.description.lines() {
                writeln!(text, "# {line}").expect("writing to a string cannot fail");
            }
            for line in setting.takes().into_iter().chain([setting.overridden_by()]) {
                writeln!(text, "# {line}").expect("writing to a string cannot fail");
            }
            writeln!(text, "# {name} = \"{}\"", setting.default)
                .expect("writing to a string cannot fail");
        }
        text
    }

    #[test]
    fn the_sample_matches_the_table() {
        let rendered = rendered();
        assert!(SAMPLE == rendered, "agent/agent.toml must read:\n{rendered}");
    }

    #[test]
    fn every_setting_can_be_set_in_the_sample() {
        let value = "a \"quoted\" \\ text\u{7f}\n";
        for setting in SETTINGS {
            let text = with(&[(setting.key, value.to_owned())]);
            let table: toml::Table = toml::from_str(&text).expect("it is TOML");
            let place = match setting.key.split_once('.') {
                Some((section, name)) => &table[section][name],
                None => &table[setting.key],
            };
            assert_eq!(place.as_str(), Some(value), "{}", setting.key);
            assert_eq!(text.lines().count(), SAMPLE.lines().count());
        }
        assert_eq!(with(&[]), SAMPLE);
    }

    #[test]
    fn the_sample_has_no_long_lines() {
        for line in SAMPLE.lines() {
            assert!(line.chars().count() <= 105, "{line}");
        }
    }
}
