//! The command line: the command to run, and the settings that it overrides.

mod generate;
mod history;
mod service;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};

use history::{OutagesFlags, ReportFlags};

pub use generate::{GenerateRequest, Shell};
pub use history::{Form, OutagesRequest, ReportRequest};
pub use service::ServiceRequest;

use crate::{
    config::{Flags, duration},
    exit::Exit,
    pause::{LONGEST_PAUSE, SHORTEST_PAUSE},
};

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The command to run.
    pub action: CliAction,
    /// The configuration file that `--config` names; without it the default paths are tried.
    pub config_file: Option<PathBuf>,
    /// The settings that the command line overrides.
    pub flags: Flags,
    /// Whether the old flag `--daemon` was given; the reply is [`DAEMON_NOTE`].
    pub daemon: bool,
}

/// One action for each command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CliAction {
    /// Monitors and sends heartbeats until a signal stops it.
    Run,
    /// Sends one heartbeat; the exit code shows whether it was delivered.
    Ping,
    /// Shows the effective settings, or the sample file.
    Config {
        /// Whether to print the sample file instead.
        sample: bool,
    },
    /// Lists the outages in the journal.
    Outages(OutagesRequest),
    /// Computes availability and downtime from the journal.
    Report(ReportRequest),
    /// Shows the status of the running agent.
    Status {
        /// Whether to print JSON.
        json: bool,
    },
    /// Pauses the running agent.
    Pause {
        /// For how long.
        time: Duration,
    },
    /// Ends a pause.
    Resume,
    /// Diagnoses what keeps the agent from working.
    Doctor {
        /// Whether to print JSON.
        json: bool,
    },
    /// Installs, removes, starts or stops the service.
    Service(ServiceRequest),
    /// Verifies the hash chain of the journal.
    VerifyJournal,
    /// Generates man pages or completions.
    Generate(GenerateRequest),
}

/// The reply to the old flag `--daemon`.
pub const DAEMON_NOTE: &str = "--daemon no longer has an effect: the service manager (systemd, launchd) \
     runs the agent in the background.";

/// Records internet outages, and sends heartbeats so that you get a mail when the connection fails.
///
/// ispmon-agent runs on a device at home. It probes the internet every few seconds, finds the cause of
/// an outage, and records it in a journal on the device. Once a minute it sends a heartbeat to the
/// cloud. When heartbeats stop, alert rules in the cloud mail you, although your own connection is down.
/// Without a command it does the same as `run`.
#[derive(Debug, Parser)]
#[command(
    name = "ispmon-agent",
    version,
    verbatim_doc_comment,
    after_help = "\
Settings come from four sources, and each overrides those before it: defaults, the configuration file,
environment variables (ISPMON_DEVICE, ISPMON_HEARTBEAT_URL …), flags. The file is etc/ispmon/agent.toml
in the prefix of the Homebrew that installed this program, otherwise /etc/ispmon/agent.toml, otherwise
a .env file in the current folder that belongs to you.
`ispmon-agent config --sample` explains all settings; `ispmon-agent config` shows the current values.
The function key is never given on the command line: it is in the file that heartbeat.key_file names.

