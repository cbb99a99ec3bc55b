//! The plan of `install`.
//!
//! The program is copied to a fixed path, wherever it was started from: a build folder, `/tmp` or a mounted
//! image can vanish, and then a service that runs from there fails. No other path is ever registered.

use std::path::Path;

use super::{
    CommandLine, Content, FileOwner, InstallStep, OnFailure, Plan, UndoStep, account,
    configuration, files::PlanBuilder,
};
use crate::install::{
    description::{LABEL, OLDEST_SYSTEMD, UNIT},
    facts::{AccountMaker, AccountState, Activity, BootStart, InstallFacts, Package, PathEntry},
    import::Imported,
    layout::{CATALOG_TEXT, Layout, PLIST_TEXT, Platform, PlatformPaths, SYSUSERS_TEXT, UNIT_TEXT},
    refusal::{InstallRefusal, ManagerUse, start_advice},
};

/// The options of an installation.
#[derive(Clone, Debug)]
pub struct InstallRequest {
    /// The settings of an old `.env`.
    pub imported: Option<Imported>,
    /// Whether the plan is only shown, which does not need root.
    pub is_shown_only: bool,
    /// The command line to show after `sudo`.
    pub command: String,
}

/// Makes the plan of an installation. It has no steps when everything is up to date.
///
/// # Errors
/// ispmon-agent cannot or must not be installed here.
pub fn plan_installation(
    facts: &InstallFacts,
    request: &InstallRequest,
) -> Result<Plan, InstallRefusal> {
    let layout = facts.layout();
    let imported = request.imported.as_ref();
    let is_packaged = facts.package().is_some();
    check(facts, &layout, request)?;
    if !facts.is_root && !request.is_shown_only {
        return Err(InstallRefusal::NotRoot { command: request.command.clone() });
    }
    let mut files = PlanBuilder::new(facts);
    if !is_packaged {
        add_program(&mut files, facts, &layout);
    }
    match &layout.platform_paths {
        PlatformPaths::Systemd { .. } if is_packaged => {
            configuration::add_configuration(&mut files, facts, imported, FileOwner::Root)?;
            start_by_systemd(&mut files, facts, &layout, false);
        }
        PlatformPaths::Systemd { sysusers, catalog, .. } => {
            let is_made_otherwise = match facts.account {
                AccountState::Absent(maker) => maker != AccountMaker::Sysusers,
                AccountState::Exists { .. } => facts.entry(sysusers).is_none(),
            };
            if !is_made_otherwise {
                files.add_file(sysusers, 0o644, FileOwner::Root, text(SYSUSERS_TEXT));
            }
            files.steps.extend(account::creation(facts));
            configuration::add_configuration(&mut files, facts, imported, FileOwner::Root)?;
            add_catalog(&mut files, catalog);
            start_by_systemd(&mut files, facts, &layout, true);
        }
        PlatformPaths::Launchd { logs } => {
            let service = account::owner(facts);
            files.steps.extend(account::creation(facts));
            configuration::add_configuration(&mut files, facts, imported, service)?;
            files.add_folder(&layout.state_dir, 0o755, service);
            files.add_folder(logs, 0o755, service);
            start_by_launchd(&mut files, facts, &layout);
        }
    }
    let mut plan = files.plan;
    plan.steps = [files.undo, files.steps].concat();
    plan.notes = notes(facts, &layout, request);
    Ok(plan)
}

fn text(text: &'static str) -> Content {
    Content::Text(text.into())
}

/// Refuses when the service belongs to a package, is masked, or cannot run on this system. With settings of
/// a `.env` a package is no obstacle, because its configuration belongs to the administrator; except for
/// Homebrew, whose configuration is at another path.
fn check(
    facts: &InstallFacts,
    layout: &Layout,
    request: &InstallRequest,
) -> Result<(), InstallRefusal> {
    let is_refused =
        |package: &Package| request.imported.is_none() || *package == Package::Homebrew;
    let mut packages = facts.packages.iter();
    if let Some((path, package)) = packages.find(|(_, package)| is_refused(package)) {
        return Err(InstallRefusal::Packaged {
            path: path.clone(),
            package: package.clone(),
            advice: start_advice(package, facts),
        });
    }
    if let Some(obstacle) = &facts.obstacle {
        return Err(InstallRefusal::NoManager {
            obstacle: obstacle.clone(),
            needed_for: ManagerUse::Installation,
        });
    }
    if let Some(version) = facts.systemd.filter(|version| *version < OLDEST_SYSTEMD) {
        return Err(InstallRefusal::OldSystemd { version });
    }
    if facts.service.boot == BootStart::Masked {
        return Err(InstallRefusal::Masked);
    }
    for path in layout.files() {
        let what = match facts.entry(&path) {
            Some(PathEntry::Folder { .. }) => "a folder".to_owned(),
            Some(PathEntry::Other) => "a device, socket or pipe".to_owned(),
            Some(PathEntry::Link(target)) if path == layout.service => {
                format!("a link to {}", target.display())
            }
            _ => continue,
        };
        return Err(InstallRefusal::NoFile { path, what });
    }
    Ok(())
}

fn add_program(files: &mut PlanBuilder<'_>, facts: &InstallFacts, layout: &Layout) {
    let content = Content::Program { from: facts.program.clone(), bytes: facts.program_bytes };
    files.add_file(&layout.program, 0o755, FileOwner::Root, content);
}

