//! The commented sample file, which is the documentation of the settings.

/// The sample file: all settings, commented out, at their defaults.
pub const SAMPLE: &str = include_str!("../../agent.toml");

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::config::table::SETTINGS;

    /// The sample file, as the table of settings makes it.
    fn rendered() -> String {
        let mut text = "\
# The configuration of ispmon-agent: all settings, each with its default.
#
# To change one, take the \"# \" before it away. Variables override what stands here, and flags
# override both. Durations are written like \"90s\", \"5 min\", \"1h 30m\", or as a number of seconds.
# `ispmon-agent config` shows what is in force and where it came from; a running agent reads this
# file again on SIGHUP (systemctl reload).
"
        .to_owned();
        let mut section = "";
        for setting in SETTINGS {
            let (part, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
            if part != section {
                section = part;
                writeln!(text, "\n[{section}]").expect("a string takes it");
            }
            writeln!(text).expect("a string takes it");
            for line in setting.description.lines() {
                writeln!(text, "# {line}").expect("a string takes it");
            }
            for line in setting.takes().into_iter().chain([setting.overridden_by()]) {
                writeln!(text, "# {line}").expect("a string takes it");
            }
            writeln!(text, "# {name} = \"{}\"", setting.default).expect("a string takes it");
        }
        text
    }

    #[test]
    fn the_sample_is_what_the_table_makes() {
        let rendered = rendered();
        assert!(SAMPLE == rendered, "agent/agent.toml must read:\n{rendered}");
    }

    #[test]
    fn no_line_of_the_sample_is_too_long_to_read() {
        for line in SAMPLE.lines() {
            assert!(line.chars().count() <= 105, "{line}");
        }
    }
}
