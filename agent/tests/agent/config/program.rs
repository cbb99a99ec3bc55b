use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::{Command, Output},
};

use super::place::Setup;

/// The program in the temporary folder, without this process's environment.
fn agent(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ispmon-agent"));
    command.args(arguments).current_dir(setup.folder()).env_clear();
    command
}

fn run(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("the program writes text");
    (status.code(), text(stdout), text(stderr))
}

/// The lines with two spaces between columns: column widths depend on the path of the temporary folder.
fn columns(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let columns: Vec<_> =
            line.split("  ").map(str::trim).filter(|part| !part.is_empty()).collect();
        columns.join("  ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether this machine has a configuration file, which would replace a `.env` file.
fn is_configured() -> bool {
    ispmon_agent::config::default_paths(None).iter().any(|path| path.exists())
}

#[test]
fn config_shows_every_setting_and_its_source() {
    let setup = Setup::with_file(
        "\
device = \"dl-home\"
[heartbeat]
url = \"https://dl.example/api/ping\"
key_file = \"./heartbeat.key\"
interval = 10
",
    );
    setup.write("heartbeat.key", "secret\n", 0o600);
    let mut command = agent(&setup, &["config", "--config", "agent.toml", "--verbose"]);
    command.env("ISPMON_HEARTBEAT_TIMEOUT", "5 s");
    let (code, output, errors) = run(command);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    insta::assert_snapshot!(columns(&setup.anonymous(&output)), @r"
    device  dl-home  [folder]/agent.toml, line 1
    state_dir  (not set)  default
    heartbeat.kind  ispmon  default
    heartbeat.url  https://dl.example/api/ping  [folder]/agent.toml, line 3
    heartbeat.method  GET  default
    heartbeat.expect  (not set)  default
    heartbeat.key_file  [folder]/heartbeat.key  [folder]/agent.toml, line 4
    heartbeat.interval  10s  [folder]/agent.toml, line 5
    heartbeat.timeout  5 s  variable ISPMON_HEARTBEAT_TIMEOUT
    heartbeat.backoff_base  1s  default
    heartbeat.backoff_cap  10s  heartbeat.interval, which limits 30s (default)
    heartbeat.quiet_after_stop  30min  default
    heartbeat.quiet_after_sleep  12h  default
    probe.interval  5s  default
    probe.anchors  1.1.1.1, 8.8.8.8, 9.9.9.9, 2606:4700:4700::1111, 2001:4860:4860::8888, 2620:fe::fe  default
    probe.gateway  (not set)  default
    probe.resolver  (not set)  default
    probe.portal  http://connectivitycheck.gstatic.com/generate_204, http://cp.cloudflare.com/generate_204  default
    probe.grace  60s  default
    log.level  debug  flag --verbose
    function key  set, not shown  [folder]/heartbeat.key

    Read from [folder]/agent.toml, variables and flags.
    ");
}

#[test]
fn config_prints_the_sample_despite_an_invalid_file() {
    let setup = Setup::with_file("nonsense");
    for arguments in
        [&["config", "--sample"][..], &["--config", "agent.toml", "config", "--sample"]]
    {
        let (code, output, errors) = run(agent(&setup, arguments));
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        assert_eq!(output, ispmon_agent::config::sample::SAMPLE);
    }
}

#[test]
fn every_command_exits_with_78_and_reports_all_problems() {
    let setup = Setup::with_file("devise = 1\n[heartbeat]\ninterval = \"often\"\n");
    for command in ["run", "ping", "config"] {
        let mut command = agent(&setup, &[command, "--config", "agent.toml"]);
        command.env("ISPMON_LOG_LEVEL", "loud");
        let (code, output, errors) = run(command);
        assert_eq!((code, output.as_str()), (Some(78), ""));
        let errors = setup.anonymous(&errors);
        for part in [
            "agent.toml, line 1: there is no setting devise; did you mean device?",
            "agent.toml, line 3: heartbeat.interval is \"often\"",
            "variable ISPMON_LOG_LEVEL: log.level is \"loud\"",
        ] {
            assert!(errors.contains(part), "{errors}");
        }
    }
}

#[test]
fn under_launchd_a_configuration_error_exits_with_0_to_prevent_restarts() {
    let setup = Setup::with_file("nonsense");
    for (job, expected) in [("net.ispmon.agent", 0), ("homebrew.mxcl.ispmon-agent", 78), ("0", 78)]
    {
        let mut command = agent(&setup, &["run", "--config", "agent.toml"]);
        command.env("XPC_SERVICE_NAME", job);
        let (code, _, errors) = run(command);
        assert_eq!(code, Some(expected), "{job}");
        assert!(errors.contains("agent.toml, line 1: not valid TOML"), "{errors}");
    }
}

#[test]
fn a_missing_file_exits_with_78_and_wrong_usage_with_64() {
    let setup = Setup::new();
    let (code, _, errors) = run(agent(&setup, &["run", "--config", "missing.toml"]));
    assert_eq!(code, Some(78));
    assert!(errors.contains("missing.toml: the configuration file cannot be used"), "{errors}");
    for arguments in [&["--intervall", "60"][..], &["begin"], &["config", "--once"], &["--url", ""]]
    {
        let (code, output, errors) = run(agent(&setup, arguments));
        assert_eq!((code, output.as_str()), (Some(64), ""), "{arguments:?}");
        assert!(errors.starts_with("error: "), "{errors}");
    }
    for arguments in [["--help"], ["--version"], ["help"]] {
        let (code, output, errors) = run(agent(&setup, &arguments));
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(output.contains("ispmon-agent"), "{output}");
    }
}

#[test]
fn a_deleted_current_folder_is_reported_with_advice() {
    let setup = Setup::new();
    let mut command = Command::new("/bin/sh");
    let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" config";
    command.args(["-c", script, env!("CARGO_BIN_EXE_ispmon-agent")]);
    command.current_dir(setup.folder());
    let (code, output, errors) = run(command);
    assert_eq!((code, output.as_str()), (Some(1), ""));
    assert!(errors.contains("the current folder cannot be used: "), "{errors}");
    assert!(errors.trim_end().ends_with("; start again in another one."), "{errors}");
}

#[test]
fn a_dotenv_file_of_the_same_user_is_read() {
    if is_configured() {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: this machine has a configuration file of its own\n"),
        );
        return;
    }
    let setup = Setup::new();
    setup.write(".env", "RG=group\nHEARTBEAT_DEVICE=of-the-env\n", 0o600);
    let (code, output, errors) = run(agent(&setup, &["config"]));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(output.contains("of-the-env"), "{output}");
}

#[test]
fn a_dotenv_file_of_another_user_is_ignored_with_a_warning() {
    if is_configured() {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: this machine has a configuration file of its own\n"),
        );
        return;
    }
    if !rustix::process::geteuid().is_root() {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: only root can change the owner of a file\n"),
        );
        return;
    }
    let setup = Setup::new();
    let path = setup.write(".env", "HEARTBEAT_URL=https://stranger.example/\n", 0o644);
    std::os::unix::fs::chown(path, Some(4711), Some(4711)).expect("root can change owners");
    let (code, output, errors) = run(agent(&setup, &["config"]));
    assert_eq!(code, Some(0));
    assert!(!output.contains("stranger"), "{output}");
    assert!(
        errors.contains(".env is ignored: it belongs to the user with the id 4711"),
        "{errors}"
    );
}

