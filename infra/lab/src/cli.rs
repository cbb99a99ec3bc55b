//! The command line of `ispmon-lab`.

use std::{
    error::Error,
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{demo, sentence, simulate, timelines, up};

/// The exit code after a command line that makes no sense; `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

const EXAMPLES: &str = "\
Examples:
  ispmon-lab demo
      See a heartbeat, a cut line, the alert mail, a reminder and the resolved mail within a minute.
  ispmon-lab up --listen 127.0.0.1:7071 --mail-dir mails
      Run the cloud side until Ctrl-C; it prints what to try next.
  ispmon-lab simulate --years 10 --seeds 100 --compare threshold=5,5.5,6,6.5,7
      See what a threshold costs and saves in 1,000 years of one device.";

const UP: &str = "\
The stand-in for the Functions host listens for heartbeats and hands them to the real function.
Every five minutes the rules of the deployment look at them and write their mails as .eml files.

Clients need a function key. It comes from --key-file, --key or the variable ISPMON_LAB_KEY;
without any, one is made up. The commands to try are printed.";

const SIMULATE: &str = "\
Each world is made up from a seed: outages, restarts, pauses, lost lines, failures of Azure. A device sends
its heartbeats in it as the agent does, the rules of the deployment look at them as Azure would, and
what they mail is compared with what happened. Equal arguments give equal results.

An outage counts when no heartbeat could reach the cloud for 12 minutes or longer and nobody had
announced it. A false alarm is a mail about silence in which neither the line nor the power nor Azure failed.
A false resolve says that a device is back while its outage lasts.

Examples:
  ispmon-lab simulate
      20 years of one device with the settings of the templates.
  ispmon-lab simulate --years 10 --seeds 100 --compare threshold=5,5.5,6,6.5,7 --html years.html
      Thresholds side by side, in the same worlds, with plots.
  ispmon-lab simulate --compare evaluation=1,5,10,15 --compare interval=30,60,120
      All combinations of two settings.
  ispmon-lab simulate --outages 500 --outage-median 2 --heartbeat-loss 0.02
      A bad line.";

/// The cloud side of ispmon on this machine
///
/// It plays the Functions host, the alert rules and the mail of the real deployment, without an Azure account and
/// without a network.
#[derive(Debug, Parser)]
#[command(name = "ispmon-lab", version, after_help = EXAMPLES)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole product at work, in less than a minute, and check it
    Demo,
    /// Run the cloud side in real time, for the agent, curl or another client
    #[command(after_help = UP)]
    Up(up::Arguments),
    /// Play years of outages in seconds, and count what the alert rules would have mailed
    #[command(after_help = SIMULATE)]
    Simulate(simulate::Arguments),
    /// Print random timelines with what each query yields, for a comparison with another engine
    #[command(hide = true)]
    Timelines {
        /// Decides everything random
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many timelines
        #[arg(long, default_value_t = 300)]
        count: usize,
    },
}

/// Does what the command line asks for; `arguments` begin with the program's name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    match CommandLine::try_parse_from(arguments) {
        Ok(CommandLine { command: Command::Demo }) => demo::main(),
        Ok(CommandLine { command: Command::Up(arguments) }) => up::main(&arguments),
        Ok(CommandLine { command: Command::Simulate(arguments) }) => simulate::main(&arguments),
        Ok(CommandLine { command: Command::Timelines { seed, count } }) => {
            match timelines::write(seed, count, io::BufWriter::new(io::stdout().lock())) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    complain(&error);
                    ExitCode::FAILURE
                }
            }
        }
        Err(answer) => {
            // `--help` and `--version` are answers too. There is nobody to tell when it cannot be printed.
            let _ = answer.print();
            if answer.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
        }
    }
}

