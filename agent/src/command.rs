//! The commands, one module each. Results go to standard output, everything else to standard error.

pub mod config;
pub mod doctor;
pub mod generate;
pub mod history;
pub mod install;
pub mod journal;
pub mod pause;
pub mod ping;
pub mod run;
mod running;
pub mod status;

use std::{
    env, fmt,
    io::{self, ErrorKind, StdoutLock, Write},
};

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::{
    cli::{self, CliAction, Invocation},
    clock,
    config::{ConfigError, Loaded, Reader, Sources, load},
    error_chain::ErrorChain,
    exit::Exit,
    heartbeat::ClientError,
    printable::PrintableWriter,
};

/// Runs the command that the command line names.
pub fn execute(invocation: &Invocation) -> Exit {
    if invocation.daemon {
        print_error(cli::DAEMON_NOTE);
    }
    if invocation.action == (CliAction::Config { sample: true }) {
        return print(config::write_sample);
    }
    if let CliAction::Generate(request) = &invocation.action {
        return generate::generate(request);
    }
    let mut sources =
        match Sources::of_this_process(invocation.config_file.clone(), invocation.flags.clone()) {
            Ok(sources) => sources,
            Err(error) => {
                return fail(format_args!(
                    "the current folder cannot be used: {error}; start again in another one."
                ));
            }
        };
    if invocation.action == CliAction::Run {
        sources.reader = Reader::Service;
    }
    // These concern the agent that already runs, whatever the configuration contains now.
    match &invocation.action {
        CliAction::Outages(request) => return history::outages(&sources, request),
        CliAction::Report(request) => return history::report(&sources, request),
        CliAction::Status { json } => return status::status(&sources, *json),
        CliAction::Pause { time } => return pause::pause(&sources, *time),
        CliAction::Resume => return pause::resume(&sources),
        CliAction::Service(request) => return install::execute(request, &sources),
        CliAction::VerifyJournal => return journal::verify_journal(&sources),
        CliAction::Doctor { json } => return doctor::doctor(&sources, *json),
        CliAction::Run | CliAction::Ping | CliAction::Config { .. } | CliAction::Generate(_) => {}
    }
    let loaded = match load(&sources) {
        Ok(loaded) => loaded,
        Err(error) => {
            if invocation.action == CliAction::Run {
                run::report_refusal(&error, &sources);
            }
            return refuse(&error);
        }
    };
    match invocation.action {
        CliAction::Run => run::run(loaded, sources),
        CliAction::Ping => ping::ping(&loaded),
        _ => {
            warn(&loaded);
            print(|output| config::write_settings(&loaded, output))
        }
    }
}

/// Reports the problems of the configuration, one line each. A configuration that this user may not read is
/// not wrong.
fn refuse(error: &ConfigError) -> Exit {
    for problem in error.problems() {
        print_error(problem);
    }
    if error.is_forbidden() { Exit::Failure } else { Exit::Configuration }
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        print_error(format_args!("warning: {warning}"));
    }
}

/// Reports why the command failed.
fn fail(reason: impl fmt::Display) -> Exit {
    print_error(reason);
    Exit::Failure
}

/// Reports why the command failed, with the whole error chain.
fn fail_because(error: &dyn std::error::Error) -> Exit {
    fail(format_args!("{}.", ErrorChain(error)))
}

/// Reports why no heartbeat can be sent. An error in the user's settings is a configuration error.
fn fail_without_client(error: &ClientError) -> Exit {
    let exit = fail_because(error);
    match error {
        ClientError::NoUrl | ClientError::Key | ClientError::Proxy(_) => Exit::Configuration,
        ClientError::Tls(_) | ClientError::Http(_) => exit,
    }
}

fn print_error(text: impl fmt::Display) {
    // When standard error cannot be written, there is nowhere left to report it.
    let _ = writeln!(PrintableWriter::new(io::stderr()), "ispmon-agent: {text}");
}

/// The time zone to show times in. Warns when the one in `TZ` is unknown.
fn zone() -> TimeZone {
    clock::zone().unwrap_or_else(|| {
        if let Some(name) = env::var_os("TZ") {
            print_error(format_args!(
                "warning: the time zone {} in the variable TZ is not known here, so times are shown in UTC.",
                name.display()
            ));
        }
        TimeZone::UTC
    })
}

/// Standard output, with control characters made safe for a terminal.
type CommandOutput = PrintableWriter<StdoutLock<'static>>;

/// Writes a value to standard output as JSON.
fn print_json(value: &impl Serialize) -> Exit {
    print(|output| {
        serde_json::to_writer_pretty(&mut *output, value)?;
        writeln!(output)
    })
}

/// Writes a result to standard output. A reader that closes the pipe early (`… | head`) is no failure.
fn print(write: impl FnOnce(&mut CommandOutput) -> io::Result<()>) -> Exit {
    match write(&mut PrintableWriter::new(io::stdout().lock())) {
        Ok(()) => Exit::Success,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Success,
        Err(error) => fail(format_args!("standard output cannot be written: {error}")),
    }
}
