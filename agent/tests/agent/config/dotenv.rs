use std::time::Duration;

use proptest::prelude::*;

use super::place::Setup;

const EXAMPLE: &str = "\
# for deploy.sh and for the agent
RG=my-group
LOCATION=westeurope
ALERT_EMAIL='somebody@example.com'
export HEARTBEAT_DEVICE=\"dl home\"   # the living room
HEARTBEAT_URL=https://dl.example/api/ping
HEARTBEAT_INTERVAL=30
PATH=$PATH:/opt/bin
";

#[test]
fn a_dotenv_file_is_read_without_a_configuration_file() {
    let setup = Setup::new();
    setup.write(".env", EXAMPLE, 0o600);
    let settings = setup.loaded().settings;
    assert_eq!(settings.device, "dl home");
    assert_eq!(settings.heartbeat.interval, Duration::from_secs(30));
    assert_eq!(
        setup.shown("heartbeat.url"),
        ("https://dl.example/api/ping".into(), "[folder]/.env, line 6 (HEARTBEAT_URL)".into())
    );
}

#[test]
fn variables_and_flags_override_the_dotenv_file() {
    let mut setup = Setup::new();
    setup.write(".env", EXAMPLE, 0o600);
    setup.variable("ISPMON_DEVICE", "office");
    setup.sources.flags.interval = Some("5".to_owned());
    let settings = setup.loaded().settings;
    assert_eq!(settings.device, "office");
    assert_eq!(settings.heartbeat.interval, Duration::from_secs(5));
}

#[test]
fn a_configuration_file_replaces_the_dotenv_file() {
    let setup = Setup::new();
    setup.write(".env", EXAMPLE, 0o600);
    setup.write("etc/agent.toml", "", 0o644);
    let settings = setup.loaded().settings;
    assert_eq!(settings.device, "dl-home");
    assert_eq!(settings.heartbeat.url, None);
}

#[test]
fn a_file_of_another_user_is_ignored_with_a_warning() {
    let mut setup = Setup::new();
    setup.write(".env", EXAMPLE, 0o600);
    setup.sources.user = 4_000_000;
    let loaded = setup.loaded();
    assert_eq!(loaded.settings.heartbeat.url, None);
    let user = rustix::process::geteuid().as_raw().to_string();
    insta::assert_snapshot!(setup.warnings().replace(&format!("id {user},"), "id [owner],"), @"[folder]/.env is ignored: it belongs to the user with the id [owner], and the agent runs as the one with the id 4000000.");
}

#[test]
fn a_file_that_other_users_can_write_is_ignored_with_a_warning() {
    for mode in [0o660, 0o606, 0o666] {
        let setup = Setup::new();
        setup.write(".env", EXAMPLE, mode);
        assert_eq!(setup.loaded().settings.heartbeat.url, None, "{mode:o}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(setup.warnings(), @"[folder]/.env is ignored: other users can write to it; take that away with: chmod go-w [folder]/.env.");
        }
    }
}

