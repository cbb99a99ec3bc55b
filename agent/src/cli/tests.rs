use super::*;

fn parse_line(line: &str) -> Result<Invocation, clap::Error> {
    parse(line.split_whitespace().map(OsString::from))
}

fn parsed(line: &str) -> Invocation {
    parse_line(line).unwrap_or_else(|error| panic!("{line} is parsed: {error}"))
}

fn refused(line: &str) -> String {
    let error = parse_line(line).expect_err("it is refused");
    assert_eq!(answer(&error), Exit::Usage, "{line}");
    error.to_string()
}

#[test]
fn the_definition_is_valid_for_clap() {
    Cli::command().debug_assert();
}

#[test]
fn without_a_command_the_agent_runs() {
    let plain = parsed("ispmon-agent");
    assert_eq!(plain.action, CliAction::Run);
    assert_eq!(plain, parsed("ispmon-agent run"));
    assert_eq!(plain.flags, Flags::default());
}

#[test]
fn the_old_flags_work_with_and_without_run() {
    let flags = "--url https://a.example/api/ping --device dl-home --interval 60 --verbose";
    let old = parsed(&format!("ispmon-agent {flags}"));
    assert_eq!(old.action, CliAction::Run);
    assert_eq!(
        old.flags.given(),
        [
            ("--url", "https://a.example/api/ping"),
            ("--device", "dl-home"),
            ("--interval", "60"),
            ("--verbose", "debug"),
        ]
    );
    assert_eq!(old, parsed(&format!("ispmon-agent run {flags}")));
    assert_eq!(old, parsed(&format!("ispmon-agent {flags} run")));
}

#[test]
fn once_is_ping() {
    for line in ["--once", "run --once", "--once run", "ping", "--once ping"] {
        assert_eq!(parsed(&format!("ispmon-agent {line}")).action, CliAction::Ping, "{line}");
    }
}

#[test]
fn daemon_is_accepted_and_returned() {
    for line in ["--daemon", "run --daemon", "--daemon run", "--daemon --interval 60"] {
        let invocation = parsed(&format!("ispmon-agent {line}"));
        assert_eq!((invocation.action, invocation.daemon), (CliAction::Run, true), "{line}");
    }
    assert!(!parsed("ispmon-agent run").daemon);
}

#[test]
fn every_command_takes_the_file_and_the_settings() {
    for command in ["run", "ping", "config"] {
        let after = format!("ispmon-agent {command} --config /x/agent.toml --device dl-home");
        let before = format!("ispmon-agent --config /x/agent.toml --device dl-home {command}");
        let invocation = parsed(&after);
        assert_eq!(invocation, parsed(&before));
        assert_eq!(invocation.config_file, Some(PathBuf::from("/x/agent.toml")));
        assert_eq!(invocation.flags.device.as_deref(), Some("dl-home"));
    }
}