/// The program, run by a user who is not root; that user's name and group.
fn as_ordinary_user(setup: &Setup, arguments: &[&str]) -> (Command, [String; 2]) {
    const NOBODY: u32 = 65_534;
    let mut command = agent(setup, arguments);
    let mut user = Vec::new();
    // Root can read every file, so another user runs a copy of the program in a folder open to all.
    if rustix::process::geteuid().is_root() {
        let copy = setup.folder().join("ispmon-agent");
        if !copy.exists() {
            // Copied by another process: a program that another test starts at this moment would inherit
            // the copy open for writing, and starting it would fail ("text file busy").
            let copied =
                Command::new("cp").arg(env!("CARGO_BIN_EXE_ispmon-agent")).arg(&copy).status();
            assert!(copied.expect("cp starts").success());
        }
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(setup.folder(), open).expect("the mode can be set");
        command = Command::new(copy);
        command.args(arguments).current_dir(setup.folder()).env_clear();
        command.uid(NOBODY).gid(NOBODY);
        user = vec!["nobody".to_owned()];
    }
    let name = |flag: &str| {
        let output = Command::new("id").args([flag, "-n"]).args(&user).output().expect("id starts");
        String::from_utf8(output.stdout).expect("a name").trim().to_owned()
    };
    (command, [name("-u"), name("-g")])
}

