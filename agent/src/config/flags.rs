//! The settings with a command-line flag.

use clap::{Args, ValueHint, builder::NonEmptyStringValueParser};

/// The settings with a command-line flag. The function key has none: every user of the machine can read the
/// command lines of its processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Settings")]
pub struct Flags {
    /// Where heartbeats go [setting heartbeat.url]
    #[arg(long, global = true, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub url: Option<String>,

    /// The name of this device [setting device]
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub device: Option<String>,

    /// The time between heartbeats: 60s, 5min or seconds [setting heartbeat.interval]
    #[arg(long, global = true, value_name = "TIME", value_parser = NonEmptyStringValueParser::new())]
    pub interval: Option<String>,

    /// The folder of the journal.
    #[arg(long, global = true, value_name = "FOLDER", value_hint = ValueHint::DirPath, help = "The folder of the journal [setting state_dir]", value_parser = NonEmptyStringValueParser::new())]
    pub state_dir: Option<String>,

    /// Log in more detail [setting log.level, to debug]
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

impl Flags {
    /// The flags that were given, and their texts.
    pub fn given(&self) -> Vec<(&'static str, &str)> {
        let Self { url, device, interval, state_dir, verbose } = self;
        [
            ("--url", url.as_deref()),
            ("--device", device.as_deref()),
            ("--interval", interval.as_deref()),
            ("--state-dir", state_dir.as_deref()),
            ("--verbose", verbose.then_some("debug")),
        ]
        .into_iter()
        .filter_map(|(flag, value)| Some((flag, value?)))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Parser;

    use super::*;
    use crate::config::table::SETTINGS;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        flags: Flags,
    }

    #[test]
    fn the_flags_are_those_in_the_table_of_settings() {
        let command = Flags::augment_args(clap::Command::new("ispmon-agent"));
        let longs = command.get_arguments().filter_map(clap::Arg::get_long);
        let flags: BTreeSet<String> = longs.map(|long| format!("--{long}")).collect();
        let named = SETTINGS.iter().filter_map(|setting| setting.flag);
        assert_eq!(flags, named.map(str::to_owned).collect());
    }

    #[test]
    fn every_flag_reaches_its_setting() {
        for flag in SETTINGS.iter().filter_map(|setting| setting.flag) {
            let with_value = Program::try_parse_from(["ispmon-agent", flag, "a value"]);
            let program = with_value.or_else(|_| Program::try_parse_from(["ispmon-agent", flag]));
            let flags = program.unwrap_or_else(|error| panic!("{error}")).flags;
            let given: Vec<&str> = flags.given().into_iter().map(|(name, _)| name).collect();
            assert_eq!(given, [flag]);
        }
    }
}
