//! `ispmon-agent install`, `uninstall`, `start`, `stop` and `restart`.

use std::{
    env, fs,
    io::{self, BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{fail, fail_because, print, print_error, refuse, warn};
use crate::{
    cli::ServiceRequest,
    config::{Loaded, Sources, load_text},
    error_chain::ErrorChain,
    exit::Exit,
    install::{
        execute::{InstallFailure, execute as carry_out},
        facts::{Activity, InstallFacts},
        gather::{gather, running_program},
        import::{ImportError, Imported, import},
        layout::Platform,
        machine::TargetSystem,
        order::{Order, plan_order},
        plan::{InstallRequest, Plan, RemovalRequest, plan_installation, plan_removal, quoted},
        refusal::InstallRefusal,
        service,
        show::show,
    },
};

/// Runs one of the commands that manage the service.
pub fn execute(request: &ServiceRequest, sources: &Sources) -> Exit {
    let Some(platform) = Platform::of_this_build() else {
        return fail(InstallRefusal::UnknownPlatform(env::consts::OS.to_owned()));
    };
    let machine = TargetSystem::this();
    let facts = match running_program().and_then(|program| gather(&machine, platform, program)) {
        Ok(facts) => facts,
        Err(error) => {
            return fail(format_args!("the program that runs now cannot be found: {error}."));
        }
    };
    match request {
        ServiceRequest::Install { is_shown_only, from_env } => {
            let imported = match from_env.as_deref() {
                Some(path) => match import_dotenv(path, &facts, sources) {
                    Ok(imported) => Some(imported),
                    Err(exit) => return exit,
                },
                None => None,
            };
            let (imported, warnings) = imported.unzip();
            let exit = install(&machine, &facts, imported, *is_shown_only);
            if exit == Exit::Success {
                warnings.iter().for_each(warn);
            }
            exit
        }
        ServiceRequest::Uninstall { is_shown_only, is_purge, is_confirmed } => {
            let removal = RemovalRequest {
                is_purge: *is_purge,
                is_shown_only: *is_shown_only,
                command: uninstall_command(&facts, *is_purge),
            };
            let elsewhere = custom_state_dir(&facts, sources);
            uninstall(&machine, &facts, &removal, *is_confirmed, elsewhere)
        }
        ServiceRequest::Start => order(&machine, &facts, Order::Start),
        ServiceRequest::Stop => order(&machine, &facts, Order::Stop),
        ServiceRequest::Restart => order(&machine, &facts, Order::Restart),
    }
}

fn install(
    machine: &TargetSystem,
    facts: &InstallFacts,
    imported: Option<Imported>,
    is_shown_only: bool,
) -> Exit {
    let program = shell_word(&facts.program);
    let command = match &imported {
        Some(Imported { from, .. }) => {
            format!("{program} install --from-env {}", shell_word(from))
        }
        None => format!("{program} install"),
    };
    let request = InstallRequest { imported, is_shown_only, command };
    let plan = match plan_installation(facts, &request) {
        Ok(plan) => plan,
        Err(refusal) => return fail(&refusal),
    };
    if is_shown_only {
        return print(|output| show(&plan, output));
    }
    let is_new = facts.service.activity != Activity::Running;
    let outcome = if plan.is_empty() {
        "ispmon-agent was installed already and runs: nothing was changed."
    } else if is_new {
        "ispmon-agent is installed and runs, now and after every boot."
    } else {
        "ispmon-agent is up to date and runs."
    };
    apply_plan(machine, &plan, outcome)
}

fn shell_word(path: &Path) -> String {
    quoted(&path.to_string_lossy()).into_owned()
}

/// Imports an old `.env`; also returns the configuration with the warnings that the service would log.
fn import_dotenv(
    path: &Path,
    facts: &InstallFacts,
    sources: &Sources,
) -> Result<(Imported, Loaded), Exit> {
    let key_file = facts.entry(&facts.layout().key);
    import(&sources.folder.join(path), facts.platform, key_file, sources).map_err(|error| {
        let exit = match &error {
            ImportError::Config(problems) => refuse(problems),
            error => {
                print_error(format_args!("{}.", ErrorChain(error)));
                Exit::Configuration
            }
        };
        print_error("nothing was changed.");
        exit
    })
}

fn uninstall_command(facts: &InstallFacts, is_purge: bool) -> String {
    let purge = if is_purge { " --purge" } else { "" };
    format!("{} uninstall{purge}", shell_word(&facts.program))
}

fn uninstall(
    machine: &TargetSystem,
    facts: &InstallFacts,
    request: &RemovalRequest,
    is_confirmed: bool,
    elsewhere: Option<PathBuf>,
) -> Exit {
    let mut plan = match plan_removal(facts, request) {
        Ok(plan) => plan,
        Err(refusal) => return fail(&refusal),
    };
    if let Some(folder) = elsewhere.filter(|_| request.is_purge) {
        plan.notes.push(format!(
            "The setting state_dir names {} for the journal, which was kept: remove it yourself.",
            folder.display()
        ));
    }
    if request.is_shown_only {
        return print(|output| show(&plan, output));
    }
    if plan.is_empty() {
        return apply_plan(machine, &plan, "");
    }
    if request.is_purge && !is_confirmed {
        match confirm(&plan) {
            Ok(true) => {}
            Ok(false) => return fail("nothing was removed."),
            Err(error) => return fail(format_args!("the answer cannot be read: {error}.")),
        }
    }
    let outcome = match facts.package() {
        Some(_) => "What install had written is removed.",
        None => "ispmon-agent is removed.",
    };
    apply_plan(machine, &plan, outcome)
}

/// The journal's folder, if the configuration sets one other than the default.
fn custom_state_dir(facts: &InstallFacts, sources: &Sources) -> Option<PathBuf> {
    let path = facts.layout().configuration;
    let text = fs::read_to_string(&path).ok()?;
    let folder = load_text(&path, &text, None, sources).ok()?.settings.state_dir?;
    (folder != facts.layout().state_dir).then_some(folder)
}

/// Asks the user to confirm a purge; `false` when standard input is no terminal.
fn confirm(plan: &Plan) -> io::Result<bool> {
    let (input, mut output) = (io::stdin().lock(), io::stderr().lock());
    if !input.is_terminal() {
        writeln!(
            output,
            "ispmon-agent: standard input is no terminal; to purge without confirmation: --yes"
        )?;
        return Ok(false);
    }
    writeln!(output, "This removes for good:")?;
    for loss in plan.losses() {
        writeln!(output, "  {loss}")?;
    }
    write!(output, "Type yes to go on: ")?;
    output.flush()?;
    let mut answer = String::new();
    { input }.read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

/// Carries a plan out and reports the outcome.
fn apply_plan(machine: &TargetSystem, plan: &Plan, outcome: &str) -> Exit {
    let is_interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&is_interrupted)) {
            return fail(format_args!("signals cannot be caught: {error}."));
        }
    }
    let mut report = |line: &str| {
        // The work continues even if standard output is closed.
        let _ = print(|output| writeln!(output, "{line}"));
    };
    let stayed = match carry_out(plan, machine, &is_interrupted, &mut report) {
        Ok(stayed) => stayed,
        Err(failure) => return explain(&failure),
    };
    if !stayed.is_empty() {
        let exit = fail("done, but this could not be removed:");
        print_lines(&stayed);
        return exit;
    }
    print(|output| {
        if !outcome.is_empty() {
            writeln!(output, "{outcome}")?;
        }
        plan.notes.iter().try_for_each(|note| writeln!(output, "{note}"))
    })
}