#[test]
fn an_unreadable_key_file_is_distinguished_from_a_missing_one() {
    let setup = Setup::new();
    let configuration =
        "heartbeat.url = \"https://dl.example/api/ping\"\nheartbeat.key_file = \"./key\"\n";
    setup.write("agent.toml", configuration, 0o644);
    setup.write("key", "a-key", 0o000);
    for command in ["config", "ping"] {
        let (command, _) = as_ordinary_user(&setup, &["--config", "agent.toml", command]);
        let (code, output, errors) = run(command);
        assert_eq!((code, output.as_str()), (Some(1), ""), "the configuration itself is valid");
        assert!(
            errors.ends_with("cannot be used: you may not read it; run the command with sudo\n"),
            "{errors}"
        );
    }
    let (command, [user, _]) = as_ordinary_user(&setup, &["--config", "agent.toml", "run"]);
    let (code, output, errors) = run(command);
    assert_eq!((code, output.as_str()), (Some(78), ""));
    let expected = format!(
        "cannot be used: the user {user}, which the agent runs as, may not read it; allow it with: sudo chown {user} \
         [folder]/key\n"
    );
    let errors = setup.anonymous(&errors);
    assert!(errors.ends_with(&expected), "{errors}");
}

#[test]
fn an_unreadable_configuration_is_a_matter_of_rights_for_a_user_and_has_a_remedy_for_the_service() {
    let setup = Setup::new();
    setup.write("etc/agent.toml", "device = \"dl-home\"\n", 0o000);
    let refused = |command: &str| {
        let (command, names) = as_ordinary_user(&setup, &["--config", "etc/agent.toml", command]);
        let (code, output, errors) = run(command);
        assert_eq!(output, "");
        (code, setup.anonymous(&errors), names)
    };
    for command in ["config", "ping"] {
        let (code, errors, _) = refused(command);
        assert_eq!(code, Some(1), "{errors}");
        assert!(
            errors.ends_with("agent.toml: the configuration file cannot be used: you may not read it; run the command with sudo\n"),
            "{errors}"
        );
    }
    let (code, errors, [user, group]) = refused("run");
    assert_eq!(code, Some(78), "{errors}");
    let remedy = format!(
        "the user {user}, which the agent runs as, may not read it; allow it with: sudo chgrp {group} \
         [folder]/etc/agent.toml && sudo chmod 640 [folder]/etc/agent.toml\n"
    );
    assert!(errors.ends_with(&remedy), "{errors}");

    // The part that refuses is named, which may be a folder.
    setup.write("etc/agent.toml", "device = \"dl-home\"\n", 0o644);
    let private = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(setup.folder().join("etc"), mode).expect("it is ours");
    };
    private(0o000);
    let (code, errors, _) = refused("config");
    assert_eq!(code, Some(1), "{errors}");
    assert!(
        errors
            .ends_with(": you may not enter the folder [folder]/etc; run the command with sudo\n"),
        "{errors}"
    );
    let (code, errors, [user, _]) = refused("run");
    assert_eq!(code, Some(78), "{errors}");
    let remedy = format!(
        "the user {user}, which the agent runs as, may not enter the folder [folder]/etc; move the file to /etc/ispmon\n"
    );
    assert!(errors.ends_with(&remedy), "{errors}");
    private(0o755);
}