#[test]
fn a_pause_takes_a_time_that_can_be_announced() {
    let pause = |time| {
        parse_line(&format!("ispmon-agent pause {time}")).map(|invocation| invocation.action)
    };
    for (text, seconds) in
        [("2h", 7_200), ("90min", 5_400), ("45", 45), ("1s", 1), ("24h", 86_400), ("1d", 86_400)]
    {
        let time = Duration::from_secs(seconds);
        assert_eq!(pause(text).expect("it is accepted"), CliAction::Pause { time }, "{text}");
    }
    insta::assert_snapshot!(refused("ispmon-agent pause"), @r"
    error: the following required arguments were not provided:
      <TIME>

    Usage: ispmon-agent pause <TIME>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused("ispmon-agent pause 2d"), @r"
    error: invalid value '2d' for '<TIME>': the longest pause is 24 h; pause again when it is over

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused("ispmon-agent pause 0.5"), @r"
    error: invalid value '0.5' for '<TIME>': the shortest pause is 1 s

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused("ispmon-agent pause later"), @r"
    error: invalid value 'later' for '<TIME>': this is not a duration; write 2h, 90min or a number of seconds, up to 24 h

    For more information, try '--help'.
    ");
}

#[test]
fn commands_that_came_after_the_old_flags_refuse_them() {
    for command in ["status", "pause 2h", "resume", "doctor"] {
        for flag in ["--once", "--daemon"] {
            let text = refused(&format!("ispmon-agent {flag} {command}"));
            assert!(text.contains(&format!("'{flag}' cannot be used with")), "{text}");
        }
    }
}

#[test]
fn the_service_is_managed_without_settings() {
    let action = |line: &str| match parsed(&format!("ispmon-agent {line}")).action {
        CliAction::Service(request) => request,
        other => panic!("{line} is parsed as {other:?}"),
    };
    let install = |is_shown_only, from_env: Option<&str>| ServiceRequest::Install {
        is_shown_only,
        from_env: from_env.map(PathBuf::from),
    };
    let uninstall = |is_shown_only, is_purge, is_confirmed| ServiceRequest::Uninstall {
        is_shown_only,
        is_purge,
        is_confirmed,
    };
    for (line, expected) in [
        ("install", install(false, None)),
        ("install --print", install(true, None)),
        ("install --from-env /home/me/.env", install(false, Some("/home/me/.env"))),
        ("uninstall", uninstall(false, false, false)),
        ("uninstall --print --purge", uninstall(true, true, false)),
        ("uninstall --purge --yes", uninstall(false, true, true)),
        ("start", ServiceRequest::Start),
        ("stop", ServiceRequest::Stop),
        ("restart", ServiceRequest::Restart),
    ] {
        assert_eq!(action(line), expected, "{line}");
    }
    // Flags that would have no effect.
    for (line, flag) in [
        ("install --url https://a.example/", "--url"),
        ("install --config /x/agent.toml", "--config"),
        ("--device x start", "--device"),
        ("uninstall --state-dir /x", "--state-dir"),
        ("--once install", "--once"),
    ] {
        let text = refused(&format!("ispmon-agent {line}"));
        assert!(text.contains(&format!("'{flag}' cannot be used with")), "{text}");
    }
    assert!(refused("ispmon-agent uninstall --yes").contains("--purge"));
}

#[test]
fn wrong_usage_is_explained() {
    insta::assert_snapshot!(refused("ispmon-agent --intervall 60"), @r"
    error: unexpected argument '--intervall' found

      tip: a similar argument exists: '--interval'

    Usage: ispmon-agent --interval <TIME>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused("ispmon-agent begin"), @r"
    error: unrecognized subcommand 'begin'

    Usage: ispmon-agent [OPTIONS] [COMMAND]

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused("ispmon-agent config --once"), @r"
    error: unexpected argument '--once' found

    Usage: ispmon-agent config [OPTIONS]

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused("ispmon-agent --daemon config"), @r"
    error: the argument '--daemon' cannot be used with 'config'

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused("ispmon-agent --url="), @r"
    error: a value is required for '--url <URL>' but none was supplied

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused("ispmon-agent --key secret"), @r"
    error: unexpected argument '--key' found

    Usage: ispmon-agent [OPTIONS] [COMMAND]

    For more information, try '--help'.
    ");
}

#[test]
fn help_and_version_are_no_errors() {
    for line in ["--help", "-h", "--version", "help", "run --help", "help ping"] {
        let error = parse_line(&format!("ispmon-agent {line}")).expect_err("it ends the program");
        assert_eq!(answer(&error), Exit::Success, "{line}");
    }
}

fn help(line: &str) -> String {
    parse_line(line).expect_err("help ends the program").to_string()
}

#[test]
fn the_help_explains_itself() {
    insta::assert_snapshot!(help("ispmon-agent --help"), @"
    Records internet outages, and sends heartbeats so that you get a mail when the connection fails.

    ispmon-agent runs on a device at home. It probes the internet every few seconds, finds the cause of
    an outage, and records it in a journal on the device. Once a minute it sends a heartbeat to the
    cloud. When heartbeats stop, alert rules in the cloud mail you, although your own connection is down.
    Without a command it does the same as `run`.

    Usage: ispmon-agent [OPTIONS] [COMMAND]

    Commands:
      run        Monitor and send heartbeats until stopped, in the foreground; the service runs this
      ping       Send one heartbeat and print the result
      config     Show every setting, its value and the source of the value
      outages    List outages: when, how long, what failed and whose part it was
      report     Report the availability of the internet, the provider's part first
      status     Show the state of the internet connection, and whether the agent runs
      pause      Pause monitoring and heartbeats for a time, without an alarm
      resume     End a pause early
      doctor     Diagnose the installation: what does not work, and how to fix it
      install    Install the agent as a service of this system and start it
      uninstall  Stop the service and remove what `install` installed
      start      Start the installed service and wait until it runs
      stop       Stop the installed service until the next boot
      restart    Stop the installed service and start it again
      journal    Check the integrity of the journal
      help       Print this message or the help of the given subcommand(s)

    Options:
          --once
              Send one heartbeat and exit, like `ping`

          --daemon
              Accepted for old scripts, has no effect: the service manager does this now

          --config <FILE>
              Configuration file [default: /etc/ispmon/agent.toml]

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Settings:
          --url <URL>
              Where heartbeats go [setting heartbeat.url]

          --device <NAME>
              The name of this device [setting device]

          --interval <TIME>
              The time between heartbeats: 60s, 5min or seconds [setting heartbeat.interval]

          --state-dir <FOLDER>
              The folder of the journal [setting state_dir]

      -v, --verbose
              Log in more detail [setting log.level, to debug]

    Settings come from four sources, and each overrides those before it: defaults, the configuration file,
    environment variables (ISPMON_DEVICE, ISPMON_HEARTBEAT_URL …), flags. The file is etc/ispmon/agent.toml
    in the prefix of the Homebrew that installed this program, otherwise /etc/ispmon/agent.toml, otherwise
    a .env file in the current folder that belongs to you.
    `ispmon-agent config --sample` explains all settings; `ispmon-agent config` shows the current values.
    The function key is never given on the command line: it is in the file that heartbeat.key_file names.

    Exit codes: 0 success, 1 failure, 64 wrong usage, 78 wrong configuration.
    ");
    insta::assert_snapshot!(help("ispmon-agent -h"), @"
    Records internet outages, and sends heartbeats so that you get a mail when the connection fails.

    Usage: ispmon-agent [OPTIONS] [COMMAND]

    Commands:
      run        Monitor and send heartbeats until stopped, in the foreground; the service runs this
      ping       Send one heartbeat and print the result
      config     Show every setting, its value and the source of the value
      outages    List outages: when, how long, what failed and whose part it was
      report     Report the availability of the internet, the provider's part first
      status     Show the state of the internet connection, and whether the agent runs
      pause      Pause monitoring and heartbeats for a time, without an alarm
      resume     End a pause early
      doctor     Diagnose the installation: what does not work, and how to fix it
      install    Install the agent as a service of this system and start it
      uninstall  Stop the service and remove what `install` installed
      start      Start the installed service and wait until it runs
      stop       Stop the installed service until the next boot
      restart    Stop the installed service and start it again
      journal    Check the integrity of the journal
      help       Print this message or the help of the given subcommand(s)

    Options:
          --once           Send one heartbeat and exit, like `ping`
          --daemon         Accepted for old scripts, has no effect: the service manager does this now
          --config <FILE>  Configuration file [default: /etc/ispmon/agent.toml]
      -h, --help           Print help (see more with '--help')
      -V, --version        Print version

    Settings:
          --url <URL>           Where heartbeats go [setting heartbeat.url]
          --device <NAME>       The name of this device [setting device]
          --interval <TIME>     The time between heartbeats: 60s, 5min or seconds [setting heartbeat.interval]
          --state-dir <FOLDER>  The folder of the journal [setting state_dir]
      -v, --verbose             Log in more detail [setting log.level, to debug]

    Settings come from four sources, and each overrides those before it: defaults, the configuration file,
    environment variables (ISPMON_DEVICE, ISPMON_HEARTBEAT_URL …), flags. The file is etc/ispmon/agent.toml
    in the prefix of the Homebrew that installed this program, otherwise /etc/ispmon/agent.toml, otherwise
    a .env file in the current folder that belongs to you.
    `ispmon-agent config --sample` explains all settings; `ispmon-agent config` shows the current values.
    The function key is never given on the command line: it is in the file that heartbeat.key_file names.

    Exit codes: 0 success, 1 failure, 64 wrong usage, 78 wrong configuration.
    ");
}

#[test]
fn the_help_of_commands_for_the_running_agent_states_their_effect_and_permissions() {
    let head = |line: &str| {
        let help = help(line);
        help.split("\n      --config").next().unwrap_or_default().trim_end().to_owned()
    };
    insta::assert_snapshot!(head("ispmon-agent status --help"), @"
    Show the state of the internet connection, and whether the agent runs

    Needs no root. Exit code 0 if the agent runs, whether the internet is up or down; 1 if it does
    not run: the state shown is then the last one that it reported.

    Usage: ispmon-agent status [OPTIONS]

    Options:
          --json
              Print JSON for programs
    ");
    insta::assert_snapshot!(head("ispmon-agent pause --help"), @"
    Pause monitoring and heartbeats for a time, without an alarm

    The running agent neither monitors nor sends heartbeats until the time is over or you run
    `resume`, also across a restart. It announces the silence to the cloud, so that no mail comes
    during the pause; the alarm comes if no heartbeat arrives after it. Meant for work on the router
    or a move. The journal records the pause as not monitored.

    Allowed for root and for members of the agent's group (ispmon).

    Usage: ispmon-agent pause [OPTIONS] <TIME>

    Arguments:
      <TIME>
              Length of the pause, 1 s to 24 h: 2h, 90min, 45 (seconds)

    Options:
    ");
    insta::assert_snapshot!(head("ispmon-agent doctor --help"), @"
    Diagnose the installation: what does not work, and how to fix it

    Checks the configuration, the agent, its journal, the connection, every server that is probed, the
    heartbeats, the clock and the log. Changes nothing, sends no heartbeat, and needs no root. Each
    row is PASS, WARN (it works, but needs your attention), FAIL, or SKIP (nothing to check, or the
    check was not possible). Exit code 0 if no row is FAIL, otherwise 1.

    Usage: ispmon-agent doctor [OPTIONS]

    Options:
          --json
              Print JSON for programs
    ");
    insta::assert_snapshot!(head("ispmon-agent resume --help"), @r"
    End a pause early

    Allowed for root and for members of the agent's group (ispmon).

    Usage: ispmon-agent resume [OPTIONS]

    Options:
    ");
}

#[test]
fn the_help_of_each_command_explains_itself() {
    insta::assert_snapshot!(help("ispmon-agent run --help"), @"
    Monitor and send heartbeats until stopped, in the foreground; the service runs this

    Usage: ispmon-agent run [OPTIONS]

    Options:
          --once           Send one heartbeat and exit, like `ping`
          --daemon         Accepted for old scripts, has no effect: the service manager does this now
          --config <FILE>  Configuration file [default: /etc/ispmon/agent.toml]
      -h, --help           Print help

    Settings:
          --url <URL>           Where heartbeats go [setting heartbeat.url]
          --device <NAME>       The name of this device [setting device]
          --interval <TIME>     The time between heartbeats: 60s, 5min or seconds [setting heartbeat.interval]
          --state-dir <FOLDER>  The folder of the journal [setting state_dir]
      -v, --verbose             Log in more detail [setting log.level, to debug]
    ");
    insta::assert_snapshot!(help("ispmon-agent ping --help"), @"
    Send one heartbeat and print the result

    Usage: ispmon-agent ping [OPTIONS]

    Options:
          --config <FILE>  Configuration file [default: /etc/ispmon/agent.toml]
      -h, --help           Print help

    Settings:
          --url <URL>           Where heartbeats go [setting heartbeat.url]
          --device <NAME>       The name of this device [setting device]
          --interval <TIME>     The time between heartbeats: 60s, 5min or seconds [setting heartbeat.interval]
          --state-dir <FOLDER>  The folder of the journal [setting state_dir]
      -v, --verbose             Log in more detail [setting log.level, to debug]
    ");
    insta::assert_snapshot!(help("ispmon-agent config --help"), @"
    Show every setting, its value and the source of the value

    Usage: ispmon-agent config [OPTIONS]

    Options:
          --sample         Print a commented configuration file with all settings at their defaults
          --config <FILE>  Configuration file [default: /etc/ispmon/agent.toml]
      -h, --help           Print help

    Settings:
          --url <URL>           Where heartbeats go [setting heartbeat.url]
          --device <NAME>       The name of this device [setting device]
          --interval <TIME>     The time between heartbeats: 60s, 5min or seconds [setting heartbeat.interval]
          --state-dir <FOLDER>  The folder of the journal [setting state_dir]
      -v, --verbose             Log in more detail [setting log.level, to debug]
    ");
}

#[test]
fn outages_and_report_take_a_period_and_a_format() {
    let moment = |text: &str| Some(text.parse().expect("it is a time"));
    assert_eq!(
        parsed("ispmon-agent outages --since 7d --csv --all").action,
        CliAction::Outages(OutagesRequest {
            form: Form::Csv,
            period: crate::history::Period { since: moment("7d"), until: None },
            all: true,
        })
    );
    let month = moment("2026-11");
    assert_eq!(
        parsed("ispmon-agent report --month 2026-11 --html --incident 01A1").action,
        CliAction::Report(ReportRequest {
            form: Form::Html(None),
            period: crate::history::Period { since: month, until: month },
            incident: Some("01a1".to_owned()),
        })
    );
    let CliAction::Report(report) = parsed("ispmon-agent report --html a.html").action else {
        panic!("it is a report");
    };
    assert_eq!(report.form, Form::Html(Some(PathBuf::from("a.html"))));
    for line in [
        "outages --json --csv",
        "outages --since soon",
        "report --html --json",
        "report --month 2026-11 --since 7d",
        "report --month 2026-11-24",
        "report --incident /etc",
        "report --csv --incident 01a1",
        "--once report",
    ] {
        refused(&format!("ispmon-agent {line}"));
    }
}

#[test]
fn man_pages_and_completions_are_generated() {
    let action = |line: &str| parsed(&format!("ispmon-agent generate {line}")).action;
    assert_eq!(action("man /x"), CliAction::Generate(GenerateRequest::Man { folder: "/x".into() }));
    for (name, shell) in [("bash", Shell::Bash), ("zsh", Shell::Zsh), ("fish", Shell::Fish)] {
        let request = GenerateRequest::Completions { shell };
        assert_eq!(action(&format!("completions {name}")), CliAction::Generate(request));
    }
    let refusal = refused("ispmon-agent generate completions tcsh");
    assert!(refusal.contains("[possible values: bash, zsh, fish]"), "{refusal}");
    refused("ispmon-agent generate");
    refused("ispmon-agent --once generate man /x");
}
