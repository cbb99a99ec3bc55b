//! The plan of `uninstall`: it removes what `install` has written. The journal and the configuration stay
//! unless they are purged; files of a package are never touched.

use std::path::PathBuf;

use super::{CommandLine, InstallStep, OnFailure, Plan, account, quoted};
use crate::install::{
    description::{LABEL, NAME, UNIT},
    facts::{AccountState, Activity, BootStart, InstallFacts, Package, PathEntry},
    layout::{Layout, Platform, PlatformPaths},
    refusal::{InstallRefusal, ManagerUse, removal_advice, removal_phrase},
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
    let installed = own_files(facts, &layout);
    check_packages(facts, request, installed.is_empty())?;
    let purged: Vec<_> = if request.is_purge { purge(facts, &layout) } else { Vec::new() };
    if installed.is_empty() && purged.is_empty() {
        let mut plan = Plan::default();
        plan.notes
            .push("ispmon-agent is not installed here: there is nothing to remove.".to_owned());
        return Ok(plan);
    }
    if let Some(obstacle) = &facts.obstacle {
        let by_hand = commands_by_hand(&installed, &purged);
        return Err(InstallRefusal::NoManager {
            obstacle: obstacle.clone(),
            needed_for: ManagerUse::Removal { by_hand },
        });
    }
    if !facts.is_root && !request.is_shown_only {
        return Err(InstallRefusal::NotRoot { command: request.command.clone() });
    }
    let is_removed = |path: &PathBuf| installed.contains(path);
    let continuation = Continuation::of(facts, &layout, &installed);
    let mut steps = Vec::new();
    if let Some(continuation) = &continuation {
        steps.extend(continuation.undo());
    } else if is_removed(&layout.service) {
        stop(&mut steps, facts, &layout);
    }
    steps.extend(installed.iter().map(|path| InstallStep::Remove { path: path.clone() }));
    if let PlatformPaths::Systemd { catalog, .. } = &layout.platform_paths {
        if is_removed(&layout.service) {
            let reload = CommandLine::systemctl(&["daemon-reload"]);
            steps.push(InstallStep::run(reload, OnFailure::RollBack));
        }
        if let Some(continuation) = &continuation {
            steps.extend(continuation.steps(facts.platform));
        }
        let is_stopped = continuation.is_none() || facts.service.activity == Activity::Stopped;
        if is_removed(&layout.service) && is_stopped {
            let reset = CommandLine::systemctl(&["reset-failed", UNIT]);
            steps.push(InstallStep::run(reset, OnFailure::Ignore));
        }
        if is_removed(catalog) {
            let update = CommandLine::new("journalctl", ["--update-catalog"]);
            steps.push(InstallStep::run(update, OnFailure::Report));
        }
    }
    steps.extend(purged);
    let removed_user =
        (request.is_purge && account::is_removable(facts)).then(|| facts.platform.user());
    let notes = notes(facts, &layout, request);
    Ok(Plan { steps, unchanged: Vec::new(), notes, removed_user })
}

/// The files that `install` has written and that belong to the service alone. It writes regular files only:
/// a link is an administrator's, such as that of `systemctl mask`. So is, beside a package, a unit without
/// our program: `systemctl edit --full` writes such a copy of the package's unit.
fn own_files(facts: &InstallFacts, layout: &Layout) -> Vec<PathBuf> {
    let is_ours = |path: &PathBuf| {
        matches!(facts.entry(path), Some(PathEntry::File { .. }))
            && !facts.packages.contains_key(path)
    };
    let is_edited_copy = facts.has_packaged_unit() && !is_ours(&layout.program);
    let installed = layout.installed().into_iter().filter(is_ours);
    installed.filter(|path| !is_edited_copy || *path != layout.service).collect()
}

/// Refuses when only a package is installed, and a purge beside one.
fn check_packages(
    facts: &InstallFacts,
    request: &RemovalRequest,
    is_only_packaged: bool,
) -> Result<(), InstallRefusal> {
    let Some((path, package)) = facts.package() else { return Ok(()) };
    if is_only_packaged || (request.is_purge && facts.sharing_package().is_none()) {
        return Err(InstallRefusal::Packaged {
            path: path.to_owned(),
            package: package.clone(),
            advice: removal_advice(package),
        });
    }
    match facts.sharing_package() {
        Some((path, package)) if request.is_purge => Err(InstallRefusal::PurgeBesidePackage {
            path: path.to_owned(),
            package: package.clone(),
            removal: removal_phrase(package),
            command: format!("{} uninstall", quoted(&facts.program.to_string_lossy())),
        }),
        _ => Ok(()),
    }
}

