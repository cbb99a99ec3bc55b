mod removals;

use std::path::Path;

use super::*;
use crate::{
    config::sample,
    install::{
        facts::{
            AccountMaker, AccountState, Activity, BootStart, FileContent, InstallFacts, Obstacle,
            Package, PathEntry, ServiceState,
        },
        import::Imported,
        layout::{
            CATALOG_TEXT, Layout, PLIST_TEXT, Platform, PlatformPaths, SYSUSERS_TEXT, UNIT_TEXT,
        },
        refusal::InstallRefusal,
        show::show,
    },
};

/// A system without an installation.
fn fresh(platform: Platform) -> InstallFacts {
    let maker = match platform {
        Platform::Linux => AccountMaker::Sysusers,
        Platform::MacOs => AccountMaker::Dscl { id: 301 },
    };
    let folders: &[&str] = match platform {
        Platform::Linux => &["/etc/systemd/system", "/usr/local/bin", "/etc/sysusers.d"],
        Platform::MacOs => &["/Library/LaunchDaemons"],
    };
    InstallFacts {
        platform,
        is_root: true,
        obstacle: None,
        program: "/home/me/ispmon-agent".into(),
        program_bytes: 5_000_000,
        entries: folders.iter().map(|path| (path.into(), FOLDER)).collect(),
        packages: [].into(),
        account: AccountState::Absent(maker),
        service: ServiceState::default(),
        systemd: (platform == Platform::Linux).then_some(247),
    }
}

const FOLDER: PathEntry = PathEntry::Folder { uid: 0 };
const RUNNING: ServiceState =
    ServiceState { is_loaded: true, activity: Activity::Running, boot: BootStart::Enabled };

fn file(held: FileContent, mode: u32, owner: u32) -> PathEntry {
    PathEntry::File { content: held, mode, uid: owner, gid: owner }
}

fn text(text: &str, mode: u32) -> PathEntry {
    file(FileContent::Bytes(text.into()), mode, 0)
}

/// The same system after an installation.
fn installed(platform: Platform) -> InstallFacts {
    let mut facts = fresh(platform);
    let layout = Layout::of(platform);
    let user = 301;
    facts.account = AccountState::Exists { uid: user, gid: user, is_service_account: true };
    facts.service = RUNNING;
    let mut put = |path: &Path, entry| {
        facts.entries.entry(path.parent().expect("a folder").to_owned()).or_insert(FOLDER);
        facts.entries.insert(path.to_owned(), entry)
    };
    put(&layout.program, file(FileContent::Program, 0o755, 0));
    put(&layout.configuration_folder, FOLDER);
    put(&layout.configuration, text(&platform.sample(), 0o644));
    match &layout.platform_paths {
        PlatformPaths::Systemd { sysusers, catalog, runtime } => {
            put(&layout.service, text(UNIT_TEXT, 0o644));
            put(&layout.key, text("", 0o600));
            put(sysusers, text(SYSUSERS_TEXT, 0o644));
            put(catalog, text(CATALOG_TEXT, 0o644));
            put(&layout.state_dir, PathEntry::Folder { uid: user });
            put(runtime, FOLDER);
        }
        PlatformPaths::Launchd { logs } => {
            put(&layout.service, text(PLIST_TEXT, 0o644));
            put(&layout.key, file(FileContent::Bytes(Vec::new()), 0o600, user));
            put(&layout.state_dir, PathEntry::Folder { uid: user });
            put(logs, PathEntry::Folder { uid: user });
        }
    }
    facts
}

fn options(imported: Option<Imported>, is_shown_only: bool) -> InstallRequest {
    InstallRequest { imported, is_shown_only, command: "/home/me/ispmon-agent install".to_owned() }
}

fn planned(facts: &InstallFacts) -> Plan {
    plan_installation(facts, &options(None, false)).expect("it can be installed")
}

fn removed(facts: &InstallFacts, is_purge: bool) -> Result<Plan, InstallRefusal> {
    let command = "/home/me/ispmon-agent uninstall".to_owned();
    plan_removal(facts, &RemovalRequest { is_purge, is_shown_only: false, command })
}

fn shown(plan: &Plan) -> String {
    let mut bytes = Vec::new();
    show(plan, &mut bytes).expect("writing to a vector cannot fail");
    String::from_utf8(bytes).expect("it is text")
}

