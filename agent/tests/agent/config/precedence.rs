use std::time::Duration;

use ispmon_agent::config::{HeartbeatKind, HeartbeatMethod, table::SETTINGS};
use proptest::prelude::*;

use super::place::Setup;

#[test]
fn an_empty_configuration_is_valid() {
    let loaded = Setup::new().loaded();
    let heartbeat = &loaded.settings.heartbeat;
    assert_eq!(loaded.settings.device, "dl-home");
    assert_eq!(heartbeat.kind, HeartbeatKind::Ispmon);
    assert_eq!(heartbeat.method, HeartbeatMethod::Get);
    assert_eq!((heartbeat.url.clone(), heartbeat.key.clone()), (None, None));
    assert_eq!(heartbeat.interval, Duration::from_mins(1));
    assert_eq!(heartbeat.timeout, Duration::from_secs(30));
    assert_eq!(heartbeat.backoff_base, Duration::from_secs(1));
    assert_eq!(heartbeat.backoff_cap, Duration::from_secs(30));
    assert_eq!(heartbeat.quiet_after_stop, Duration::from_mins(30));
    assert_eq!(loaded.settings.log.level, tracing::Level::INFO);
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.file, None);
}

#[test]
fn each_source_overrides_the_one_before() {
    let mut setup = Setup::with_file("device = \"of-the-file\"\n");
    assert_eq!(setup.shown("device"), ("of-the-file".into(), "[folder]/agent.toml, line 1".into()));
    setup.variable("HEARTBEAT_DEVICE", "of-the-variable");
    assert_eq!(
        setup.shown("device"),
        ("of-the-variable".into(), "variable HEARTBEAT_DEVICE".into())
    );
    setup.sources.flags.device = Some("of-the-flag".into());
    assert_eq!(setup.shown("device"), ("of-the-flag".into(), "flag --device".into()));
    assert_eq!(setup.loaded().settings.device, "of-the-flag");
}

#[test]
fn settings_of_all_sources_are_merged() {
    let mut setup = Setup::with_file("[heartbeat]\ninterval = 10\ntimeout = \"5s\"\n");
    setup.variable("ISPMON_HEARTBEAT_INTERVAL", "20 s");
    setup.sources.flags.url = Some("http://127.0.0.1:7071/api/ping".into());
    setup.sources.flags.verbose = true;
    let settings = setup.loaded().settings;
    assert_eq!(settings.heartbeat.interval, Duration::from_secs(20));
    assert_eq!(settings.heartbeat.timeout, Duration::from_secs(5));
    assert!(settings.heartbeat.url.is_some());
    assert_eq!(settings.log.level, tracing::Level::DEBUG);
}

proptest! {
    #[test]
    fn the_last_source_that_sets_a_value_wins(
        file in proptest::option::of(1_u64..3600),
        variable in proptest::option::of(1_u64..3600),
        flag in proptest::option::of(1_u64..3600),
        old_name in any::<bool>(),
    ) {
        let mut setup = Setup::with_file(
            file.map(|seconds| format!("heartbeat.interval = {seconds}\n")).unwrap_or_default(),
        );
        if let Some(seconds) = variable {
            let name = if old_name { "HEARTBEAT_INTERVAL" } else { "ISPMON_HEARTBEAT_INTERVAL" };
            setup.variable(name, &seconds.to_string());
        }
        setup.sources.flags.interval = flag.map(|seconds| format!("{seconds}s"));
        let expected = flag.or(variable).or(file).unwrap_or(60);
        prop_assert_eq!(
            setup.loaded().settings.heartbeat.interval,
            Duration::from_secs(expected)
        );
    }
}