fn explain(failure: &InstallFailure) -> Exit {
    let exit = fail_because(failure);
    if !failure.explanation.is_empty() {
        print_error("this is what the service wrote last:");
        print_lines(&failure.explanation);
    }
    if failure.remaining.is_empty() {
        print_error("everything is as it was before.");
    } else {
        print_error("everything that was done is undone, except:");
        print_lines(&failure.remaining);
    }
    exit
}

fn order(machine: &TargetSystem, facts: &InstallFacts, order: Order) -> Exit {
    let plan = match plan_order(facts, order) {
        Ok(plan) => plan,
        Err(refusal) => return fail(&refusal),
    };
    let failure = plan.commands.iter().find_map(|command| {
        let error = service::run(machine, command).err()?;
        Some(format!("could not run {command}: {}.", ErrorChain(&error)))
    });
    let is_started = order != Order::Stop && !plan.commands.is_empty();
    let exit = match failure {
        Some(reason) => fail(reason),
        None if is_started && !service::is_running(machine, facts.platform) => {
            fail("the service does not run.")
        }
        None => return print(|output| writeln!(output, "{}", plan.outcome)),
    };
    if order != Order::Stop {
        print_lines(&service::recent_output(machine, facts.platform));
    }
    exit
}

/// Prints the details of a failure.
fn print_lines(lines: &[String]) {
    for line in lines {
        print_error(format_args!("  {line}"));
    }
}
