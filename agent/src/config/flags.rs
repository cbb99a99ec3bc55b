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
        [
            ("--url", self.url.as_deref()),
            ("--device", self.device.as_deref()),
            ("--interval", self.interval.as_deref()),
            ("--state-dir", self.state_dir.as_deref()),
            ("--verbose", self.verbose.then_some("debug")),
        ]
        .into_iter()
        .filter_map(|(flag, value)| Some((flag, value?)))
        .collect()
    }
}