/// A valid value of a setting that is not its default.
fn other_value(key: &str) -> &'static str {
    match key {
        "device" => "office",
        "heartbeat.kind" => "plain",
        "heartbeat.url" => "http://127.0.0.1:7071/api/ping",
        "heartbeat.method" => "POST",
        "heartbeat.expect" => "OK",
        "heartbeat.key_file" => "/dev/null/nothing",
        "state_dir" => "/srv/ispmon",
        "probe.anchors" => "192.0.2.1, 192.0.2.2, [2001:db8::1]:8443",
        "probe.gateway" => "192.0.2.254",
        "probe.resolver" => "[2001:db8::53]:5353",
        "probe.portal" => "off",
        "log.level" => "warn",
        _ => "2s",
    }
}

#[test]
fn every_setting_has_an_effect() {
    for setting in SETTINGS {
        let mut place = Setup::new();
        if setting.key == "heartbeat.key_file" {
            place.write("other.key", "a-key\n", 0o400);
        }
        if setting.key == "heartbeat.expect" {
            place.variable("ISPMON_HEARTBEAT_KIND", "plain");
        }
        let before = place.loaded().settings;
        let value = match setting.key {
            "heartbeat.key_file" => "./other.key",
            key => other_value(key),
        };
        place.variable(&setting.variable(), value);
        let after = place.loaded().settings;
        assert_ne!(after, before, "{} = {value:?} changes nothing in Settings", setting.key);
    }
}

#[test]
fn every_setting_has_a_variable() {
    for setting in SETTINGS {
        let mut setup = Setup::new();
        let value = other_value(setting.key);
        setup.variable(&setting.variable(), value);
        if setting.key == "heartbeat.key_file" {
            assert!(setup.problems().starts_with("variable ISPMON_HEARTBEAT_KEY_FILE: "));
            continue;
        }
        let (shown, source) = setup.shown(setting.key);
        assert_eq!(shown, value, "{}", setting.key);
        assert_eq!(source, format!("variable {}", setting.variable()));
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let mut setup = Setup::with_file("device = \"office\"\n");
    setup.variable("ISPMON_DEVICE", "").variable("HEARTBEAT_DEVICE", "  ");
    setup.variable("ISPMON_HEARTBEAT_INTERVAL", "").variable("ISPMON_NO_SUCH_THING", "");
    let settings = setup.loaded().settings;
    assert_eq!(settings.device, "office");
    assert_eq!(settings.heartbeat.interval, Duration::from_mins(1));
}

#[test]
fn both_names_of_a_variable_must_agree() {
    let mut setup = Setup::new();
    setup.variable("ISPMON_DEVICE", "office").variable("HEARTBEAT_DEVICE", "office");
    assert_eq!(setup.loaded().settings.device, "office");
    setup.variable("HEARTBEAT_DEVICE", "home");
    insta::assert_snapshot!(setup.problems(), @"variable ISPMON_DEVICE: device has another value here than in variable HEARTBEAT_DEVICE; remove one of the two, HEARTBEAT_DEVICE is the old name");
}

#[test]
fn a_text_setting_accepts_a_number() {
    for (written, device) in
        [("12", "12"), ("-5", "-5"), ("1.50", "1.50"), ("0x10", "16"), ("1979-05-27", "1979-05-27")]
    {
        let setup = Setup::with_file(format!("device = {written}\n"));
        assert_eq!(setup.loaded().settings.device, device, "{written}");
    }
    let mut setup = Setup::new();
    setup.variable("ISPMON_DEVICE", "007");
    assert_eq!(setup.loaded().settings.device, "007");
}

#[test]
fn durations_are_texts_or_seconds() {
    for (written, milliseconds) in [
        ("60", 60_000),
        ("1.5", 1500),
        ("1_000", 1_000_000),
        ("\"60\"", 60_000),
        ("\"60s\"", 60_000),
        ("\"1 min\"", 60_000),
        ("\"1min 30s\"", 90_000),
        ("'1 h'", 3_600_000),
    ] {
        let setup = Setup::with_file(format!("[heartbeat]\ninterval = {written}\n"));
        let interval = setup.loaded().settings.heartbeat.interval;
        assert_eq!(interval, Duration::from_millis(milliseconds), "{written}");
    }
}

#[test]
fn keywords_are_case_insensitive() {
    let setup = Setup::with_file(
        "[heartbeat]\nkind = \"Plain\"\nmethod = \"post\"\n[log]\nlevel = \"DEBUG\"\n",
    );
    let settings = setup.loaded().settings;
    assert_eq!(settings.heartbeat.kind, HeartbeatKind::Plain);
    assert_eq!(settings.heartbeat.method, HeartbeatMethod::Post);
    assert_eq!(settings.log.level, tracing::Level::DEBUG);
    assert_eq!(setup.shown("heartbeat.kind").0, "plain");
}

#[test]
fn the_back_off_is_never_longer_than_the_interval() {
    let setup = Setup::with_file("heartbeat.interval = 10\n");
    assert_eq!(setup.loaded().settings.heartbeat.backoff_cap, Duration::from_secs(10));
    assert_eq!(
        setup.shown("heartbeat.backoff_cap"),
        ("10s".into(), "heartbeat.interval, which limits 30s (default)".into())
    );
    assert_eq!(setup.shown("heartbeat.backoff_base"), ("1s".into(), "default".into()));
}

#[test]
fn the_first_default_file_that_exists_is_read() {
    let mut setup = Setup::new();
    setup.sources.default_files.push(setup.folder().join("homebrew/agent.toml"));
    setup.write("homebrew/agent.toml", "device = \"homebrew\"\n", 0o644);
    assert_eq!(setup.loaded().settings.device, "homebrew");
    let first = setup.write("etc/agent.toml", "device = \"system\"\n", 0o644);
    assert_eq!(setup.loaded().settings.device, "system");
    assert_eq!(setup.loaded().file, Some(first));
    setup.sources.config_file = Some("homebrew/agent.toml".into());
    assert_eq!(setup.loaded().settings.device, "homebrew");
}

// Other systems' file systems may refuse such a name.
#[cfg(target_os = "linux")]
#[test]
fn the_path_of_the_file_need_not_be_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let mut setup = Setup::new();
    let path = setup.folder().join(OsStr::from_bytes(b"agent\xff.toml"));
    std::fs::write(&path, "device = \"office\"\nstate_dir = \"./journal\"\n")
        .expect("it is written");
    setup.sources.config_file = Some(path.clone());
    let loaded = setup.loaded();
    assert_eq!(loaded.settings.device, "office");
    assert_eq!(loaded.settings.state_dir, Some(setup.folder().join("journal")));
    assert_eq!(loaded.file, Some(path));
}

