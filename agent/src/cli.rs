//! The command line: what the agent is asked to do, and the settings that are given with it.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, CommandFactory, Parser, Subcommand,
    builder::NonEmptyStringValueParser,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::exit::Exit;

/// What one start of the program is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub action: Action,
    /// The configuration file that `--config` names; without it the default places are looked at.
    pub config_file: Option<PathBuf>,
    /// The settings that the command line overrides.
    pub flags: Flags,
    /// Whether the old flag `--daemon` was given, to which the answer is [`DAEMON_NOTE`].
    pub daemon: bool,
}

/// The actions of the program, one for each command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sends heartbeats until a signal ends it.
    Run,
    /// Sends one heartbeat; the exit code tells whether it arrived.
    Ping,
    /// Shows the effective settings, or the sample file.
    Config {
        /// Whether the sample file is asked for.
        sample: bool,
    },
}

/// What the old flag `--daemon` is answered with.
pub const DAEMON_NOTE: &str = "--daemon has no effect any more: the service manager (systemd, launchd) \
     runs the agent in the background now.";

/// The settings that can be given on the command line. There is none for the function key: every
/// user of the machine can read the command lines of its processes.
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

    /// The folder of the record of outages [setting state_dir]
    #[arg(long, global = true, value_name = "FOLDER", value_parser = NonEmptyStringValueParser::new())]
    pub state_dir: Option<String>,

    /// Say more about what happens [setting log.level, to debug]
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

impl Flags {
    /// The flags that were given and the texts that they stand for.
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

/// Sends heartbeats, so that you get a mail when your internet connection dies.
///
/// ispmon-agent runs on a device at home and sends a heartbeat to the cloud every minute. When the
/// heartbeats stop, alert rules in the cloud mail you, although your own connection is down.
/// Without a command it does what `run` does.
#[derive(Debug, Parser)]
#[command(
    name = "ispmon-agent",
    version,
    verbatim_doc_comment,
    after_help = "\
Settings come from, each overriding the one before: defaults, the configuration file, variables
(ISPMON_DEVICE, ISPMON_HEARTBEAT_URL …), flags. The file is /etc/ispmon/agent.toml or Homebrew's
etc/ispmon/agent.toml; where there is none, a .env of yours in the current folder is read.
`ispmon-agent config --sample` explains all settings, `ispmon-agent config` shows those in force.
The function key is never given here: it stands in the file that heartbeat.key_file names.

Exit codes: 0 it worked, 1 it did not, 64 wrong usage, 78 wrong configuration."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    old: OldFlags,

    /// The configuration file [default: /etc/ispmon/agent.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send heartbeats until stopped: the service itself, also in a terminal
    Run {
        #[command(flatten)]
        old: OldFlags,
    },
    /// Send one heartbeat and say what came of it
    Ping,
    /// Show every setting, its value and where it came from
    Config {
        /// Print a commented configuration file with all settings at their defaults
        #[arg(long)]
        sample: bool,
    },
}

/// Flags of the time before there were commands.
#[derive(Clone, Copy, Debug, Args)]
struct OldFlags {
    /// Send one heartbeat and end, as `ping` does
    #[arg(long)]
    once: bool,

    /// Accepted for old scripts, without effect: the service manager does that now
    #[arg(long)]
    daemon: bool,
}

/// Understands a command line, program name first.
///
/// # Errors
/// The command line is wrong, or asks for help or the version; [`answer`] says so to the user.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let cli = Cli::try_parse_from(arguments)?;
    let mut old = cli.old;
    let action = match cli.command {
        None => Action::Run,
        Some(Command::Run { old: more }) => {
            old.once |= more.once;
            old.daemon |= more.daemon;
            Action::Run
        }
        Some(Command::Ping) => {
            refuse(old.daemon, "--daemon", "ping")?;
            Action::Ping
        }
        Some(Command::Config { sample }) => {
            refuse(old.once, "--once", "config")?;
            refuse(old.daemon, "--daemon", "config")?;
            Action::Config { sample }
        }
    };
    let action = if old.once && action == Action::Run { Action::Ping } else { action };
    Ok(Invocation { action, config_file: cli.config, flags: cli.flags, daemon: old.daemon })
}

fn refuse(given: bool, flag: &str, command: &str) -> Result<(), clap::Error> {
    if !given {
        return Ok(());
    }
    let mut error = clap::Error::new(ErrorKind::ArgumentConflict).with_cmd(&Cli::command());
    error.insert(ContextKind::InvalidArg, ContextValue::String(flag.to_owned()));
    error.insert(ContextKind::PriorArg, ContextValue::String(command.to_owned()));
    Err(error)
}

/// Prints what clap has to say, help to the standard output and errors to the standard error, and
/// names the exit code: 0 for help and version, 64 for everything else.
pub fn answer(error: &clap::Error) -> Exit {
    // Whoever closed the pipe does not want to read the text, and the exit code says it all.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Success }
}

#[cfg(test)]
mod tests;