#[test]
fn a_folder_of_that_name_is_ignored() {
    let setup = Setup::new();
    setup.write(".env/bin/activate", "", 0o644);
    let loaded = setup.loaded();
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn a_file_that_is_binary_or_too_long_is_ignored_with_a_warning() {
    let setup = Setup::new();
    setup.write(".env", b"HEARTBEAT_DEVICE=\xff\n", 0o600);
    insta::assert_snapshot!(setup.warnings(), @"[folder]/.env is ignored: it is not UTF-8 text.");
    setup.write(".env", "#".repeat(64 * 1024 + 1), 0o600);
    insta::assert_snapshot!(setup.warnings(), @"[folder]/.env is ignored: it is longer than 65536 bytes.");
}

#[test]
fn problems_are_reported_with_line_and_variable() {
    let setup = Setup::new();
    setup.write(
        ".env",
        "\
ISPMON_DEVICE=office
HEARTBEAT_DEVICE=home
HEARTBEAT_INTERVAL=never
ISPMON_LOG_LEVEL='debug
ISPMON_HEARTBEAT_TIMEOUT=$(reboot)
ISPMON_HEARTBEAT_INTERVALL=5
SOMETHING=$(reboot)
",
        0o600,
    );
    insta::assert_snapshot!(setup.problems(), @r#"
    [folder]/.env, line 1 (ISPMON_DEVICE): device has another value here than in [folder]/.env, line 2 (HEARTBEAT_DEVICE); remove one of the two, HEARTBEAT_DEVICE is the old name
    [folder]/.env, line 3 (HEARTBEAT_INTERVAL): heartbeat.interval is "never", which is no duration such as "90s", "5 min" or a number of seconds; it takes a duration from 10ms to 1h
    [folder]/.env, line 4 (ISPMON_LOG_LEVEL): the quote is never closed; close it on the same line
    [folder]/.env, line 5 (ISPMON_HEARTBEAT_TIMEOUT): the value has a "$" or "`", and this file is read without being executed; write out what is meant, or put it between single quotes
    [folder]/.env, line 6 (ISPMON_HEARTBEAT_INTERVALL): there is no such setting; did you mean ISPMON_HEARTBEAT_INTERVAL?
    "#);
}

#[test]
fn a_list_of_devices_and_an_ambiguous_letter_are_refused() {
    for (list, problem) in [
        (
            "dl-home, office",
            "which is a list; name this machine alone, for instance in ISPMON_DEVICE",
        ),
        ("İstanbul", "with the letter İ, whose lower case is not the same everywhere"),
    ] {
        let setup = Setup::new();
        setup.write(".env", format!("HEARTBEAT_DEVICE={list}\n"), 0o600);
        let problems = setup.problems();
        assert!(
            problems.starts_with(&format!(
                "[folder]/.env, line 1 (HEARTBEAT_DEVICE): device is \"{list}\", {problem}; it takes"
            )),
            "{problems}"
        );
    }
}

#[test]
fn spaces_around_the_equals_sign_are_allowed() {
    let setup = Setup::new();
    setup.write(
        ".env",
        "HEARTBEAT_URL = https://dl.example/api/ping\nHEARTBEAT_DEVICE = 'dl office' # upstairs\n",
        0o600,
    );
    assert_eq!(setup.loaded().settings.device, "dl office");
    assert_eq!(
        setup.shown("heartbeat.url"),
        ("https://dl.example/api/ping".into(), "[folder]/.env, line 1 (HEARTBEAT_URL)".into())
    );
}

#[test]
fn a_malformed_line_that_names_a_setting_is_a_problem() {
    let setup = Setup::new();
    setup.write(
        ".env",
        "\
HEARTBEAT_URL: https://dl.example/api/ping
set HEARTBEAT_DEVICE=office
-HEARTBEAT_INTERVAL=30
ISPMON_LOG_LEVEL debug
RG: ispmon
echo \"$HEARTBEAT_URL\"
export HEARTBEAT_URL
# HEARTBEAT_URL: https://dl.example/api/ping
",
        0o600,
    );
    insta::assert_snapshot!(setup.problems(), @r"
    [folder]/.env, line 1 (HEARTBEAT_URL): this line cannot be read; write NAME=VALUE
    [folder]/.env, line 2 (HEARTBEAT_DEVICE): this line cannot be read; write NAME=VALUE
    [folder]/.env, line 3 (HEARTBEAT_INTERVAL): this line cannot be read; write NAME=VALUE
    [folder]/.env, line 4 (ISPMON_LOG_LEVEL): this line cannot be read; write NAME=VALUE
    ");
}

#[test]
fn a_later_line_replaces_an_earlier_one() {
    let setup = Setup::new();
    setup.write(".env", "HEARTBEAT_DEVICE=one\nHEARTBEAT_DEVICE=two\n", 0o600);
    assert_eq!(setup.loaded().settings.device, "two");
}

#[test]
fn a_key_set_in_the_file_goes_to_its_url() {
    let setup = Setup::new();
    setup.write("keys/heartbeat.key", "a-key\n", 0o600);
    setup.write(
        ".env",
        "HEARTBEAT_URL=https://dl.example/api/ping\nISPMON_HEARTBEAT_KEY_FILE=./keys/heartbeat.key\n",
        0o600,
    );
    let loaded = setup.loaded();
    assert_eq!(loaded.settings.heartbeat.key.expect("a key is set").expose(), "a-key");
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn a_key_from_elsewhere_never_goes_to_the_url_in_the_file() {
    let mut setup = Setup::new();
    setup.write(".env", "HEARTBEAT_URL=https://dl.example/api/ping\n", 0o600);
    let key = setup.write("heartbeat.key", "a-key\n", 0o600);
    setup.variable("ISPMON_HEARTBEAT_KEY_FILE", &key.display().to_string());
    assert_eq!(setup.loaded().settings.heartbeat.key, None);
    insta::assert_snapshot!(setup.warnings(), @"The function key (variable ISPMON_HEARTBEAT_KEY_FILE) is not used, because heartbeat.url comes from .env: a key goes only to an address that is set where the key is. Set both in the configuration file.");

    // A URL from a source that overrides the .env file may have any key.
    setup.variable("HEARTBEAT_URL", "https://dl.example/api/ping");
    assert!(setup.loaded().settings.heartbeat.key.is_some());
}

#[test]
fn a_credential_never_goes_to_the_url_in_the_file() {
    let mut setup = Setup::new();
    setup.write(".env", "HEARTBEAT_URL=https://dl.example/api/ping\n", 0o600);
    setup.write("credentials/heartbeat-key", "a-key\n", 0o400);
    let folder = setup.folder().join("credentials").display().to_string();
    setup.variable("CREDENTIALS_DIRECTORY", &folder);
    assert_eq!(setup.loaded().settings.heartbeat.key, None);
    insta::assert_snapshot!(setup.warnings(), @"The function key (systemd credential [folder]/credentials/heartbeat-key) is not used, because heartbeat.url comes from .env: a key goes only to an address that is set where the key is. Set both in the configuration file.");
}

proptest! {
    #[test]
    fn any_text_gives_settings_or_problems(text in any::<String>(), name in any::<bool>()) {
        let setup = Setup::new();
        let line = if name { format!("ISPMON_DEVICE={text}") } else { text };
        setup.write(".env", line, 0o600);
        if let Err(error) = setup.load() {
            prop_assert!(error.to_string().starts_with(&setup.folder().display().to_string()));
        }
    }
}