/// Prints an error and its causes to standard error, as one line.
pub fn complain(error: &dyn Error) {
    // There is nobody to tell when it cannot be printed.
    let _ = writeln!(io::stderr(), "ispmon-lab: {}", sentence::of(error));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn help(of: &str) -> String {
        let mut command = CommandLine::command();
        command.build();
        let command = match of {
            "" => &mut command,
            name => command.find_subcommand_mut(name).expect("a command"),
        };
        command.render_help().to_string()
    }

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn help_is_for_strangers() {
        insta::assert_snapshot!(help(""), @r"
        The cloud side of ispmon on this machine

        Usage: ispmon-lab <COMMAND>

        Commands:
          demo      Show the whole product at work, in less than a minute, and check it
          up        Run the cloud side in real time, for the agent, curl or another client
          simulate  Play years of outages in seconds, and count what the alert rules would have mailed
          help      Print this message or the help of the given subcommand(s)

        Options:
          -h, --help     Print help (see more with '--help')
          -V, --version  Print version

        Examples:
          ispmon-lab demo
              See a heartbeat, a cut line, the alert mail, a reminder and the resolved mail within a minute.
          ispmon-lab up --listen 127.0.0.1:7071 --mail-dir mails
              Run the cloud side until Ctrl-C; it prints what to try next.
          ispmon-lab simulate --years 10 --seeds 100 --compare threshold=5,5.5,6,6.5,7
              See what a threshold costs and saves in 1,000 years of one device.
        ");
        insta::assert_snapshot!(help("up"), @r"
        Run the cloud side in real time, for the agent, curl or another client

        Usage: ispmon-lab up [OPTIONS]

        Options:
              --listen <ADDRESS:PORT>    The address to listen on; port 0 picks a free one [default: 127.0.0.1:7071]
              --mail-dir <FOLDER>        The folder that mails are written to [default: mails]
              --device <NAME>            A device that the rules watch; may be given several times [default: dl-home]
              --key <KEY>                The function key; other users can see it in the list of processes
              --key-file <FILE>          A file that holds the function key
              --ingestion-delay <DELAY>  Seconds until the rules see a heartbeat, or `azure` for delays as there [default: azure]
          -h, --help                     Print help

        The stand-in for the Functions host listens for heartbeats and hands them to the real function.
        Every five minutes the rules of the deployment look at them and write their mails as .eml files.

        Clients need a function key. It comes from --key-file, --key or the variable ISPMON_LAB_KEY;
        without any, one is made up. The commands to try are printed.
        ");
    }

    #[test]
    fn settings_that_make_no_sense_are_not_simulated() {
        for (arguments, expected) in [
            (&["--threshold", "5.55"][..], "whole tenths"),
            (&["--threshold", "0"], "1 to 120"),
            (&["--evaluation", "7"], "1, 5, 10, 15"),
            (&["--interval", "5"], "10 to 3600"),
            (&["--years", "0"], "1..=100"),
            (&["--seeds", "-1"], "unexpected argument"),
            (&["--compare", "threshold"], "threshold=5,5.5,6"),
            (&["--compare", "threshold=5,"], "1 to 120"),
            (&["--compare", "colour=red"], "no setting"),
            (&["--heartbeat-loss", "0.6"], "0 to 0.5"),
            (&["--outages", "NaN"], "0 to 10000"),
            (&["--outages", "inf"], "0 to 10000"),
            (&["--jitter", "121"], "0 to 120"),
            (&["--devices", "0"], "1..=5000"),
        ] {
            let line = ["ispmon-lab", "simulate"].iter().chain(arguments);
            let error = CommandLine::try_parse_from(line).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn bad_values_are_refused_with_the_reason() {
        for (arguments, expected) in [
            (&["--device", "a,b"][..], "comma"),
            (&["--device", " "], "not empty"),
            (&["--key", "two words"], "visible ASCII"),
            (&["--ingestion-delay", "soon"], "0 to 3600"),
            (&["--listen", "localhost"], "invalid socket address"),
            (&["--key", "a", "--key-file", "b"], "cannot be used with"),
        ] {
            let line = ["ispmon-lab", "up"].iter().chain(arguments);
            let error = CommandLine::try_parse_from(line).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