Exit codes: 0 success, 1 failure, 64 wrong usage, 78 wrong configuration."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<AgentCommand>,

    #[command(flatten)]
    old: OldFlags,

    /// Configuration file [default: /etc/ispmon/agent.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum AgentCommand {
    /// Monitor and send heartbeats until stopped, in the foreground; the service runs this
    Run {
        #[command(flatten)]
        old: OldFlags,
    },
    /// Send one heartbeat and print the result
    Ping,
    /// Show every setting, its value and the source of the value
    Config {
        /// Print a commented configuration file with all settings at their defaults
        #[arg(long)]
        sample: bool,
    },
    /// List outages: when, how long, what failed and whose part it was
    ///
    /// Reads the journal that the agent keeps on this device. Needs neither root nor a network, and works
    /// while the agent does not run. Times are local, with their offset from UTC. Degraded connections
    /// and failed heartbeats are listed too, but do not count as downtime.
    #[command(verbatim_doc_comment)]
    Outages(OutagesFlags),
    /// Report the availability of the internet, the provider's part first
    ///
    /// Shows availability, downtime, number of outages, the longest one and the mean time to repair, for
    /// each party and by month, over the monitored time. `report --html report.html` writes one page with
    /// a timeline, to print or to send to the provider. Needs neither root nor a network.
    #[command(verbatim_doc_comment)]
    Report(ReportFlags),
    /// Show the state of the internet connection, and whether the agent runs
    ///
    /// Needs no root. Exit code 0 if the agent runs, whether the internet is up or down; 1 if it does
    /// not run: the state shown is then the last one that it reported.
    #[command(verbatim_doc_comment)]
    Status {
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
    /// Pause monitoring and heartbeats for a time, without an alarm
    ///
    /// The running agent neither monitors nor sends heartbeats until the time is over or you run
    /// `resume`, also across a restart. It announces the silence to the cloud, so that no mail comes
    /// during the pause; the alarm comes if no heartbeat arrives after it. Meant for work on the router
    /// or a move. The journal records the pause as not monitored.
    ///
    /// Allowed for root and for members of the agent's group (ispmon).
    #[command(verbatim_doc_comment)]
    Pause {
        /// Length of the pause, 1 s to 24 h: 2h, 90min, 45 (seconds)
        #[arg(value_name = "TIME", value_parser = pause_time)]
        time: Duration,
    },
    /// End a pause early
    ///
    /// Allowed for root and for members of the agent's group (ispmon).
    #[command(verbatim_doc_comment)]
    Resume,
    /// Diagnose the installation: what does not work, and how to fix it
    ///
    /// Checks the configuration, the agent, its journal, the connection, every server that is probed, the
    /// heartbeats, the clock and the log. Changes nothing, sends no heartbeat, and needs no root. Each
    /// row is PASS, WARN (it works, but needs your attention), FAIL, or SKIP (nothing to check, or the
    /// check was not possible). Exit code 0 if no row is FAIL, otherwise 1.
    #[command(verbatim_doc_comment)]
    Doctor {
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Service(ServiceRequest),
    /// Check the integrity of the journal
    Journal {
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// Generate the man pages and completions that the packages contain
    #[command(hide = true)]
    Generate {
        #[command(subcommand)]
        request: GenerateRequest,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum JournalCommand {
    /// Check that no record was changed or removed
    ///
    /// Reads every record of the journal, compares its hash with the hash that the next record holds, and
    /// prints the first record that was altered. Needs no root. Exit code 1 if there is one.
    #[command(verbatim_doc_comment)]
    Verify,
}

/// Flags from before there were commands.
#[derive(Clone, Copy, Debug, Args)]
struct OldFlags {
    /// Send one heartbeat and exit, like `ping`
    #[arg(long)]
    once: bool,

    /// Accepted for old scripts, has no effect: the service manager does this now
    #[arg(long)]
    daemon: bool,
}

/// Parses a command line, program name first.
///
/// # Errors
/// The command line is wrong, or asks for help or the version; [`answer`] prints that.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    let cli = Cli::from_arg_matches(&matches)?;
    let name = matches.subcommand_name().unwrap_or_default();
    let OldFlags { mut once, mut daemon } = cli.old;
    let mut action = CliAction::Run;
    match cli.command {
        None => {}
        Some(AgentCommand::Run { old }) => {
            once |= old.once;
            daemon |= old.daemon;
        }
        Some(command) => {
            action = command.into();
            // Every command but `ping` is newer than these flags.
            refuse(once && action != CliAction::Ping, "--once", name)?;
            refuse(daemon, "--daemon", name)?;
        }
    }
    if let CliAction::Service(_) = action {
        // The service reads its settings from its file only, so a flag here would have no effect.
        refuse(cli.config.is_some(), "--config", name)?;
        if let Some((flag, _)) = cli.flags.given().first() {
            refuse(true, flag, name)?;
        }
    }
    if once {
        action = CliAction::Ping;
    }
    Ok(Invocation { action, config_file: cli.config, flags: cli.flags, daemon })
}

impl From<AgentCommand> for CliAction {
    fn from(command: AgentCommand) -> Self {
        match command {
            AgentCommand::Run { .. } => Self::Run,
            AgentCommand::Ping => Self::Ping,
            AgentCommand::Config { sample } => Self::Config { sample },
            AgentCommand::Outages(flags) => Self::Outages(flags.into()),
            AgentCommand::Report(flags) => Self::Report(flags.into()),
            AgentCommand::Status { json } => Self::Status { json },
            AgentCommand::Pause { time } => Self::Pause { time },
            AgentCommand::Resume => Self::Resume,
            AgentCommand::Doctor { json } => Self::Doctor { json },
            AgentCommand::Service(request) => Self::Service(request),
            AgentCommand::Journal { command: JournalCommand::Verify } => Self::VerifyJournal,
            AgentCommand::Generate { request } => Self::Generate(request),
        }
    }
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

/// Parses the length of a pause.
fn pause_time(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Some(time) if time < SHORTEST_PAUSE => Err("the shortest pause is 1 s".to_owned()),
        Some(time) if time > LONGEST_PAUSE => {
            Err("the longest pause is 24 h; pause again when it is over".to_owned())
        }
        Some(time) => Ok(time),
        None => {
            Err("this is not a duration; write 2h, 90min or a number of seconds, up to 24 h"
                .to_owned())
        }
    }
}

/// The definition of the command line, from which man pages and completions are generated.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Prints clap's message, help to the standard output and errors to the standard error, and returns
/// the exit code: 0 for help and version, 64 for everything else.
pub fn answer(error: &clap::Error) -> Exit {
    // A reader that closed the pipe does not want the text, and the exit code is enough.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Success }
}

#[cfg(test)]
mod tests;
