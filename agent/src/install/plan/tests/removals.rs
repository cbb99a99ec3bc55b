use super::*;

#[test]
fn a_removal_keeps_the_journal_and_the_configuration() {
    let plan = removed(&installed(Platform::Linux), false).expect("it can be removed");
    insta::assert_snapshot!(outline(&plan), @r"
    run systemctl disable --now ispmon-agent.service
    remove /etc/systemd/system/ispmon-agent.service
    remove /usr/local/bin/ispmon-agent
    remove /etc/sysusers.d/ispmon-agent.conf
    remove /usr/local/lib/systemd/catalog/ispmon-agent.catalog
    run systemctl daemon-reload
    run systemctl reset-failed ispmon-agent.service (if there is anything to do)
    run journalctl --update-catalog
    ");
    assert_eq!(
        undone(&plan),
        [
            "run systemctl daemon-reload",
            "run systemctl enable ispmon-agent.service",
            "run systemctl start ispmon-agent.service",
        ]
    );
    insta::assert_snapshot!(plan.notes.join("\n"), @"Kept for a later installation: /var/lib/ispmon, /etc/ispmon/agent.toml, /etc/ispmon/heartbeat.key, the user ispmon. To remove that too, including the journal of all outages: sudo rm -r /var/lib/ispmon /etc/ispmon && sudo userdel ispmon");
    let plan = removed(&installed(Platform::MacOs), false).expect("it can be removed");
    insta::assert_snapshot!(outline(&plan), @r"
    run launchctl bootout system/net.ispmon.agent
    remove /Library/LaunchDaemons/net.ispmon.agent.plist
    remove /usr/local/bin/ispmon-agent
    ");
}

#[test]
fn a_purge_removes_everything() {
    let plan = removed(&installed(Platform::Linux), true).expect("it can be removed");
    insta::assert_snapshot!(outline(&plan), @r"
    run systemctl disable --now ispmon-agent.service
    remove /etc/systemd/system/ispmon-agent.service
    remove /usr/local/bin/ispmon-agent
    remove /etc/sysusers.d/ispmon-agent.conf
    remove /usr/local/lib/systemd/catalog/ispmon-agent.catalog
    run systemctl daemon-reload
    run systemctl reset-failed ispmon-agent.service (if there is anything to do)
    run journalctl --update-catalog
    remove /etc/ispmon/agent.toml
    remove /etc/ispmon/heartbeat.key
    remove the folder /etc/ispmon if it is empty
    remove /var/lib/ispmon and all that is in it
    remove /run/ispmon and all that is in it
    run userdel ispmon
    ");
    let plan = removed(&installed(Platform::MacOs), true).expect("it can be removed");
    insta::assert_snapshot!(outline(&plan), @r"
    run launchctl bootout system/net.ispmon.agent
    remove /Library/LaunchDaemons/net.ispmon.agent.plist
    remove /usr/local/bin/ispmon-agent
    remove /etc/ispmon/agent.toml
    remove /etc/ispmon/heartbeat.key
    remove the folder /etc/ispmon if it is empty
    remove /usr/local/var/ispmon and all that is in it
    remove /Library/Logs/ispmon and all that is in it
    run dscl . -delete /Users/_ispmon
    run dscl . -delete /Groups/_ispmon
    ");
}

#[test]
fn files_of_a_package_are_never_removed() {
    let package = || Package::Debian("ispmon-agent".to_owned());
    let unit: std::path::PathBuf = "/usr/lib/systemd/system/ispmon-agent.service".into();
    // Only the package, with a journal and a configuration.
    let mut facts = installed(Platform::Linux);
    for path in facts.layout().installed() {
        facts.entries.remove(&path);
    }
    facts.packages.insert(unit.clone(), package());
    for is_purge in [false, true] {
        let refusal = removed(&facts, is_purge).expect_err("it is refused").to_string();
        assert!(refusal.contains("sudo apt remove ispmon-agent"), "{refusal}");
    }
    // The package was installed after `install`: what `install` wrote is removed.
    let mut facts = installed(Platform::Linux);
    facts.packages.insert(unit.clone(), package());
    let plan = removed(&facts, false).expect("it is removed");
    assert!(
        !plan.steps.iter().any(|step| step.to_string().contains("/usr/lib/systemd/system")),
        "{plan:?}"
    );
    assert!(removed(&facts, true).is_err(), "the journal is the package's too");
}

/// A system where a package was installed after `install`.
fn beside_a_package() -> InstallFacts {
    let mut facts = installed(Platform::Linux);
    let package = Package::Debian("ispmon-agent".to_owned());
    for path in ["/usr/bin/ispmon-agent", "/usr/lib/systemd/system/ispmon-agent.service"] {
        facts.packages.insert(path.into(), package.clone());
    }
    facts
}

#[test]
fn the_service_goes_on_as_that_of_the_package() {
    let plan = removed(&beside_a_package(), false).expect("it is removed");
    insta::assert_snapshot!(outline(&plan), @r"
    remove /etc/systemd/system/ispmon-agent.service
    remove /usr/local/bin/ispmon-agent
    remove /etc/sysusers.d/ispmon-agent.conf
    remove /usr/local/lib/systemd/catalog/ispmon-agent.catalog
    run systemctl daemon-reload
    run systemctl reenable ispmon-agent.service
    run systemctl restart ispmon-agent.service
    run journalctl --update-catalog
    ");
    assert_eq!(
        undone(&plan),
        [
            "run systemctl daemon-reload",
            "run systemctl reenable ispmon-agent.service",
            "run systemctl restart ispmon-agent.service",
        ]
    );
    insta::assert_snapshot!(plan.notes.join("\n"), @"The service is now that of the package ispmon-agent, with the same journal, configuration and key. It runs, now and after every boot.");
}

#[test]
fn the_service_of_a_package_is_not_started_if_ours_did_not_run() {
    for (service, note) in [
        (
            ServiceState { activity: Activity::Stopped, boot: BootStart::Disabled, ..RUNNING },
            "Start the package's service: sudo systemctl enable --now ispmon-agent",
        ),
        (
            ServiceState { boot: BootStart::Disabled, ..RUNNING },
            "To start it with every boot: sudo systemctl enable ispmon-agent",
        ),
        (
            ServiceState { activity: Activity::Restarting, ..RUNNING },
            "see why: ispmon-agent status",
        ),
    ] {
        let facts = InstallFacts { service, ..beside_a_package() };
        let plan = removed(&facts, false).expect("it is removed");
        let commands = run(&plan).join(", ");
        let is_running = service.activity == Activity::Running;
        assert_eq!(commands.contains("restart"), is_running, "{commands}");
        let is_enabled = service.boot == BootStart::Enabled;
        assert_eq!(commands.contains("reenable"), is_enabled, "{commands}");
        assert!(!commands.contains("disable") && !commands.contains("stop"), "{commands}");
        assert!(plan.notes.len() == 1 && plan.notes[0].ends_with(note), "{:?}", plan.notes);
    }
}

#[test]
fn nothing_that_a_package_needs_is_removed_or_said_to_be_of_no_use() {
    let facts = beside_a_package();
    let plan = removed(&facts, false).expect("it is removed");
    let text = format!("{}{}", outline(&plan), plan.notes.join("\n"));
    for part in ["/var/lib/ispmon", "/etc/ispmon", "/run/ispmon", "userdel"] {
        assert!(!text.contains(part), "{text}");
    }
    insta::assert_snapshot!(removed(&facts, true).expect_err("it is refused"), @"the package ispmon-agent (/usr/bin/ispmon-agent) uses the same configuration, key, journal and user, so nothing was changed. To remove these too, first remove it (sudo apt purge ispmon-agent), then run this again. To remove only what install has written: sudo /home/me/ispmon-agent uninstall");
}

/// As after `systemctl edit --full`, and with a program that `install` has not written.
#[test]
fn an_edited_unit_a_mask_and_a_link_of_the_administrator_stay() {
    let layout = Layout::of(Platform::Linux);
    let mut facts = beside_a_package();
    facts.entries.remove(&layout.program);
    let plan = removed(&facts, false).expect("the other files are removed");
    assert!(!outline(&plan).contains("/etc/systemd/system"), "{plan:?}");
    assert_eq!(run(&plan), ["run journalctl --update-catalog"]);
    for platform in [Platform::Linux, Platform::MacOs] {
        let mut facts = installed(platform);
        let layout = facts.layout();
        for path in [&layout.service, &layout.program] {
            facts.entries.insert(path.clone(), PathEntry::Link("/dev/null".into()));
        }
        let plan = removed(&facts, false).expect("what is ours is removed");
        assert!(!plan.steps.iter().any(|step| step.to_string().contains("ispmon-agent.service")));
        assert!(!outline(&plan).contains("/usr/local/bin"), "{plan:?}");
    }
}

#[test]
fn without_our_unit_the_packages_service_is_restarted_with_its_own_program() {
    let mut facts = beside_a_package();
    facts.entries.remove(&facts.layout().service);
    let plan = removed(&facts, false).expect("it is removed");
    assert_eq!(
        run(&plan),
        ["run systemctl restart ispmon-agent.service", "run journalctl --update-catalog"]
    );
}

#[test]
fn the_account_of_a_person_stays() {
    for (platform, user) in [(Platform::Linux, "ispmon"), (Platform::MacOs, "_ispmon")] {
        let mut facts = installed(platform);
        let losses = removed(&facts, true).expect("it is purged").losses();
        assert_eq!(losses.last(), Some(&format!("the user {user}")));
        facts.account = AccountState::Exists { uid: 1500, gid: 1500, is_service_account: false };
        let plan = removed(&facts, true).expect("it is purged");
        assert_eq!(plan.losses(), losses[..losses.len() - 1]);
        let commands = run(&plan).join(", ");
        assert!(!commands.contains("userdel") && !commands.contains("dscl"), "{commands}");
        let kept =
            format!("The user {user} was kept, because it is no account as install creates it.");
        assert_eq!(plan.notes, [kept]);
        let plan = removed(&facts, false).expect("it is removed");
        assert!(!plan.notes.join("").contains("user"), "{:?}", plan.notes);
        // Nothing but that account.
        let facts = InstallFacts { account: facts.account, ..fresh(platform) };
        let plan = removed(&facts, true).expect("there is nothing to refuse");
        assert!(plan.is_empty() && plan.notes[0].contains("not installed here"), "{plan:?}");
    }
}

#[test]
fn a_purge_names_everything_before_it_asks() {
    let plan = removed(&installed(Platform::Linux), true).expect("it can be removed");
    insta::assert_snapshot!(plan.losses().join("\n"), @r"
    /etc/systemd/system/ispmon-agent.service
    /usr/local/bin/ispmon-agent
    /etc/sysusers.d/ispmon-agent.conf
    /usr/local/lib/systemd/catalog/ispmon-agent.catalog
    /etc/ispmon/agent.toml
    /etc/ispmon/heartbeat.key
    /etc/ispmon, if it is empty then
    /var/lib/ispmon
    /run/ispmon
    the user ispmon
    ");
}

#[test]
fn without_a_service_manager_the_commands_for_a_removal_by_hand_are_shown() {
    let container = Some(Obstacle::Container);
    let mut facts = InstallFacts { obstacle: container, ..installed(Platform::Linux) };
    insta::assert_snapshot!(removed(&facts, false).expect_err("no manager"), @"systemd does not run in this container. To uninstall, end it and remove its files with: sudo rm -r /etc/systemd/system/ispmon-agent.service /usr/local/bin/ispmon-agent /etc/sysusers.d/ispmon-agent.conf /usr/local/lib/systemd/catalog/ispmon-agent.catalog");
    insta::assert_snapshot!(removed(&facts, true).expect_err("no manager"), @"systemd does not run in this container. To uninstall, end it and remove its files with: sudo rm -r /etc/systemd/system/ispmon-agent.service /usr/local/bin/ispmon-agent /etc/sysusers.d/ispmon-agent.conf /usr/local/lib/systemd/catalog/ispmon-agent.catalog /etc/ispmon/agent.toml /etc/ispmon/heartbeat.key /var/lib/ispmon /run/ispmon && sudo userdel ispmon && sudo rmdir /etc/ispmon");
    facts.obstacle = Some(Obstacle::Chroot);
    insta::assert_snapshot!(removed(&facts, false).expect_err("no manager"), @"this is a chroot, in which no services are started. To uninstall, do so inside the running system, or end it and remove its files with: sudo rm -r /etc/systemd/system/ispmon-agent.service /usr/local/bin/ispmon-agent /etc/sysusers.d/ispmon-agent.conf /usr/local/lib/systemd/catalog/ispmon-agent.catalog");
}

#[test]
fn nothing_is_removed_where_nothing_is_installed() {
    for is_purge in [false, true] {
        let facts = InstallFacts { is_root: false, ..fresh(Platform::Linux) };
        let plan = removed(&facts, is_purge).expect("there is nothing to refuse");
        assert!(plan.is_empty() && plan.notes[0].contains("not installed here"), "{plan:?}");
    }
}