#[test]
fn a_reload_reads_the_file_again_and_keeps_the_other_sources() {
    let mut setup = Setup::with_file("device = \"one\"\n[heartbeat]\ninterval = 10\n");
    setup.variable("ISPMON_LOG_LEVEL", "warn");
    let before = setup.loaded().settings;
    setup.write("agent.toml", "device = \"two\"\n[heartbeat]\ninterval = 20\n", 0o600);
    let after = setup.loaded().settings;
    assert_eq!((before.device.as_str(), after.device.as_str()), ("one", "two"));
    assert_eq!(after.heartbeat.interval, Duration::from_secs(20));
    assert_eq!(before.log, after.log);
    setup.write("agent.toml", "device = \"three\n", 0o600);
    setup.load().expect_err("a broken file is refused as a whole");
    setup.write("agent.toml", "device = \"two\"\n[heartbeat]\ninterval = 20\n", 0o600);
    assert_eq!(setup.loaded().settings, after);
}

#[test]
fn a_generic_host_name_causes_a_warning_unless_a_device_is_set() {
    let mut setup = Setup::new();
    setup.sources.host_name = "raspberrypi.local".to_owned();
    assert_eq!(setup.shown("device"), ("raspberrypi".into(), "the name of this machine".into()));
    insta::assert_snapshot!(setup.warnings(), @r#"The device is called "raspberrypi" after this machine, as many others are; give it a name of its own with the setting device."#);
    setup.variable("ISPMON_DEVICE", "raspberrypi");
    assert_eq!(setup.warnings(), "");
}
