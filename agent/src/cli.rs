//! The command line: what the agent is asked to do, and the settings that are given with it.

mod generate;
mod history;
mod service;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    Args, CommandFactory, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};

use history::{OutagesFlags, ReportFlags};
use service::{InstallFlags, UninstallFlags};

pub use generate::{GenerateRequest, Shell};
pub use history::{Form, OutagesRequest, ReportRequest};
pub use service::ServiceRequest;

use crate::{
    config::{Flags, duration},
    exit::Exit,
    pause::{LONGEST_PAUSE, SHORTEST_PAUSE},
};

/// What one start of the program is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub action: CliAction,
    /// The configuration file that `--config` names; without it the default places are looked at.
    pub config_file: Option<PathBuf>,
    /// The settings that the command line overrides.
    pub flags: Flags,
    /// Whether the old flag `--daemon` was given, to which the answer is [`DAEMON_NOTE`].
    pub daemon: bool,
}

/// The actions of the program, one for each command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CliAction {
    /// Sends heartbeats until a signal ends it.
    Run,
    /// Sends one heartbeat; the exit code tells whether it arrived.
    Ping,
    /// Shows the effective settings, or the sample file.
    Config {
        /// Whether the sample file is asked for.
        sample: bool,
    },
    /// Lists what the record knows of outages.
    Outages(OutagesRequest),
    /// Adds up what the record knows.
    Report(ReportRequest),
    /// Shows what the running agent knows.
    Status {
        /// Whether for programs.
        json: bool,
    },
    /// Has the running agent look away.
    Pause {
        /// For how long.
        time: Duration,
    },
    /// Has it look again.
    Resume,
    /// Looks for what keeps the agent from its work.
    Doctor {
        /// Whether for programs.
        json: bool,
    },
    /// Installs, removes, starts or stops the service.
    Service(ServiceRequest),
    /// Compares every line of the record with the one before it.
    VerifyJournal,
    /// Makes man pages or completions.
    Generate(GenerateRequest),
}

/// What the old flag `--daemon` is answered with.
pub const DAEMON_NOTE: &str = "--daemon has no effect any more: the service manager (systemd, launchd) \
     runs the agent in the background now.";

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
(ISPMON_DEVICE, ISPMON_HEARTBEAT_URL …), flags. The file is etc/ispmon/agent.toml of the Homebrew that
installed this program, else /etc/ispmon/agent.toml, else a .env of yours in the current folder.
`ispmon-agent config --sample` explains all settings, `ispmon-agent config` shows those in force.
The function key is never given here: it stands in the file that heartbeat.key_file names.