/// The commands that remove the same by hand.
fn commands_by_hand(installed: &[PathBuf], purged: &[InstallStep]) -> String {
    let mut paths: Vec<_> = installed.iter().map(|path| path.display().to_string()).collect();
    let (mut others, mut folders) = (Vec::new(), Vec::new());
    for step in purged {
        match step {
            InstallStep::Remove { path } | InstallStep::Discard { path } => {
                paths.push(path.display().to_string());
            }
            InstallStep::RemoveFolder { path } => {
                folders.push(format!("sudo rmdir {}", path.display()));
            }
            InstallStep::Run { command, .. } => others.push(format!("sudo {command}")),
            _ => {}
        }
    }
    let removal = (!paths.is_empty()).then(|| format!("sudo rm -r {}", paths.join(" ")));
    removal.into_iter().chain(others).chain(folders).collect::<Vec<_>>().join(" && ")
}

/// How the service goes on with the unit of the same name that a package has installed.
struct Continuation {
    /// Whether our unit is removed, so that systemd has to load that of the package.
    is_reloaded: bool,
    /// Whether the link that starts the service at boot has to lead to the package's unit.
    is_reenabled: bool,
    /// Whether the running service is replaced by that of the package. One that waits for its automatic
    /// restart is started by systemd.
    is_restarted: bool,
}

impl Continuation {
    /// What has to be done without the files in `installed`; `None` if no package has installed a unit.
    fn of(facts: &InstallFacts, layout: &Layout, installed: &[PathBuf]) -> Option<Self> {
        let is_reloaded = installed.contains(&layout.service);
        // The package's unit starts the program that comes first in systemd's search path, which is ours.
        let is_replaced = is_reloaded || installed.contains(&layout.program);
        facts.has_packaged_unit().then(|| Self {
            is_reloaded,
            is_reenabled: is_reloaded && facts.service.boot == BootStart::Enabled,
            is_restarted: is_replaced && facts.service.activity == Activity::Running,
        })
    }

    /// The steps, once systemd has loaded the package's unit.
    fn steps(&self, platform: Platform) -> impl Iterator<Item = InstallStep> {
        let run = |verb, failure| InstallStep::run(CommandLine::systemctl(&[verb, UNIT]), failure);
        let reenable = self.is_reenabled.then(|| run("reenable", OnFailure::RollBack));
        let restart = self.is_restarted.then(|| run("restart", OnFailure::RollBackStart(platform)));
        reenable.into_iter().chain(restart)
    }

    /// What the rollback does, in reverse order, once our files are restored.
    fn undo(&self) -> impl Iterator<Item = InstallStep> {
        let undo = |words: &[&str]| InstallStep::undo(CommandLine::systemctl(words));
        let restart = self.is_restarted.then(|| undo(&["restart", UNIT]));
        let reenable = self.is_reenabled.then(|| undo(&["reenable", UNIT]));
        let reload = self.is_reloaded.then(|| undo(&["daemon-reload"]));
        restart.into_iter().chain(reenable).chain(reload)
    }
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

fn notes(facts: &InstallFacts, layout: &Layout, request: &RemovalRequest) -> Vec<String> {
    let user = facts.platform.user();
    let mut notes = Vec::new();
    match facts.sharing_package() {
        Some((_, package)) => notes.push(successor_note(facts, package)),
        None if !request.is_purge => notes.push(kept_note(facts, layout)),
        None if matches!(facts.account, AccountState::Exists { is_service_account: false, .. }) => {
            notes.push(format!(
                "The user {user} was kept, because it is no account as install creates it."
            ));
        }
        None => {}
    }
    if facts.packages.values().any(|package| *package == Package::Homebrew) {
        notes.push(format!("What {} has installed was not touched.", Package::Homebrew));
    }
    notes
}

/// The note on the service of a package. It needs the journal, the configuration, the key and the user, so
/// nothing is said of removing them.
fn successor_note(facts: &InstallFacts, package: &Package) -> String {
    if !facts.has_packaged_unit() {
        return format!(
            "What {package} has installed was not touched; it uses the same journal, configuration and key."
        );
    }
    let now = match (facts.service.activity, facts.service.boot) {
        (_, BootStart::Masked) => {
            format!("It is masked. To allow its start again: sudo systemctl unmask {NAME}")
        }
        (Activity::Running, BootStart::Enabled) => "It runs, now and after every boot.".to_owned(),
        (Activity::Running, BootStart::Disabled) => format!(
            "It runs until the next boot. To start it with every boot: sudo systemctl enable {NAME}"
        ),
        (Activity::Restarting, _) => "It did not run; see why: ispmon-agent status".to_owned(),
        (Activity::Stopped, _) => {
            format!("Start the package's service: sudo systemctl enable --now {NAME}")
        }
    };
    format!(
        "The service is now that of {package}, with the same journal, configuration and key. {now}"
    )
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