fn add_catalog(files: &mut PlanBuilder<'_>, catalog: &Path) {
    let update = CommandLine::new("journalctl", ["--update-catalog"]);
    if files.add_file(catalog, 0o644, FileOwner::Root, text(CATALOG_TEXT)) {
        files.undo.push(InstallStep::undo(update.clone()));
        // The service works without explanations in the log.
        files.run(update, OnFailure::Report);
    }
}

/// Starts the service, after writing its unit unless a package installed one.
fn start_by_systemd(
    files: &mut PlanBuilder<'_>,
    facts: &InstallFacts,
    layout: &Layout,
    has_own_unit: bool,
) {
    let state = facts.service;
    let is_new_unit =
        has_own_unit && files.add_file(&layout.service, 0o644, FileOwner::Root, text(UNIT_TEXT));
    // Order of the rollback: restore the files, let systemd read them again, restart the service with them
    // if it ran before.
    let mut last = Vec::new();
    for folder in [&layout.state_dir, layout.runtime_or_logs()] {
        if facts.entry(folder).is_none() {
            last.push(InstallStep::OnRollback(UndoStep::Discard(folder.clone())));
        }
    }
    let restart = CommandLine::systemctl(&["restart", UNIT]);
    let is_restarted = match state.activity {
        Activity::Running => files.is_changed(),
        Activity::Restarting => true,
        Activity::Stopped => false,
    };
    if is_restarted {
        // A service that was failing before may fail again.
        let is_needed = state.activity == Activity::Running;
        last.push(InstallStep::OnRollback(UndoStep::Run {
            command: restart.clone(),
            reports_failure: is_needed,
        }));
    }
    if state.activity != Activity::Running {
        let command = CommandLine::systemctl(&["reset-failed", UNIT]);
        last.push(InstallStep::OnRollback(UndoStep::Run { command, reports_failure: false }));
    }
    if is_new_unit {
        let reload = CommandLine::systemctl(&["daemon-reload"]);
        last.push(InstallStep::undo(reload.clone()));
        files.run(reload, OnFailure::RollBack);
    }
    files.undo.splice(0..0, last);
    match (state.boot == BootStart::Enabled, state.activity) {
        (false, Activity::Stopped) => files.run_or_undo(
            CommandLine::systemctl(&["enable", "--now", UNIT]),
            CommandLine::systemctl(&["disable", "--now", UNIT]),
            OnFailure::RollBackStart(facts.platform),
        ),
        (false, Activity::Running | Activity::Restarting) => files.run_or_undo(
            CommandLine::systemctl(&["enable", UNIT]),
            CommandLine::systemctl(&["disable", UNIT]),
            OnFailure::RollBack,
        ),
        (true, Activity::Stopped) => files.run_or_undo(
            CommandLine::systemctl(&["start", UNIT]),
            CommandLine::systemctl(&["stop", UNIT]),
            OnFailure::RollBackStart(facts.platform),
        ),
        (true, Activity::Running | Activity::Restarting) => {}
    }
    if is_restarted {
        files.run(restart, OnFailure::RollBackStart(facts.platform));
    } else if state.activity == Activity::Running {
        files.plan.unchanged.push(format!("{UNIT} runs"));
    }
}

fn start_by_launchd(files: &mut PlanBuilder<'_>, facts: &InstallFacts, layout: &Layout) {
    let state = facts.service;
    let job = format!("system/{LABEL}");
    let path = layout.service.display().to_string();
    let bootstrap = CommandLine::launchctl(&["bootstrap", "system", &path]);
    let bootout = CommandLine::launchctl(&["bootout", &job]);
    let kick = CommandLine::launchctl(&["kickstart", "-k", &job]);
    let start = OnFailure::RollBackStart(facts.platform);
    let is_new_list = files.add_file(&layout.service, 0o644, FileOwner::Root, text(PLIST_TEXT));
    if !state.is_loaded || is_new_list {
        if state.is_loaded {
            files.undo.insert(0, InstallStep::undo(bootstrap.clone()));
            files.run(bootout.clone(), OnFailure::RollBack);
        }
        files.run(CommandLine::launchctl(&["enable", &job]), OnFailure::RollBack);
        files.run_or_undo(bootstrap, bootout, start);
    } else if files.is_changed() {
        files.undo.insert(0, InstallStep::undo(kick.clone()));
        files.run(kick, start);
    } else if state.activity == Activity::Running {
        files.plan.unchanged.push(format!("{LABEL} runs"));
    } else {
        files.run(kick, start);
    }
}

fn notes(facts: &InstallFacts, layout: &Layout, request: &InstallRequest) -> Vec<String> {
    let configuration = layout.configuration.display();
    let restart = match facts.platform {
        Platform::Linux => "sudo systemctl restart ispmon-agent",
        Platform::MacOs => "sudo ispmon-agent restart",
    };
    let mut notes = Vec::new();
    if let Some(imported) = &request.imported {
        notes.push(format!(
            "The settings of {} are in {configuration} now. Stop the program that used them, or two send \
             heartbeats for one device: in tmux with tmux kill-session -t NAME (tmux ls names the \
             sessions); then remove the file.",
            imported.from.display()
        ));
        if let Some(folder) = &imported.state_dir {
            notes.push(format!(
                "It named {folder} for the journal of outages, which stays there; the service keeps its own in {}, \
                 the only folder that it may write to.",
                layout.state_dir.display()
            ));
        }
    } else {
        notes.push(format!(
            "Settings are in {configuration}, the function key goes into {}; after a change of either: {restart}.",
            layout.key.display()
        ));
    }
    notes.push("Check it with: ispmon-agent status, ispmon-agent doctor.".to_owned());
    notes
}
