use std::{fs, os::unix::net::UnixListener, process::Command};

use proptest::prelude::*;

use super::place::Setup;

#[test]
fn every_problem_is_reported_at_once() {
    let mut setup = Setup::with_file(
        "\
devise = \"dl-home\"
device = true

[heartbeat]
kind = \"healthchecks\"
url = \"dl.example/api/ping\"
intervall = 60
interval = \"0.5s\"
timeout = \"10 min\"
backoff_base = [1, 2]
quiet_after_stop = \"until tomorrow\"
key = \"AAAA\"

[logs]
level = \"loud\"

[log.file]
path = \"/x\"
",
    );
    setup.variable("ISPMON_LOG_LEVEL", "loud");
    setup.variable("ISPMON_HEARTBEAT_KEY", "AAAA");
    setup.variable("ISPMON_HEARTBEET_URL", "https://a.example/");
    setup.variable("ISPMON_X", "1");
    setup.variable("HEARTBEAT_TOKEN", "none of ours");
    setup.sources.flags.interval = Some("often".to_owned());
    setup.sources.flags.device = Some("x".repeat(101));
    insta::assert_snapshot!(setup.problems(), @r#"
    [folder]/agent.toml, line 1: there is no setting devise; did you mean device?
    [folder]/agent.toml, line 5: heartbeat.kind is "healthchecks", which is none of the words that it can be; it takes "ispmon" or "plain"
    [folder]/agent.toml, line 6: heartbeat.url does not begin with https:// or http://, and nothing else is supported
    [folder]/agent.toml, line 7: there is no setting heartbeat.intervall; did you mean heartbeat.interval?
    [folder]/agent.toml, line 9: heartbeat.timeout is "10 min", which is too long; it takes a duration from 100ms to 5min
    [folder]/agent.toml, line 10: heartbeat.backoff_base is a list; it takes a duration from 10ms to 1min
    [folder]/agent.toml, line 11: heartbeat.quiet_after_stop is "until tomorrow", which is no duration such as "90s", "5 min" or a number of seconds; it takes a duration from 0s to 24h
    [folder]/agent.toml, line 12: there is no setting heartbeat.key: a function key stands in a file of its own; write it to a file, make it private with chmod 600, and name the file in heartbeat.key_file
    [folder]/agent.toml, line 14: there is no setting logs; did you mean log?
    [folder]/agent.toml, line 17: there is no setting log.file; `ispmon-agent config --sample` explains all
    variable ISPMON_HEARTBEAT_KEY: there is no such setting: a function key never stands in a variable, but in a file of its own that heartbeat.key_file names
    variable ISPMON_HEARTBEET_URL: there is no such setting; did you mean ISPMON_HEARTBEAT_URL?
    variable ISPMON_LOG_LEVEL: log.level is "loud", which is none of the words that it can be; it takes "error", "warn", "info", "debug" or "trace"
    variable ISPMON_X: there is no such setting; `ispmon-agent config --sample` names all variables
    flag --device: device is "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" and so on, which is too long; it takes a text of 1 to 100 characters
    flag --interval: heartbeat.interval is "often", which is no duration such as "90s", "5 min" or a number of seconds; it takes a duration from 10ms to 1h
    "#);
}

#[test]
fn overridden_values_in_the_file_are_not_checked() {
    let mut setup = Setup::with_file("[heartbeat]\ninterval = 0\ntimeout = 0\n");
    setup.sources.flags.interval = Some("60".to_owned());
    insta::assert_snapshot!(setup.problems(), @r#"[folder]/agent.toml, line 3: heartbeat.timeout is "0", which is too short; it takes a duration from 100ms to 5min"#);
}

#[test]
fn a_section_is_no_value_and_a_value_no_section() {
    let mut setup =
        Setup::with_file("heartbeat = \"https://a.example/\"\n[device]\nname = \"x\"\n[[log]]\n");
    setup.variable("ISPMON_HEARTBEAT_URL", "http://127.0.0.1/");
    insta::assert_snapshot!(setup.problems(), @r"
    [folder]/agent.toml, line 1: heartbeat is a section and takes no value; begin it with [heartbeat]
    [folder]/agent.toml, line 2: device is a section; it takes a text of 1 to 100 characters (between quotes)
    [folder]/agent.toml, line 4: log is a section and takes no value; begin it with [log]
    ");
}

#[test]
fn keys_that_need_quotes_are_no_settings() {
    let setup = Setup::with_file("\"heartbeat.url\" = \"x\"\n\"a b\\n\" = 1\n\"\" = 2\n");
    insta::assert_snapshot!(setup.problems(), @r#"
    [folder]/agent.toml, line 1: there is no setting "heartbeat.url"; did you mean heartbeat.url?
    [folder]/agent.toml, line 2: there is no setting "a b\n"; `ispmon-agent config --sample` explains all
    [folder]/agent.toml, line 3: there is no setting ""; `ispmon-agent config --sample` explains all
    "#);
}

#[test]
fn an_unknown_section_is_one_problem() {
    let setup = Setup::with_file("[heartbeet]\nurl = \"x\"\ninterval = 5\n[wifi]\n");
    insta::assert_snapshot!(setup.problems(), @r"
    [folder]/agent.toml, line 1: there is no setting heartbeet; did you mean heartbeat?
    [folder]/agent.toml, line 4: there is no setting wifi; `ispmon-agent config --sample` explains all
    ");
}

#[test]
fn toml_errors_name_their_line() {
    let setup = Setup::with_file("device = \"dl-home\"\n[heartbeat\ninterval = 60\nurl = \"abc\n");
    insta::assert_snapshot!(setup.problems(), @"[folder]/agent.toml, line 2: not valid TOML: unclosed table, expected `]`");
    let setup = Setup::with_file("device = \"a\"\ndevice = \"b\"\n");
    insta::assert_snapshot!(setup.problems(), @"[folder]/agent.toml, line 2: not valid TOML: duplicate key");
}

#[test]
fn the_base_of_the_back_off_must_not_exceed_its_cap() {
    let setup = Setup::with_file("heartbeat.backoff_base = \"40s\"\n");
    insta::assert_snapshot!(setup.problems(), @"[folder]/agent.toml, line 1: heartbeat.backoff_base is 40s ([folder]/agent.toml, line 1), longer than heartbeat.backoff_cap, which is 30s (default); make it at most as long");
}

#[test]
fn bounds_are_inclusive() {
    for (key, least, below, most, above) in [
        ("interval", "10ms", "9ms", "1h", "3601"),
        ("timeout", "100ms", "99ms", "5 min", "300.001"),
        ("backoff_cap", "10ms", "9ms", "10 min", "601"),
        ("quiet_after_stop", "0", "-1", "24 h", "86401"),
    ] {
        let load = |value: &str| {
            let base = if key == "backoff_cap" { "backoff_base = \"10ms\"\n" } else { "" };
            Setup::with_file(format!("[heartbeat]\n{base}{key} = \"{value}\"\n")).load()
        };
        for value in [least, most] {
            assert!(load(value).is_ok(), "{key} = {value}");
        }
        for value in [below, above] {
            let error = load(value).expect_err(value).to_string();
            assert!(error.contains(&format!("heartbeat.{key} is \"{value}\"")), "{error}");
            assert!(error.contains("it takes a duration from "), "{error}");
        }
    }
}

#[test]
fn a_device_has_at_most_100_characters_and_no_control_characters() {
    let setup = |device: &str| {
        let mut setup = Setup::new();
        setup.variable("ISPMON_DEVICE", device);
        setup
    };
    let longest = "ü".repeat(100);
    assert_eq!(setup(&longest).loaded().settings.device, longest);
    assert_eq!(setup("  dl-home \n").loaded().settings.device, "dl-home");
    insta::assert_snapshot!(setup(&"ü".repeat(101)).problems(), @r#"variable ISPMON_DEVICE: device is "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü" and so on, which is too long; it takes a text of 1 to 100 characters"#);
    insta::assert_snapshot!(setup("dl\nhome").problems(), @r#"variable ISPMON_DEVICE: device is "dl\nhome", which has a control character in it; it takes a text of 1 to 100 characters"#);
}

#[test]
fn a_configuration_file_named_by_a_flag_must_exist() {
    let mut setup = Setup::new();
    setup.sources.config_file = Some("missing.toml".into());
    setup.write(".env", "HEARTBEAT_DEVICE=of-the-env\n", 0o600);
    insta::assert_snapshot!(setup.problems(), @"[folder]/missing.toml: the configuration file cannot be used: it does not exist");
}

#[test]
fn only_regular_files_of_a_sensible_size_are_read() {
    let mut setup = Setup::new();
    setup.sources.config_file = Some(setup.folder().to_owned());
    insta::assert_snapshot!(setup.problems(), @"[folder]: the configuration file cannot be used: it is not a regular file");
    setup.sources.config_file = Some("/dev/zero".into());
    insta::assert_snapshot!(setup.problems(), @"/dev/zero: the configuration file cannot be used: it is not a regular file");
    let _listener = UnixListener::bind(setup.folder().join("socket")).expect("the socket is bound");
    setup.sources.config_file = Some("socket".into());
    assert!(setup.problems().starts_with("[folder]/socket: the configuration file cannot be used"));
    let made = Command::new("mkfifo").arg(setup.folder().join("pipe")).status();
    assert!(made.expect("mkfifo starts").success());
    setup.sources.config_file = Some("pipe".into());
    insta::assert_snapshot!(setup.problems(), @"[folder]/pipe: the configuration file cannot be used: it is not a regular file");
    let setup = Setup::with_file("#".repeat(64 * 1024 + 1));
    insta::assert_snapshot!(setup.problems(), @"[folder]/agent.toml: the configuration file cannot be used: it is longer than 65536 bytes");
    Setup::with_file("#".repeat(64 * 1024)).loaded();
    let setup = Setup::with_file(b"device = \"\xff\"\n");
    insta::assert_snapshot!(setup.problems(), @"[folder]/agent.toml: the configuration file cannot be used: it is not UTF-8 text");
}

#[test]
fn variables_must_be_text() {
    use std::os::unix::ffi::OsStringExt;

    let mut setup = Setup::new();
    let value = std::ffi::OsString::from_vec(vec![b'x', 0xff]);
    setup.sources.environment.insert("ISPMON_DEVICE".into(), value.clone());
    setup.sources.environment.insert("SOMETHING_ELSE".into(), value);
    insta::assert_snapshot!(setup.problems(), @"variable ISPMON_DEVICE: the value of device is not UTF-8 text; it takes a text of 1 to 100 characters");
}

/// Checks that loading succeeds, or returns problems of one line each, each with its position.
fn check_result(setup: &Setup) -> Result<(), TestCaseError> {
    if let Err(error) = setup.load() {
        let text = error.to_string();
        prop_assert!(!text.is_empty());
        prop_assert_eq!(text.lines().count(), error.problems().len(), "{}", text);
        for line in text.lines() {
            prop_assert!(line.contains(": "), "{}", line);
        }
    }
    Ok(())
}

/// Lines that resemble a configuration, to get further than arbitrary text does.
fn almost_toml() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("device".to_owned()),
        Just("heartbeat.interval".to_owned()),
        Just("heartbeat".to_owned()),
        Just("[heartbeat]\nurl".to_owned()),
        Just("[[log]]\nlevel".to_owned()),
        "[a-z\"'.\\[\\] ]{0,12}",
    ];
    let value = prop_oneof![
        Just("\"60s\"".to_owned()),
        Just("{ interval = 5 }".to_owned()),
        "-?[0-9_.exob]{1,25}",
        "[\\[\\]{},\"'a-z0-9= ]{0,20}",
        any::<String>().prop_map(|text| format!("{text:?}")),
    ];
    proptest::collection::vec((key, value), 0..6).prop_map(|lines| {
        lines.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join("\n")
    })
}

proptest! {
    #[test]
    fn any_bytes_in_the_file_give_settings_or_problems(bytes in any::<Vec<u8>>()) {
        check_result(&Setup::with_file(bytes))?;
    }

    #[test]
    fn any_text_in_the_file_gives_settings_or_problems(text in any::<String>()) {
        check_result(&Setup::with_file(text))?;
    }

    #[test]
    fn any_lines_in_the_file_give_settings_or_problems(text in almost_toml()) {
        check_result(&Setup::with_file(text))?;
    }

    #[test]
    fn any_variables_give_settings_or_problems(
        which in 0..ispmon_agent::config::table::SETTINGS.len(),
        value in any::<String>(),
        name in "ISPMON_[A-Z_]{0,20}",
    ) {
        let mut setup = Setup::new();
        setup.variable(&ispmon_agent::config::table::SETTINGS[which].variable(), &value);
        setup.variable(&name, &value);
        check_result(&setup)?;
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("device = {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    assert!(Setup::with_file(deep).problems().contains("line 1: not valid TOML"));
    let dotted = format!("{}x = 1\n", "heartbeat.".repeat(3_000));
    assert!(Setup::with_file(dotted).load().is_err());
}

#[test]
fn every_invalid_probe_target_is_reported() {
    let setup = Setup::with_file(
        "\
[probe]
anchors = [\"192.0.2.1\", \"one.example\", \"tcp://192.0.2.1:443\", \"192.0.2.3:0\"]
gateway = \"router.example\"
resolver = \"192.0.2.53:\"
portal = \"https://portal.example/\"
grace = \"1h\"
",
    );
    insta::assert_snapshot!(setup.problems(), @r#"
    [folder]/agent.toml, line 2: probe.anchors is "192.0.2.3:0", which is without a port that could be probed; it takes 1 to 16 addresses such as "1.1.1.1, [fd00::1]:8443, tcp://192.0.2.1", separated by commas
    [folder]/agent.toml, line 2: probe.anchors is "one.example", which is no address; it takes 1 to 16 addresses such as "1.1.1.1, [fd00::1]:8443, tcp://192.0.2.1", separated by commas
    [folder]/agent.toml, line 2: probe.anchors is "tcp://192.0.2.1:443", which is in it twice; it takes 1 to 16 addresses such as "1.1.1.1, [fd00::1]:8443, tcp://192.0.2.1", separated by commas
    [folder]/agent.toml, line 3: probe.gateway is "router.example", which is no address; it takes an address such as "192.168.1.1"
    [folder]/agent.toml, line 4: probe.resolver is "192.0.2.53:", which is no address; it takes an address such as "192.168.1.1" or "[fd00::1]:53"
    [folder]/agent.toml, line 5: probe.portal begins with https://, where no login page can answer in its place; it takes addresses that begin with http://, separated by commas, or "off"
    [folder]/agent.toml, line 6: probe.grace is "1h", which is too long; it takes a duration from 0s to 30min
    "#);
}

#[test]
fn too_few_anchors_of_a_family_cause_a_warning() {
    let setup =
        Setup::with_file("[probe]\nanchors = \"192.0.2.1, 192.0.2.2, 192.0.2.3, 2001:db8::1\"\n");
    insta::assert_snapshot!(setup.loaded().warnings.join("\n"), @"probe.anchors has only 1 address of IPv6, so that a server which is down looks like an outage. Name 3 or more, of two organisations at least.");
}

#[test]
fn a_list_of_anchors_has_an_upper_bound() {
    let of = |count: usize| {
        let anchors: Vec<String> = (1..=count).map(|host| format!("192.0.2.{host}")).collect();
        Setup::with_file(format!("[probe]\nanchors = \"{}\"\n", anchors.join(", ")))
    };
    assert_eq!(of(16).loaded().settings.probe.anchors.len(), 16);
    insta::assert_snapshot!(of(17).problems(), @"[folder]/agent.toml, line 2: probe.anchors names 17 servers, more than the 16 that it may; each is probed every second while the connection is in doubt");
}

#[test]
fn an_anchor_can_be_set_without_tls() {
    let setup = Setup::with_file(
        "[probe]\nanchors = \"tcp://192.0.2.1, 192.0.2.2, tcp://[2001:db8::1]:853\"\n",
    );
    let anchors = setup.loaded().settings.probe.anchors;
    let shown: Vec<String> = anchors.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["tcp://192.0.2.1:443", "192.0.2.2:443", "tcp://[2001:db8::1]:853"]);
    assert_eq!(anchors.iter().map(|anchor| anchor.tls).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn a_link_to_a_missing_file_is_not_taken_for_no_configuration() {
    let setup = Setup::new();
    fs::create_dir(setup.folder().join("etc")).expect("a folder");
    let link = setup.folder().join("etc/agent.toml");
    std::os::unix::fs::symlink("/nonexistent/ispmon/agent.toml", &link).expect("a link");
    insta::assert_snapshot!(setup.problems(), @"[folder]/etc/agent.toml: the configuration file cannot be used: [folder]/etc/agent.toml is a symbolic link to /nonexistent/ispmon/agent.toml, which does not exist; create that, or remove the link");
    // The folder can be a link too, for instance to a disk that is not mounted.
    fs::remove_dir_all(setup.folder().join("etc")).expect("it is ours");
    std::os::unix::fs::symlink("usb/etc", setup.folder().join("etc")).expect("a link");
    insta::assert_snapshot!(setup.problems(), @"[folder]/etc/agent.toml: the configuration file cannot be used: [folder]/etc is a symbolic link to [folder]/usb/etc, which does not exist; create that, or remove the link");
    fs::create_dir_all(setup.folder().join("usb/etc")).expect("folders");
    assert_eq!(setup.loaded().file, None, "the link works, and there is no file behind it");
}

#[test]
fn a_file_in_the_place_of_the_folder_is_not_taken_for_no_configuration() {
    let setup = Setup::new();
    setup.write("etc", "", 0o644);
    insta::assert_snapshot!(setup.problems(), @"[folder]/etc/agent.toml: the configuration file cannot be used: [folder]/etc is not a folder");
}
