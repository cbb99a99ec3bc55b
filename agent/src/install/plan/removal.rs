//! The plan of `uninstall`: it removes what `install` has written. The journal and the configuration stay
//! unless they are purged; files of a package are never touched.

use std::path::PathBuf;

use super::{CommandLine, InstallStep, OnFailure, Plan, account};
use crate::install::{
    description::{LABEL, UNIT},
    facts::{AccountState, Activity, BootStart, InstallFacts},
    layout::{Layout, Platform, PlatformPaths},
    refusal::{InstallRefusal, removal_advice},
};

/// The options of a removal.
#[derive(Clone, Debug)]
pub struct RemovalRequest {
    /// Whether the journal, the configuration, the key and the user are removed too.
    pub is_purge: bool,
    /// Whether the plan is only shown, which does not need root.
    pub is_shown_only: bool,
    /// The command line to show after `sudo`.
    pub command: String,
}

/// Makes the plan of a removal. It has no steps when there is nothing to remove.
///
/// # Errors
/// The service belongs to a package, no service manager can stop it, or the caller is not root.
pub fn plan_removal(
    facts: &InstallFacts,
    request: &RemovalRequest,
) -> Result<Plan, InstallRefusal> {
    let layout = facts.layout();
    let is_ours =
        |path: &PathBuf| facts.entry(path).is_some() && !facts.packages.contains_key(path);
    let installed: Vec<_> = layout.installed().into_iter().filter(is_ours).collect();
    let package = facts.package();
    if let Some((path, package)) = package.filter(|_| installed.is_empty() || request.is_purge) {
        return Err(InstallRefusal::Packaged {
            path: path.to_owned(),
            package: package.clone(),
            advice: removal_advice(package, facts.platform),
        });
    }
    let purged: Vec<_> = if request.is_purge { purge(facts, &layout) } else { Vec::new() };
    if installed.is_empty() && purged.is_empty() {
        let mut plan = Plan::default();
        plan.notes
            .push("ispmon-agent is not installed here: there is nothing to remove.".to_owned());
        return Ok(plan);
    }
    if let Some(obstacle) = &facts.obstacle {
        return Err(InstallRefusal::NoManager(obstacle.clone()));
    }
    if !facts.is_root && !request.is_shown_only {
        return Err(InstallRefusal::NotRoot { command: request.command.clone() });
    }
    let mut steps = Vec::new();
    if is_ours(&layout.service) {
        stop(&mut steps, facts, &layout);
    }
    steps.extend(installed.iter().map(|path| InstallStep::Remove { path: path.clone() }));
    if let PlatformPaths::Systemd { catalog, .. } = &layout.platform_paths {
        if is_ours(&layout.service) {
            let reload = CommandLine::systemctl(&["daemon-reload"]);
            let reset = CommandLine::systemctl(&["reset-failed", UNIT]);
            steps.push(InstallStep::run(reload, OnFailure::RollBack));
            steps.push(InstallStep::run(reset, OnFailure::Ignore));
        }
        if is_ours(catalog) {
            let update = CommandLine::new("journalctl", ["--update-catalog"]);
            steps.push(InstallStep::run(update, OnFailure::Report));
        }
    }
    steps.extend(purged);
    let mut notes = Vec::new();
    if !request.is_purge {
        notes.push(kept_note(facts, &layout));
    } else if matches!(facts.account, AccountState::Exists { is_service_account: false, .. }) {
        notes.push(format!(
            "The user {} was kept, because it is no account as install creates it.",
            facts.platform.user()
        ));
    }
    if let Some((_, package)) = package {
        notes.push(format!("{package} is still installed: that one was not touched."));
    }
    let removed_user =
        (request.is_purge && account::is_removable(facts)).then(|| facts.platform.user());
    Ok(Plan { steps, unchanged: Vec::new(), notes, removed_user })
}

/// Stops the service for good; the rollback starts it again.
fn stop(steps: &mut Vec<InstallStep>, facts: &InstallFacts, layout: &Layout) {
    let state = facts.service;
    let run = |command| InstallStep::run(command, OnFailure::RollBack);
    match facts.platform {
        Platform::Linux => {
            if state.activity != Activity::Stopped {
                steps.push(InstallStep::undo(CommandLine::systemctl(&["start", UNIT])));
            }
            if state.boot == BootStart::Enabled {
                steps.push(InstallStep::undo(CommandLine::systemctl(&["enable", UNIT])));
            }
            steps.push(InstallStep::undo(CommandLine::systemctl(&["daemon-reload"])));
            steps.push(run(CommandLine::systemctl(&["disable", "--now", UNIT])));
        }
        Platform::MacOs if state.is_loaded => {
            let path = layout.service.display().to_string();
            steps.push(InstallStep::undo(CommandLine::launchctl(&["bootstrap", "system", &path])));
            steps.push(run(CommandLine::launchctl(&["bootout", &format!("system/{LABEL}")])));
        }
        Platform::MacOs => {}
    }
}

/// The steps that remove what an ordinary removal keeps.
fn purge(facts: &InstallFacts, layout: &Layout) -> Vec<InstallStep> {
    let is_there = |path: &PathBuf| facts.entry(path).is_some();
    // Leftovers first: removing the configuration and the key needs their temporary names.
    let files = [layout.leftovers(), vec![layout.configuration.clone(), layout.key.clone()]];
    let files = files.concat().into_iter().filter(is_there);
    let mut steps: Vec<_> = files.map(|path| InstallStep::Remove { path }).collect();
    if is_there(&layout.configuration_folder) {
        steps.push(InstallStep::RemoveFolder { path: layout.configuration_folder.clone() });
    }
    let folders =
        [&layout.state_dir, layout.runtime_or_logs()].into_iter().filter(|path| is_there(path));
    steps.extend(folders.map(|path| InstallStep::Discard { path: path.clone() }));
    steps.extend(account::removal(facts));
    steps
}

/// The note on what stays and how to remove it by hand, because the program that could do it is removed.
fn kept_note(facts: &InstallFacts, layout: &Layout) -> String {
    let is_there = |path: &&PathBuf| facts.entry(path).is_some();
    let shown = |path: &PathBuf| path.display().to_string();
    let files =
        [&layout.state_dir, &layout.configuration, &layout.key].into_iter().filter(is_there);
    let mut kept: Vec<_> = files.map(shown).collect();
    let mut commands = Vec::new();
    let folders = [&layout.state_dir, &layout.configuration_folder].into_iter().filter(is_there);
    let folders: Vec<_> = folders.map(shown).collect();
    if !folders.is_empty() {
        commands.push(format!("sudo rm -r {}", folders.join(" ")));
    }
    if account::is_removable(facts) {
        kept.push(format!("the user {}", facts.platform.user()));
        let removal = account::removal_commands(facts.platform).into_iter();
        commands.extend(removal.map(|command| format!("sudo {command}")));
    }
    if kept.is_empty() {
        return "Nothing else is left of it.".to_owned();
    }
    format!(
        "Kept for a later installation: {}. To remove that too, including the journal of all outages: {}",
        kept.join(", "),
        commands.join(" && ")
    )
}