/// The shown plan, without the contents of files.
fn outline(plan: &Plan) -> String {
    let text = shown(plan);
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("    "));
    lines.collect::<Vec<_>>().join("\n")
}

/// The actions that run only in a rollback, in the order in which they would run.
fn undone(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().rev();
    steps
        .filter(|step| matches!(step, InstallStep::OnRollback(_)))
        .map(ToString::to_string)
        .collect()
}

fn run(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter();
    steps.filter(|step| matches!(step, InstallStep::Run { .. })).map(ToString::to_string).collect()
}

#[test]
fn a_first_installation_under_systemd() {
    let plan = planned(&fresh(Platform::Linux));
    insta::assert_snapshot!(outline(&plan), @r"
    create /usr/local/bin/ispmon-agent (0755 root): a copy of /home/me/ispmon-agent, 5000000 bytes
    create /etc/sysusers.d/ispmon-agent.conf (0644 root):
    run systemd-sysusers /etc/sysusers.d/ispmon-agent.conf
    create the folder /etc/ispmon (0755 root)
    create /etc/ispmon/agent.toml (0644 root):
    create /etc/ispmon/heartbeat.key (0600 root): empty
    create the folder /usr/local/lib/systemd/catalog (0755 root)
    create /usr/local/lib/systemd/catalog/ispmon-agent.catalog (0644 root):
    run journalctl --update-catalog
    create /etc/systemd/system/ispmon-agent.service (0644 root):
    run systemctl daemon-reload
    run systemctl enable --now ispmon-agent.service
    ");
    assert_eq!(
        undone(&plan),
        [
            "run journalctl --update-catalog",
            "run systemctl daemon-reload",
            "run systemctl reset-failed ispmon-agent.service",
            "remove /run/ispmon",
            "remove /var/lib/ispmon",
        ]
    );
    let text = shown(&plan);
    for content in [UNIT_TEXT, SYSUSERS_TEXT, CATALOG_TEXT, sample::SAMPLE] {
        for line in content.lines().filter(|line| !line.is_empty()) {
            assert!(text.contains(&format!("\n    {line}\n")), "{line}");
        }
    }
}

#[test]
fn a_first_installation_under_launchd() {
    let plan = planned(&fresh(Platform::MacOs));
    insta::assert_snapshot!(outline(&plan), @r"
    create the folder /usr/local/bin (0755 root)
    create /usr/local/bin/ispmon-agent (0755 root): a copy of /home/me/ispmon-agent, 5000000 bytes
    run dscl . -create /Groups/_ispmon
    run dscl . -create /Groups/_ispmon PrimaryGroupID 301
    run dscl . -create /Groups/_ispmon Password '*'
    run dscl . -create /Users/_ispmon
    run dscl . -create /Users/_ispmon UniqueID 301
    run dscl . -create /Users/_ispmon PrimaryGroupID 301
    run dscl . -create /Users/_ispmon UserShell /usr/bin/false
    run dscl . -create /Users/_ispmon NFSHomeDirectory /var/empty
    run dscl . -create /Users/_ispmon RealName 'ispmon agent'
    run dscl . -create /Users/_ispmon IsHidden 1
    run dscl . -create /Users/_ispmon Password '*'
    create the folder /etc/ispmon (0755 root)
    create /etc/ispmon/agent.toml (0644 root):
    create /etc/ispmon/heartbeat.key (0600 _ispmon): empty
    create the folder /usr/local/var/ispmon (0755 _ispmon)
    create the folder /Library/Logs/ispmon (0755 _ispmon)
    create /Library/LaunchDaemons/net.ispmon.agent.plist (0644 root):
    run launchctl enable system/net.ispmon.agent
    run launchctl bootstrap system /Library/LaunchDaemons/net.ispmon.agent.plist
    ");
    let text = shown(&plan);
    assert!(text.contains("\n    key_file = \"/etc/ispmon/heartbeat.key\"\n"), "{text}");
    for line in PLIST_TEXT.lines() {
        assert!(text.contains(&format!("    {line}\n")), "{line}");
    }
    let undo = plan.steps.iter().rev().filter_map(|step| match step {
        InstallStep::Run { undo, .. } if !undo.is_empty() => Some(undo[0].to_string()),
        _ => None,
    });
    assert_eq!(
        undo.collect::<Vec<_>>(),
        [
            "launchctl bootout system/net.ispmon.agent",
            "dscl . -delete /Users/_ispmon",
            "dscl . -delete /Groups/_ispmon",
        ]
    );
}

#[test]
fn a_second_installation_changes_nothing() {
    for platform in [Platform::Linux, Platform::MacOs] {
        let plan = planned(&installed(platform));
        assert!(plan.is_empty(), "{plan:?}");
        let layout = Layout::of(platform);
        for path in layout.files() {
            assert!(plan.unchanged.contains(&path.display().to_string()), "{path:?}: {plan:?}");
        }
    }
}

#[test]
fn a_newer_program_replaces_the_older_one_and_the_service_is_restarted() {
    for (platform, restart) in [
        (Platform::Linux, "systemctl restart ispmon-agent.service"),
        (Platform::MacOs, "launchctl kickstart -k system/net.ispmon.agent"),
    ] {
        let mut facts = installed(platform);
        facts.entries.insert(facts.layout().program, file(FileContent::Long, 0o755, 0));
        let plan = planned(&facts);
        assert_eq!(
            outline(&plan)
                .lines()
                .filter(|line| !line.starts_with("as it should be"))
                .collect::<Vec<_>>(),
            [
                "replace /usr/local/bin/ispmon-agent (0755 root): a copy of /home/me/ispmon-agent, 5000000 bytes",
                &format!("run {restart}"),
            ]
        );
        assert_eq!(undone(&plan), [format!("run {restart}")], "the old one runs again");
    }
}

#[test]
fn a_newer_unit_is_reloaded_before_the_service_is_restarted() {
    let mut facts = installed(Platform::Linux);
    facts.entries.insert(facts.layout().service, text("[Unit]\n", 0o644));
    let plan = planned(&facts);
    assert_eq!(
        run(&plan),
        ["run systemctl daemon-reload", "run systemctl restart ispmon-agent.service"]
    );
    assert_eq!(
        undone(&plan),
        ["run systemctl daemon-reload", "run systemctl restart ispmon-agent.service"]
    );

    let mut facts = installed(Platform::MacOs);
    facts.entries.insert(facts.layout().service, text("<plist/>", 0o644));
    let plan = planned(&facts);
    let bootstrap = "run launchctl bootstrap system /Library/LaunchDaemons/net.ispmon.agent.plist";
    assert_eq!(
        run(&plan),
        [
            "run launchctl bootout system/net.ispmon.agent",
            "run launchctl enable system/net.ispmon.agent",
            bootstrap
        ]
    );
    assert_eq!(undone(&plan), [bootstrap]);
}

#[test]
fn a_stopped_or_disabled_service_runs_afterwards() {
    let restart = "run systemctl restart ispmon-agent.service";
    for (boot, activity, expected) in [
        (BootStart::Disabled, Activity::Stopped, "run systemctl enable --now ispmon-agent.service"),
        (BootStart::Enabled, Activity::Stopped, "run systemctl start ispmon-agent.service"),
        (BootStart::Disabled, Activity::Running, "run systemctl enable ispmon-agent.service"),
        (BootStart::Enabled, Activity::Restarting, restart),
        (BootStart::Disabled, Activity::Restarting, restart),
    ] {
        let mut facts = installed(Platform::Linux);
        facts.service = ServiceState { activity, boot, ..RUNNING };
        let steps = planned(&facts).steps;
        assert_eq!(steps.last().expect("a step").to_string(), expected);
    }
    let mut facts = installed(Platform::MacOs);
    facts.service = ServiceState { activity: Activity::Restarting, ..RUNNING };
    let steps = planned(&facts).steps;
    assert_eq!(
        steps.last().expect("a step").to_string(),
        "run launchctl kickstart -k system/net.ispmon.agent"
    );
}

#[test]
fn files_with_other_content_are_kept() {
    let mut facts = installed(Platform::Linux);
    let layout = facts.layout();
    facts.entries.insert(layout.configuration.clone(), text("device = \"x\"\n", 0o600));
    facts.entries.insert(layout.key.clone(), text("secret\n", 0o600));
    assert!(planned(&facts).is_empty());
}

/// systemd reads the key for the service and gives it the journal's folder. launchd does neither.
#[test]
fn under_launchd_existing_files_are_given_to_the_service() {
    let mut facts = installed(Platform::MacOs);
    let layout = facts.layout();
    facts.entries.insert(layout.key.clone(), text("s3cret\n", 0o640));
    facts.entries.insert(layout.state_dir.clone(), FOLDER);
    let plan = planned(&facts);
    let text = shown(&plan);
    let steps: Vec<_> = text.lines().filter(|line| !line.starts_with("as it should be")).collect();
    assert_eq!(
        steps,
        [
            "replace /etc/ispmon/heartbeat.key (0600 _ispmon): secret, so not shown",
            "give /usr/local/var/ispmon and the files in it to _ispmon",
            "run launchctl kickstart -k system/net.ispmon.agent",
        ]
    );
    let mut facts = installed(Platform::Linux);
    facts.entries.insert(layout.key, file(FileContent::Bytes(b"s3cret\n".to_vec()), 0o600, 1000));
    facts.entries.insert(facts.layout().state_dir, PathEntry::Folder { uid: 1000 });
    assert!(planned(&facts).is_empty());
}

#[test]
fn refusals_have_advice() {
    let linux = || fresh(Platform::Linux);
    let packaged = |path: &str, package| {
        let mut facts = linux();
        facts.packages.insert(path.into(), package);
        facts
    };
    let debian = Package::Debian("ispmon-agent".to_owned());
    let unit = "/usr/lib/systemd/system/ispmon-agent.service";
    let without = |obstacle| InstallFacts { obstacle: Some(obstacle), ..linux() };
    let with = |path: std::path::PathBuf, entry| {
        let mut facts = linux();
        facts.entries.insert(path, entry);
        facts
    };
    let layout = Layout::of(Platform::Linux);
    let masked = ServiceState { boot: BootStart::Masked, ..ServiceState::default() };
    for (facts, parts) in [
        (
            packaged(unit, debian.clone()),
            [
                "the package ispmon-agent (/usr/lib/systemd",
                "sudo systemctl enable --now ispmon-agent",
            ],
        ),
        (
            packaged(unit, Package::Rpm("ispmon-agent".to_owned())),
            ["the package ispmon-agent", "enable --now"],
        ),
        (packaged(unit, Package::Unknown), ["installed by a package", "enable --now"]),
        (
            packaged(
                "/home/linuxbrew/.linuxbrew/Cellar/ispmon-agent/0.1.0/bin/ispmon-agent",
                Package::Homebrew,
            ),
            ["installed by Homebrew", "brew services start ispmon-agent"],
        ),
        (
            InstallFacts {
                service: ServiceState { boot: BootStart::Masked, ..ServiceState::default() },
                ..packaged(unit, debian.clone())
            },
            ["It is masked", "unmask ispmon-agent && sudo systemctl enable --now ispmon-agent"],
        ),
        (without(Obstacle::Chroot), ["this is a chroot", "ispmon-agent run"]),
        (without(Obstacle::Wsl), ["/etc/wsl.conf", "ispmon-agent run"]),
        (without(Obstacle::Container), ["does not run in this container", "ispmon-agent run"]),
        (
            without(Obstacle::OtherManager("OpenRC".to_owned())),
            [
                "run by OpenRC",
                "Have OpenRC run it as a service, or run it in the foreground with: ispmon-agent run",
            ],
        ),
        (
            InstallFacts { systemd: Some(246), ..linux() },
            ["this is systemd 246", "systemd has from 247 on"],
        ),
        (
            InstallFacts { service: masked, ..linux() },
            ["masked", "sudo systemctl unmask ispmon-agent"],
        ),
        (
            with(layout.program.clone(), FOLDER),
            ["/usr/local/bin/ispmon-agent is a folder", "move it away"],
        ),
        (
            with(layout.service.clone(), PathEntry::Link("/opt/x.service".into())),
            ["ispmon-agent.service is a link to /opt/x.service", "move it away"],
        ),
        (
            InstallFacts { is_root: false, ..linux() },
            ["only root may do", "run it with sudo: /home/me/ispmon-agent install"],
        ),
    ] {
        let refusal = plan_installation(&facts, &options(None, false)).expect_err("it is refused");
        for part in parts {
            assert!(refusal.to_string().contains(part), "{refusal}");
        }
    }
}

/// `sudo systemctl …` and `brew services …` would fail there.
#[test]
fn without_systemd_no_advice_names_a_command_of_it() {
    let unit: std::path::PathBuf = "/usr/lib/systemd/system/ispmon-agent.service".into();
    let packages = [
        (unit.clone(), Package::Debian("ispmon-agent".to_owned())),
        (unit, Package::Unknown),
        ("/home/linuxbrew/.linuxbrew/Cellar/x/bin/ispmon-agent".into(), Package::Homebrew),
    ];
    let obstacles = [
        Obstacle::Chroot,
        Obstacle::Wsl,
        Obstacle::Container,
        Obstacle::OtherManager("runit".to_owned()),
    ];
    for obstacle in obstacles {
        for package in packages.iter().cloned().map(Some).chain([None]) {
            let mut facts = fresh(Platform::Linux);
            facts.obstacle = Some(obstacle.clone());
            facts.packages = package.into_iter().collect();
            let refusal = plan_installation(&facts, &options(None, false)).expect_err("no manager");
            let text = refusal.to_string();
            assert!(!text.contains("systemctl") && !text.contains("brew services"), "{text}");
            assert!(text.ends_with("or run it in the foreground with: ispmon-agent run"), "{text}");
        }
    }
    let mut facts = fresh(Platform::Linux);
    facts.obstacle = Some(Obstacle::OtherManager("runit".to_owned()));
    facts.packages = [packages[0].clone()].into();
    let refusal = plan_installation(&facts, &options(None, false)).expect_err("no manager");
    insta::assert_snapshot!(refusal, @"ispmon-agent is installed by the package ispmon-agent (/usr/lib/systemd/system/ispmon-agent.service), so nothing was changed. It does not start by itself: this system is run by runit, and ispmon-agent can be a service of systemd only. Have runit run it as a service, or run it in the foreground with: ispmon-agent run");
    facts.obstacle = Some(Obstacle::Container);
    let refusal = plan_installation(&facts, &options(None, false)).expect_err("no manager");
    insta::assert_snapshot!(refusal, @"ispmon-agent is installed by the package ispmon-agent (/usr/lib/systemd/system/ispmon-agent.service), so nothing was changed. It does not start by itself: systemd does not run in this container. Make ispmon-agent run the container's command, or run it in the foreground with: ispmon-agent run");
}

#[test]
fn a_plan_is_shown_without_root() {
    let facts = InstallFacts { is_root: false, ..fresh(Platform::Linux) };
    assert!(plan_installation(&facts, &options(None, true)).is_ok());
    let facts = InstallFacts { is_root: false, ..installed(Platform::Linux) };
    let removal = plan_removal(
        &facts,
        &RemovalRequest { is_purge: true, is_shown_only: true, command: String::new() },
    );
    assert!(removal.is_ok());
}

#[test]
fn a_link_to_a_program_that_will_vanish_is_replaced_by_the_program() {
    let mut facts = fresh(Platform::Linux);
    let layout = facts.layout();
    facts.entries.insert(
        layout.program.clone(),
        PathEntry::Link("/home/me/target/release/ispmon-agent".into()),
    );
    let plan = planned(&facts);
    let is_replaced = |step: &InstallStep| {
        matches!(step, InstallStep::File { path, content: Content::Program { .. }, replaces: true, .. }
            if *path == layout.program)
    };
    assert!(plan.steps.iter().any(is_replaced), "{plan:?}");
}

fn old_settings(key: Option<&str>) -> Imported {
    Imported {
        from: "/home/me/.env".into(),
        configuration: sample::with(&[("device", "dl-home".to_owned())]),
        key: key.map(str::to_owned),
        is_secret: false,
        state_dir: None,
    }
}

#[test]
fn old_settings_replace_a_sample_and_nothing_else() {
    let imported = old_settings(Some("k3y/a+b=="));
    let layout = Layout::of(Platform::Linux);
    let with = |configuration: Option<&str>, key: Option<&str>| {
        let mut facts = installed(Platform::Linux);
        facts.entries.remove(&layout.configuration);
        facts.entries.remove(&layout.key);
        if let Some(configuration) = configuration {
            facts.entries.insert(layout.configuration.clone(), text(configuration, 0o644));
        }
        if let Some(key) = key {
            facts.entries.insert(layout.key.clone(), text(key, 0o600));
        }
        plan_installation(&facts, &options(Some(imported.clone()), false))
    };
    for configuration in [None, Some(sample::SAMPLE)] {
        for key in [None, Some(""), Some("\n")] {
            let plan = with(configuration, key).expect("it is taken over");
            let text = shown(&plan);
            assert!(text.contains("\n    device = \"dl-home\"\n"), "{text}");
            assert!(text.contains("/etc/ispmon/heartbeat.key (0600 root): secret, so not shown"));
            assert!(!format!("{text}{plan:?}").contains("k3y"));
            assert!(plan.notes[0].contains("tmux kill-session -t NAME"), "{:?}", plan.notes);
            let restart = plan.steps.last().expect("a step").to_string();
            assert_eq!(restart, "run systemctl restart ispmon-agent.service");
        }
    }
    // A second import changes nothing.
    assert!(
        with(Some(&imported.configuration), Some("k3y/a+b==\n")).expect("it is there").is_empty()
    );
    for other in ["device = \"other\"\n", "", "# all comments of an older sample\n"] {
        let refusal = with(Some(other), None).expect_err("it has settings of its own");
        assert!(refusal.to_string().contains("nothing was changed"), "{refusal}");
    }
    let refusal = with(None, Some("other")).expect_err("the key file has another key");
    assert!(refusal.to_string().contains("heartbeat.key holds another function key"), "{refusal}");
}

#[test]
fn a_secret_configuration_is_for_root_and_the_service() {
    let imported =
        Imported { is_secret: true, state_dir: Some("/home/me".into()), ..old_settings(None) };
    let plan = plan_installation(&fresh(Platform::Linux), &options(Some(imported), false));
    let plan = plan.expect("it is taken over");
    let text = shown(&plan);
    let lines: Vec<_> =
        text.lines().filter(|line| !line.starts_with(' ') && line.contains("agent.toml")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    create /etc/ispmon/agent.toml (0600 root): secret, so not shown
    run chgrp ispmon /etc/ispmon/agent.toml
    run chmod 640 /etc/ispmon/agent.toml
    ");
    assert!(!text.contains("dl-home"), "{text}");
    insta::assert_snapshot!(plan.notes[1], @"It named /home/me for the journal of outages, which stays there; the service keeps its own in /var/lib/ispmon, the only folder that it may write to.");
}

#[test]
fn old_settings_are_taken_over_for_a_package() {
    let mut facts = fresh(Platform::Linux);
    let layout = facts.layout();
    let unit = "/usr/lib/systemd/system/ispmon-agent.service";
    facts.packages.insert(unit.into(), Package::Debian("ispmon-agent".to_owned()));
    facts.entries.insert(layout.configuration_folder, FOLDER);
    facts.entries.insert(layout.configuration, text(sample::SAMPLE, 0o644));
    facts.entries.insert(layout.key, text("", 0o600));
    let take_over = |facts: &InstallFacts| {
        plan_installation(facts, &options(Some(old_settings(Some("k3y/a+b=="))), false))
    };
    insta::assert_snapshot!(outline(&take_over(&facts).expect("it is taken over")), @r"
    replace /etc/ispmon/agent.toml (0644 root):
    replace /etc/ispmon/heartbeat.key (0600 root): secret, so not shown
    run systemctl enable --now ispmon-agent.service
    ");
    facts.packages.insert("/opt/homebrew/Cellar/x".into(), Package::Homebrew);
    let refusal = take_over(&facts).expect_err("its configuration is elsewhere").to_string();
    assert!(refusal.contains("brew services start"), "{refusal}");
}

#[test]
fn commands_are_shown_in_shell_syntax() {
    for (argument, expected) in [
        ("a-b_c=d", "a-b_c=d"),
        ("", "''"),
        ("two words", "'two words'"),
        ("it's", r"'it'\''s'"),
        ("$HOME", "'$HOME'"),
    ] {
        assert_eq!(quoted(argument), expected);
    }
}