Exit codes: 0 it worked, 1 it did not, 64 wrong usage, 78 wrong configuration."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<AgentCommand>,

    #[command(flatten)]
    old: OldFlags,

    /// The configuration file [default: /etc/ispmon/agent.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum AgentCommand {
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
    /// List the outages: when, how long, what failed and whose part it was
    ///
    /// Reads the record that the agent keeps on this device; needs neither root nor network, and works
    /// while the agent does not run. Times are local, with their offset from UTC. Bad lines and failed
    /// heartbeats are listed, too, but are no downtime.
    #[command(verbatim_doc_comment)]
    Outages(OutagesFlags),
    /// Report how available the internet was, the provider's part first
    ///
    /// Availability, downtime, count, longest and mean time to repair, for each party and by month,
    /// over the time that was watched. `report --html report.html` makes one page with a timeline that
    /// can be printed or sent to the provider. Needs neither root nor network.
    #[command(verbatim_doc_comment)]
    Report(ReportFlags),
    /// Show how the internet is, and whether the agent runs
    ///
    /// Needs no root. Exit code 0 when the agent runs, whatever it says of the internet; 1 when it
    /// does not, so that what is shown is the past.
    #[command(verbatim_doc_comment)]
    Status {
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
    /// Have the agent look away for a time, without an alarm
    ///
    /// The running agent neither monitors nor sends heartbeats until the time is over or `resume` is
    /// given, also across a restart. The cloud is told, so that no mail comes meanwhile; it comes when
    /// the time is over and no heartbeat does. Meant for work on the router or a move. The record
    /// notes the time as not monitored.
    ///
    /// Open to root and to members of the agent's group (ispmon).
    #[command(verbatim_doc_comment)]
    Pause {
        /// For how long, 1 s to 24 h: 2h, 90min, 45 (seconds)
        #[arg(value_name = "TIME", value_parser = pause_time)]
        time: Duration,
    },
    /// End a pause before its time is over
    ///
    /// Open to root and to members of the agent's group (ispmon).
    #[command(verbatim_doc_comment)]
    Resume,
    /// Find out what keeps the agent from its work, and what to do about it
    ///
    /// Looks at the configuration, the agent, its record, the line and everyone who is asked about it,
    /// the heartbeats, the clock and the log. Changes nothing, sends no heartbeat, and needs no root.
    /// Each row is PASS, WARN (it works, but you should know), FAIL, or SKIP (nothing to check, or it
    /// could not be checked). Exit code 0 when no row is FAIL, else 1.
    #[command(verbatim_doc_comment)]
    Doctor {
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
    /// Make the agent a service of this system and start it
    ///
    /// Copies this program to /usr/local/bin, wherever it was started from; writes the service's
    /// definition, a configuration file and an empty key file where there are none, and makes the
    /// unprivileged user that the service runs as. Then starts it, now and with every boot. When a step
    /// fails, those before it are undone. Doing it again changes nothing; a newer program replaces the
    /// older one and the service is restarted. What a package has installed is left alone.
    #[command(verbatim_doc_comment)]
    Install(InstallFlags),
    /// Stop the service and remove what `install` has put there
    ///
    /// Keeps the record of outages, the configuration and the key for a later installation. What a
    /// package has installed is left alone.
    #[command(verbatim_doc_comment)]
    Uninstall(UninstallFlags),
    /// Start the installed service and wait until it runs
    Start,
    /// Stop the installed service until the next boot
    Stop,
    /// Stop the installed service and start it again
    Restart,
    /// Look after the record of outages itself
    Journal {
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// Make the man pages and completions that the packages contain
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
    /// Reads every line, compares its hash with the one that the next line names, and names the first
    /// record that is not as it was written. Needs no root. Exit code 1 when there is one.
    #[command(verbatim_doc_comment)]
    Verify,
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
        None => CliAction::Run,
        Some(AgentCommand::Run { old: more }) => {
            old.once |= more.once;
            old.daemon |= more.daemon;
            CliAction::Run
        }
        Some(AgentCommand::Ping) => {
            refuse(old.daemon, "--daemon", "ping")?;
            CliAction::Ping
        }
        Some(AgentCommand::Config { sample }) => {
            old.refuse("config", CliAction::Config { sample })?
        }
        Some(AgentCommand::Outages(flags)) => {
            old.refuse("outages", CliAction::Outages(flags.into()))?
        }
        Some(AgentCommand::Report(flags)) => {
            old.refuse("report", CliAction::Report(flags.into()))?
        }
        Some(AgentCommand::Status { json }) => old.refuse("status", CliAction::Status { json })?,
        Some(AgentCommand::Pause { time }) => old.refuse("pause", CliAction::Pause { time })?,
        Some(AgentCommand::Resume) => old.refuse("resume", CliAction::Resume)?,
        Some(AgentCommand::Doctor { json }) => old.refuse("doctor", CliAction::Doctor { json })?,
        Some(AgentCommand::Install(flags)) => {
            old.refuse("install", CliAction::Service(flags.into()))?
        }
        Some(AgentCommand::Uninstall(flags)) => {
            old.refuse("uninstall", CliAction::Service(flags.into()))?
        }
        Some(AgentCommand::Start) => {
            old.refuse("start", CliAction::Service(ServiceRequest::Start))?
        }
        Some(AgentCommand::Stop) => old.refuse("stop", CliAction::Service(ServiceRequest::Stop))?,
        Some(AgentCommand::Restart) => {
            old.refuse("restart", CliAction::Service(ServiceRequest::Restart))?
        }
        Some(AgentCommand::Journal { command: JournalCommand::Verify }) => {
            old.refuse("journal verify", CliAction::VerifyJournal)?
        }
        Some(AgentCommand::Generate { request }) => {
            old.refuse("generate", CliAction::Generate(request))?
        }
    };
    if let CliAction::Service(request) = &action {
        // The service reads its file: a flag that has no effect would be believed to have one.
        refuse(cli.config.is_some(), "--config", request.name())?;
        if let Some((flag, _)) = cli.flags.given().first() {
            refuse(true, flag, request.name())?;
        }
    }
    let action = if old.once && action == CliAction::Run { CliAction::Ping } else { action };
    Ok(Invocation { action, config_file: cli.config, flags: cli.flags, daemon: old.daemon })
}

impl OldFlags {
    /// Refuses both beside a command that came after them.
    fn refuse(self, command: &str, action: CliAction) -> Result<CliAction, clap::Error> {
        refuse(self.once, "--once", command)?;
        refuse(self.daemon, "--daemon", command)?;
        Ok(action)
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

/// Reads how long a pause lasts.
fn pause_time(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Some(time) if time < SHORTEST_PAUSE => Err("a pause lasts 1 s at least".to_owned()),
        Some(time) if time > LONGEST_PAUSE => {
            Err("a pause lasts 24 h at most; pause again when that is over".to_owned())
        }
        Some(time) => Ok(time),
        None => Err("it is no duration such as 2h, 90min or a number of seconds".to_owned()),
    }
}

/// The definition of the command line, for what is made from it.
pub fn definition() -> clap::Command {
    Cli::command()
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
