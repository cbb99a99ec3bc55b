//! The command line of `ispmon-lab`.

use std::{ffi::OsString, io, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{demo, evaluate, exit, simulate, timelines, up};

/// Exit code for a bad command line; `EX_USAGE` of sysexits.h.
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
its heartbeats in it as the agent does, the rules of the deployment evaluate them as Azure would, and
what they mail is compared with what happened. Equal arguments give equal results.

An outage counts when no heartbeat could reach the cloud for 12 minutes or longer without an announcement.
A false alarm is a mail about silence in which neither the connection nor the power nor Azure failed.
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
struct LabCommandLine {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Debug, Subcommand)]
enum LabCommand {
    /// Show the whole product at work, in less than a minute, and check it
    Demo,
    /// Run the cloud side in real time, for the agent, curl or another client
    #[command(after_help = UP)]
    Up(up::UpArguments),
    /// Play years of outages in seconds, and count what the alert rules would have mailed
    #[command(after_help = SIMULATE)]
    Simulate(simulate::SimulateArguments),
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
    /// Answer queries on given rows, a JSON line each, for a comparison with another engine
    #[command(hide = true)]
    Evaluate,
}

/// Runs the command; `arguments` begin with the program's name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    match LabCommandLine::try_parse_from(arguments) {
        Ok(LabCommandLine { command: LabCommand::Demo }) => demo::main(),
        Ok(LabCommandLine { command: LabCommand::Up(arguments) }) => up::main(&arguments),
        Ok(LabCommandLine { command: LabCommand::Simulate(arguments) }) => {
            simulate::main(&arguments)
        }
        Ok(LabCommandLine { command: LabCommand::Timelines { seed, count } }) => {
            let out = io::BufWriter::new(io::stdout().lock());
            exit::code(timelines::write(seed, count, out))
        }
        Ok(LabCommandLine { command: LabCommand::Evaluate }) => {
            exit::code(evaluate::evaluate(io::stdin().lock(), io::stdout().lock()))
        }
        Err(answer) => {
            // `--help` and `--version` arrive here, too. If printing fails, the error cannot be
            // reported either.
            let _ = answer.print();
            if answer.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn help(of: &str) -> String {
        let mut command = LabCommandLine::command();
        command.build();
        let command = match of {
            "" => &mut command,
            name => command.find_subcommand_mut(name).expect("a command"),
        };
        command.render_help().to_string()
    }

    #[test]
    fn the_command_definition_is_valid() {
        LabCommandLine::command().debug_assert();
    }

    #[test]
    fn help_matches_the_snapshot() {
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
              --device <NAME>            A device that the rules monitor; may be given several times [default: dl-home]
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
    fn help_of_simulate_names_every_assumption_and_its_source() {
        insta::assert_snapshot!(help("simulate"), @r"
        Play years of outages in seconds, and count what the alert rules would have mailed

        Usage: ispmon-lab simulate [OPTIONS]

        Options:
              --years <COUNT>             Years of each world [default: 1]
              --seeds <COUNT>             How many worlds, each made up from a seed of its own [default: 20]
              --first-seed <NUMBER>       The seed of the first world [default: 1]
              --threshold <MINUTES>       Minutes of silence from which a device counts as silent (`SILENCE_MINUTES`) [default: the templates']
              --evaluation <MINUTES>      Minutes between two evaluations of a rule (`EVALUATION_MINUTES`) [default: the templates']
              --interval <SECONDS>        Seconds between two heartbeats (`HEARTBEAT_INTERVAL`) [default: 60]
              --compare <SETTING=VALUES>  Values of a setting side by side, such as `threshold=5,5.5,6`; given twice, all combinations
              --devices <COUNT>           Devices that the price is for [default: 1]
              --json                      Print JSON instead of the table
              --html <FILE>               Write a page with plots, which needs nothing from elsewhere
          -h, --help                      Print help

        Assumptions:
              --outages <COUNT>            Times a year that the connection or the power fails; once a week for 17 of 100 households (Cisco 2013) [default: 52]
              --outage-median <MINUTES>    Median length of an outage in minutes, log-normal, cut to 1 s … 7 d; assumed [default: 6]
              --outage-spread <SIGMA>      How widely the lengths spread: 1.8 makes 3 of 10 longer than 15 min, 1 of 1,000 longer than a day [default: 1.8]
              --power-cuts <PART>          Part of the outages that are power cuts: the agent starts anew behind them; assumed [default: 0.1]
              --heartbeat-loss <PART>      Part of the heartbeats that time out although the connection is up; assumed [default: 0.002]
              --lost-buffers <COUNT>       Times a year that the host ends with its last 30 s of lines unsent; how often is not known (its channel buffers 30 s: ApplicationInsights-dotnet #1743, azure-functions-host #5341) [default: 52]
              --cold-starts <PART>         Part of the heartbeats that wait 1.5 to 10 s for a cold start (azure-functions-host #11526) [default: 0.1]
              --delay-p99 <SECONDS>        Ingestion delay that 99 of 100 lines stay below, in seconds; measured over 7 days of a rule [default: 49]
              --delay-worst <SECONDS>      Longest ingestion delay in seconds, which one line of 10,000 reaches; measured in the same 7 days [default: 203]
              --overtaking                 Let lines overtake each other: without it a delayed line holds up those behind it, which is worse
              --jitter <SECONDS>           How far an evaluation is early or late at most, in seconds; assumed [default: 60]
              --restarts <COUNT>           Restarts a year, half of the device (30 to 120 s), half of the agent alone (1 to 5 s); assumed [default: 24]
              --pauses <COUNT>             Pauses and sleeps a year, each announced and at most 12 h long, median 1 h; assumed [default: 24]
              --platform-down <HOURS>      Hours a year in which Azure fails, a third each: function, ingestion, rules (99.95 % SLA: 4.4 h) [default: 4.4]
              --platform-failures <COUNT>  Failures of Azure a year over which these hours are spread; assumed [default: 6]
              --mail-limit <COUNT>         Mails an hour that an address gets at most (Azure's limit for action groups) [default: 100]

        Each world is made up from a seed: outages, restarts, pauses, lost lines, failures of Azure. A device sends
        its heartbeats in it as the agent does, the rules of the deployment evaluate them as Azure would, and
        what they mail is compared with what happened. Equal arguments give equal results.

        An outage counts when no heartbeat could reach the cloud for 12 minutes or longer without an announcement.
        A false alarm is a mail about silence in which neither the connection nor the power nor Azure failed.
        A false resolve says that a device is back while its outage lasts.

        Examples:
          ispmon-lab simulate
              20 years of one device with the settings of the templates.
          ispmon-lab simulate --years 10 --seeds 100 --compare threshold=5,5.5,6,6.5,7 --html years.html
              Thresholds side by side, in the same worlds, with plots.
          ispmon-lab simulate --compare evaluation=1,5,10,15 --compare interval=30,60,120
              All combinations of two settings.
          ispmon-lab simulate --outages 500 --outage-median 2 --heartbeat-loss 0.02
              A bad line.
        ");
    }

    #[test]
    fn invalid_settings_are_refused_by_simulate() {
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
            let error = LabCommandLine::try_parse_from(line).expect_err(expected).to_string();
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
            let error = LabCommandLine::try_parse_from(line).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
