//! The service's user, created with the tool that the system has for it.

use super::{CommandLine, FileOwner, InstallStep, OnFailure};
use crate::install::{
    facts::{AccountMaker, AccountState, InstallFacts},
    layout::{Platform, PlatformPaths},
};

/// The owner of the service's files.
pub(super) fn owner(facts: &InstallFacts) -> FileOwner {
    let (uid, gid) = match facts.account {
        AccountState::Exists { uid, gid, .. } => (uid, gid),
        AccountState::Absent(AccountMaker::Dscl { id }) => (id, id),
        // On Linux systemd creates the service's folders, so no step gives the user anything.
        AccountState::Absent(AccountMaker::Sysusers | AccountMaker::Useradd) => {
            return FileOwner::Root;
        }
    };
    FileOwner::Service { name: facts.platform.user(), uid, gid }
}

/// The steps that create the user.
pub(super) fn creation(facts: &InstallFacts) -> Vec<InstallStep> {
    let AccountState::Absent(maker) = facts.account else { return Vec::new() };
    let user = facts.platform.user();
    let run = |command, undo| InstallStep::Run { command, undo, failure: OnFailure::RollBack };
    match maker {
        AccountMaker::Sysusers => {
            let PlatformPaths::Systemd { sysusers, .. } = facts.layout().platform_paths else {
                return Vec::new();
            };
            let path = sysusers.display().to_string();
            vec![run(
                CommandLine::new("systemd-sysusers", [path]),
                removal_commands(facts.platform),
            )]
        }
        AccountMaker::Useradd => {
            // The home is also what an account of the service is recognized by.
            let home = facts.layout().state_dir.display().to_string();
            let arguments = [
                "--system",
                "--user-group",
                "--no-create-home",
                "--home-dir",
                &home,
                "--shell",
                "/usr/sbin/nologin",
                user,
            ];
            vec![run(CommandLine::new("useradd", arguments), removal_commands(facts.platform))]
        }
        AccountMaker::Dscl { id } => {
            let id = id.to_string();
            let create = |record: &str, attribute: &[&str]| {
                let start = [".", "-create", record].into_iter();
                CommandLine::new("dscl", start.chain(attribute.iter().copied()))
            };
            let delete = |record: &str| vec![CommandLine::new("dscl", [".", "-delete", record])];
            let (group, person) = (format!("/Groups/{user}"), format!("/Users/{user}"));
            let mut steps = vec![run(create(&group, &[]), delete(&group))];
            for attribute in [["PrimaryGroupID", &id], ["Password", "*"]] {
                steps.push(run(create(&group, &attribute), Vec::new()));
            }
            steps.push(run(create(&person, &[]), delete(&person)));
            for attribute in [
                ["UniqueID", &id],
                ["PrimaryGroupID", &id],
                ["UserShell", "/usr/bin/false"],
                ["NFSHomeDirectory", "/var/empty"],
                ["RealName", "ispmon agent"],
                ["IsHidden", "1"],
                ["Password", "*"],
            ] {
                steps.push(run(create(&person, &attribute), Vec::new()));
            }
            steps
        }
    }
}

/// The commands that remove the user and its group.
pub(super) fn removal_commands(platform: Platform) -> Vec<CommandLine> {
    let user = platform.user();
    match platform {
        // userdel also removes the group when it has no other member.
        Platform::Linux => vec![CommandLine::new("userdel", [user])],
        Platform::MacOs => ["/Users", "/Groups"]
            .map(|kind| CommandLine::new("dscl", [".", "-delete", &format!("{kind}/{user}")]))
            .into(),
    }
}

/// Whether the user exists and is the service's alone, so that it may be removed. A person's account of the
/// same name may not.
pub(super) fn is_removable(facts: &InstallFacts) -> bool {
    matches!(facts.account, AccountState::Exists { is_service_account: true, .. })
}

/// The steps that remove the user and its group, if that is allowed. A failure is reported and ignored.
pub(super) fn removal(facts: &InstallFacts) -> Vec<InstallStep> {
    if !is_removable(facts) {
        return Vec::new();
    }
    removal_commands(facts.platform)
        .into_iter()
        .map(|command| InstallStep::run(command, OnFailure::Report))
        .collect()
}
