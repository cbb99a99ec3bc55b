use std::{
    fs::{self, File},
    os::unix::fs::chown,
    time::Duration,
};

use ispmon_agent::{config::Reader, installation::Prefix};

use super::place::Setup;

const URL: &str = "heartbeat.url = \"https://dl.example/api/ping\"\n";

fn setup_with_key(content: impl AsRef<[u8]>, mode: u32) -> Setup {
    let setup = Setup::with_file(format!("{URL}heartbeat.key_file = \"./heartbeat.key\"\n"));
    setup.write("heartbeat.key", content, mode);
    setup
}

fn key(setup: &Setup) -> Option<String> {
    setup.loaded().settings.heartbeat.key.map(|key| key.expose().to_owned())
}

#[test]
fn the_key_is_read_from_its_file_and_trimmed() {
    for mode in [0o600, 0o400] {
        let setup = setup_with_key(" a-Key_0123456789==\r\n\n", mode);
        assert_eq!(key(&setup).as_deref(), Some("a-Key_0123456789=="), "{mode:o}");
        assert_eq!(
            setup.shown("function key"),
            ("set, not shown".into(), "[folder]/heartbeat.key".into())
        );
        assert_eq!(setup.warnings(), "");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_key() {
    let setup = setup_with_key("\u{feff}a-key\r\n", 0o600);
    assert_eq!(key(&setup).as_deref(), Some("a-key"));
    for empty in ["", "\u{feff}", "\u{feff}\r\n"] {
        assert_eq!(key(&setup_with_key(empty, 0o600)), None, "{empty:?}");
    }
}

#[test]
fn quotation_marks_around_the_key_are_refused_with_advice() {
    for quoted in ["\"a-key\"", "'a-key'", "“a-key”", "\u{feff}\"a-key\"\r\n", "\"a-key", "a-key'"]
    {
        let problems = setup_with_key(quoted, 0o600).problems();
        assert!(
            problems.ends_with(
                "has quotation marks around the key; leave them out, the file holds the key alone"
            ),
            "{quoted}: {problems}"
        );
        assert!(!problems.contains("a-key"), "{problems}");
    }
}

#[test]
fn an_empty_key_file_means_no_key_and_a_warning() {
    let setup = setup_with_key(" \n", 0o600);
    assert_eq!(key(&setup), None);
    insta::assert_snapshot!(setup.warnings(), @"The key file [folder]/heartbeat.key is empty, so the function will refuse the heartbeats; write its key there.");
}

#[test]
fn no_key_is_needed_for_loopback() {
    let setup = Setup::with_file("heartbeat.url = \"http://127.0.0.1:7071/api/ping\"\n");
    assert_eq!(key(&setup), None);
    assert_eq!(setup.warnings(), "");
}

#[test]
fn a_key_file_open_to_other_users_is_refused_with_advice() {
    for mode in [0o640, 0o604, 0o620, 0o601, 0o666] {
        let problem = setup_with_key("a-key", mode).problems();
        assert!(problem.contains(&format!("(its mode is {mode:o})")), "{problem}");
    }
    insta::assert_snapshot!(setup_with_key("a-key", 0o644).problems(), @"[folder]/agent.toml, line 2: the key file [folder]/heartbeat.key is open to other users (its mode is 644); make it private with: chmod 600 [folder]/heartbeat.key");
}

#[test]
fn a_key_file_must_exist_and_contain_a_key() {
    let setup = setup_with_key("a-key", 0o600);
    fs::remove_file(setup.folder().join("heartbeat.key")).expect("the key file is removed");
    insta::assert_snapshot!(setup.problems(), @"[folder]/agent.toml, line 2: the key file [folder]/heartbeat.key cannot be used: it does not exist");
    insta::assert_snapshot!(setup_with_key("a key", 0o600).problems(), @"[folder]/agent.toml, line 2: the key file [folder]/heartbeat.key holds more than a key: only letters, digits and marks without spaces, on one line, make a key");
    for bad in ["one\ntwo", "schl\u{fc}ssel", "a\0b", "a\u{7f}b"] {
        assert_eq!(
            setup_with_key(bad, 0o600).problems(),
            setup_with_key("a key", 0o600).problems(),
            "{bad:?}"
        );
    }
    insta::assert_snapshot!(setup_with_key(b"\xff\xfe", 0o600).problems(), @"[folder]/agent.toml, line 2: the key file [folder]/heartbeat.key cannot be used: it is not UTF-8 text");
    insta::assert_snapshot!(setup_with_key("k".repeat(4097), 0o600).problems(), @"[folder]/agent.toml, line 2: the key file [folder]/heartbeat.key cannot be used: it is longer than 4096 bytes");
    assert_eq!(key(&setup_with_key("k".repeat(4096), 0o600)).map(|key| key.len()), Some(4096));
}

#[test]
fn a_key_given_as_the_path_is_not_shown() {
    for pasted in ["AbCd-secret_0123==", "/AbCd-secret+0123==", "secret"] {
        let setup = Setup::with_file(format!("{URL}heartbeat.key_file = \"{pasted}\"\n"));
        let problems = setup.problems();
        insta::allow_duplicates! {
            insta::assert_snapshot!(problems, @r#"[folder]/agent.toml, line 2: heartbeat.key_file is not a path (not shown, it may be a key); it takes a path, beginning with "/", or with "./" to start at the folder of the file that names it"#);
        }
    }
}

#[test]
fn relative_paths_start_at_the_source_that_names_them() {
    let mut setup = Setup::new();
    setup.write("etc/agent.toml", format!("{URL}heartbeat.key_file = \"./a.key\"\n"), 0o644);
    setup.write("etc/a.key", "of-the-file", 0o600);
    setup.write("a.key", "of-the-folder", 0o600);
    assert_eq!(key(&setup).as_deref(), Some("of-the-file"));
    setup.variable("ISPMON_HEARTBEAT_KEY_FILE", "./a.key");
    assert_eq!(key(&setup).as_deref(), Some("of-the-folder"));
    setup.variable("ISPMON_HEARTBEAT_KEY_FILE", "../nowhere/a.key");
    assert!(setup.problems().contains("[folder]/../nowhere/a.key"));
}

#[test]
fn a_systemd_credential_is_the_key_when_no_file_is_named() {
    let mut setup = Setup::with_file(URL);
    // Credentials appear readable by the group, because of the mask of systemd's access control list.
    setup.write("credentials/heartbeat-key", "a-credential\n", 0o440);
    let folder = setup.folder().join("credentials").display().to_string();
    setup.variable("CREDENTIALS_DIRECTORY", &folder);
    assert_eq!(key(&setup).as_deref(), Some("a-credential"));
    assert_eq!(
        setup.shown("function key").1,
        "systemd credential [folder]/credentials/heartbeat-key"
    );

    let own = setup.write("own.key", "a-file", 0o600);
    setup.variable("ISPMON_HEARTBEAT_KEY_FILE", &own.display().to_string());
    assert_eq!(key(&setup).as_deref(), Some("a-file"));
}

#[test]
fn the_key_file_of_the_service_is_next_to_its_configuration() {
    let mut setup = Setup::new();
    let key_file = setup.write("etc/heartbeat.key", "services\n", 0o600);
    setup.write("etc/agent.toml", URL, 0o600);
    // `ping` as root uses the same key as the service.
    assert_eq!(key(&setup).as_deref(), Some("services"));
    setup.write("etc/heartbeat.key", "\n", 0o600);
    assert!(
        setup.warnings().contains("[folder]/etc/heartbeat.key is empty"),
        "{}",
        setup.warnings()
    );
    // Even if the file is named, the key comes from systemd, because the service cannot read the file.
    setup.write("credentials/heartbeat-key", "a-credential\n", 0o440);
    let folder = setup.folder().join("credentials").display().to_string();
    setup.variable("CREDENTIALS_DIRECTORY", &folder);
    let named = format!("{URL}heartbeat.key_file = \"{}\"\n", key_file.display());
    setup.write("etc/agent.toml", named, 0o600);
    assert_eq!(key(&setup).as_deref(), Some("a-credential"));

    // Another configuration has another URL, which must not get this key.
    let setup = Setup::with_file(URL);
    setup.write("etc/heartbeat.key", "services\n", 0o600);
    assert_eq!(key(&setup), None);
    let mut setup = Setup::new();
    setup.write("etc/heartbeat.key", "services\n", 0o600);
    setup.write("etc/agent.toml", "", 0o600);
    setup.variable("ISPMON_HEARTBEAT_URL", "https://elsewhere.example/api/ping");
    assert_eq!(key(&setup), None);
}

#[test]
fn a_key_that_is_not_in_the_credential_causes_a_warning() {
    let mut setup = Setup::new();
    setup.write("etc/agent.toml", URL, 0o600);
    setup.write("credentials/heartbeat-key", "\n", 0o440);
    let folder = setup.folder().join("credentials").display().to_string();
    setup.variable("CREDENTIALS_DIRECTORY", &folder);
    setup.write("etc/heartbeat.key", "\n", 0o600);
    assert!(setup.warnings().contains("credentials/heartbeat-key is empty"));

    // The service can read the file itself if the file belongs to the service's user.
    setup.write("etc/heartbeat.key", "services\n", 0o600);
    assert_eq!(key(&setup).as_deref(), Some("services"));
    assert_eq!(setup.warnings(), "");
    // Root can read every file, so if this test runs as root only a file that others can write is refused.
    setup.write("etc/heartbeat.key", "services\n", 0o666);
    assert_eq!(key(&setup), None);
    insta::assert_snapshot!(setup.warnings(), @"systemd has handed over an empty function key, although [folder]/etc/heartbeat.key holds one, so the function will refuse the heartbeats. Restart the service: sudo systemctl restart ispmon-agent. Where systemd can load no credentials, as in some containers, let the service read the file: sudo chown ispmon [folder]/etc/heartbeat.key");

    let credential = setup.write("credentials/heartbeat-key", "older\n", 0o440);
    let file = File::open(&credential).expect("the file exists");
    let written = file.metadata().and_then(|metadata| metadata.modified()).expect("a time");
    file.set_modified(written - Duration::from_hours(1)).expect("times can be set");
    assert_eq!(key(&setup).as_deref(), Some("older"));
    insta::assert_snapshot!(setup.warnings(), @"The function key in [folder]/etc/heartbeat.key was changed after the service had started, which goes on with the older one; restart it: sudo systemctl restart ispmon-agent");
    setup.write("credentials/heartbeat-key", "services\n", 0o440);
    assert_eq!(setup.warnings(), "");
}

#[test]
fn an_empty_or_absent_credential_means_no_key() {
    let mut setup = Setup::with_file("");
    let folder = setup.folder().join("credentials").display().to_string();
    setup.variable("CREDENTIALS_DIRECTORY", &folder);
    assert_eq!(key(&setup), None);
    setup.write("credentials/heartbeat-key", "", 0o600);
    assert_eq!(key(&setup), None);
    assert_eq!(setup.warnings(), "");
    setup.write("credentials/heartbeat-key", "a key", 0o400);
    insta::assert_snapshot!(setup.problems(), @"systemd credential [folder]/credentials/heartbeat-key: the function key holds more than a key: only letters, digits and marks without spaces, on one line, make a key");
}

#[test]
fn a_plain_heartbeat_carries_no_key() {
    let setup = Setup::with_file(format!(
        "{URL}heartbeat.kind = \"plain\"\nheartbeat.key_file = \"./heartbeat.key\"\n"
    ));
    assert_eq!(key(&setup), None);
    insta::assert_snapshot!(setup.warnings(), @"heartbeat.key_file has no effect: a plain heartbeat carries no function key.");
}

const KEY_IN_URL: &str = "heartbeat.url = \"https://dl.example/api/ping?code=secret\"\n";

#[test]
fn a_key_in_the_url_belongs_where_the_reader_of_the_configuration_finds_it() {
    insta::assert_snapshot!(Setup::with_file(KEY_IN_URL).problems(), @r#"[folder]/agent.toml, line 1: heartbeat.url holds a function key ("code=" in its query), and addresses end up in logs; leave out the query, write what follows "code=" to a file, make it private with chmod 600, and name the file in heartbeat.key_file"#);
    let setup = Setup::new();
    setup.write("etc/agent.toml", KEY_IN_URL, 0o644);
    let problems = setup.problems();
    let [systemd, launchd] = [
        "leave out the query, and write what follows \"code=\" to [folder]/etc/heartbeat.key, which systemd hands \
         over to the service",
        "leave out the query, write what follows \"code=\" to [folder]/etc/heartbeat.key, make it private with \
         chmod 600, and name it in heartbeat.key_file",
    ];
    assert!(
        problems.ends_with(if cfg!(target_os = "macos") { launchd } else { systemd }),
        "{problems}"
    );

    let mut setup = Setup::new();
    let prefix = Prefix::of(&setup.folder().join("Cellar/ispmon-agent/1.0.0/bin/ispmon-agent"));
    setup.sources.default_files = prefix.iter().map(Prefix::config_file).collect();
    setup.sources.homebrew = prefix;
    setup.write("etc/ispmon/agent.toml", KEY_IN_URL, 0o644);
    insta::assert_snapshot!(setup.problems(), @r#"[folder]/etc/ispmon/agent.toml, line 1: heartbeat.url holds a function key ("code=" in its query), and addresses end up in logs; leave out the query, write what follows "code=" to [folder]/etc/ispmon/heartbeat.key, make it private with chmod 600, and name it in heartbeat.key_file"#);
}

#[test]
fn a_key_as_a_setting_belongs_there_too() {
    insta::assert_snapshot!(Setup::with_file("heartbeat.key = \"secret\"\n").problems(), @"[folder]/agent.toml, line 1: there is no setting heartbeat.key: a function key stands in a file of its own; write it to a file, make it private with chmod 600, and name the file in heartbeat.key_file");
    let setup = Setup::new();
    setup.write("etc/agent.toml", "heartbeat.key = \"secret\"\n", 0o644);
    let problems = setup.problems();
    assert!(problems.contains("write it to [folder]/etc/heartbeat.key, "), "{problems}");
    // The service's key file was deleted.
    setup.write("etc/agent.toml", URL, 0o644);
    let warnings = setup.warnings();
    assert!(warnings.contains("write its key to [folder]/etc/heartbeat.key, "), "{warnings}");
}

#[test]
fn something_else_with_the_name_of_the_key_file_is_not_taken_for_a_key() {
    let mut setup = Setup::new();
    setup.write("etc/agent.toml", URL, 0o600);
    fs::create_dir(setup.folder().join("etc/heartbeat.key")).expect("a folder");
    let of_a_command = setup.warnings();
    let folder = setup.folder().join("credentials").display().to_string();
    setup.variable("CREDENTIALS_DIRECTORY", &folder);
    for credential in ["\n", "older\n"] {
        setup.write("credentials/heartbeat-key", credential, 0o440);
        assert_eq!(setup.warnings(), of_a_command);
        insta::allow_duplicates! {
            insta::assert_snapshot!(setup.warnings(), @"[folder]/etc/heartbeat.key is not a regular file, so it holds no function key; replace it by a file that holds the key, and restart the service: sudo systemctl restart ispmon-agent");
        }
    }
}

#[test]
fn a_key_that_was_moved_to_its_place_or_removed_causes_a_warning() {
    let mut setup = Setup::new();
    setup.write("etc/agent.toml", URL, 0o600);
    let key_file = setup.write("etc/heartbeat.key", "another\n", 0o600);
    let folder = setup.folder().join("credentials").display().to_string();
    setup.variable("CREDENTIALS_DIRECTORY", &folder);
    setup.write("credentials/heartbeat-key", "key\n", 0o440);
    let file = File::open(&key_file).expect("the file exists");
    let written = file.metadata().and_then(|metadata| metadata.modified()).expect("a time");
    let hour = Duration::from_hours(1);
    file.set_modified(written - hour).expect("times can be set");
    assert!(setup.warnings().contains("was changed after the service had started"));
    // Without a key in it, systemd may be set to load another file.
    setup.write("etc/heartbeat.key", "", 0o600);
    file.set_modified(written - hour).expect("times can be set");
    assert_eq!(setup.warnings(), "");
    file.set_modified(written + hour).expect("times can be set");
    assert!(setup.warnings().contains("was changed after the service had started"));
}

#[test]
fn a_problem_of_the_credential_names_the_file_that_the_user_can_edit() {
    let mut setup = Setup::new();
    setup.write("etc/agent.toml", URL, 0o600);
    setup.write("etc/heartbeat.key", "\"a-key\"\n", 0o600);
    setup.write("credentials/heartbeat-key", "\"a-key\"\n", 0o440);
    let folder = setup.folder().join("credentials").display().to_string();
    setup.variable("CREDENTIALS_DIRECTORY", &folder);
    insta::assert_snapshot!(setup.problems(), @"[folder]/etc/heartbeat.key: the function key has quotation marks around the key; leave them out, the file holds the key alone");
}

#[test]
fn a_link_to_a_missing_key_file_is_not_taken_for_no_key() {
    let setup = Setup::new();
    setup.write("etc/agent.toml", URL, 0o600);
    let link = setup.folder().join("etc/heartbeat.key");
    std::os::unix::fs::symlink("../usb/heartbeat.key", link).expect("a link");
    insta::assert_snapshot!(setup.problems(), @"[folder]/etc/heartbeat.key: the key file [folder]/etc/heartbeat.key cannot be used: [folder]/etc/heartbeat.key is a symbolic link to [folder]/usb/heartbeat.key, which does not exist; create that, or remove the link");
}

#[test]
fn a_key_of_another_user_is_made_private_for_the_service() {
    let mut setup = setup_with_key("a-key", 0o640);
    setup.sources.reader = Reader::Service;
    let advice = "is open to other users (its mode is 640); make it private with: ";
    let problems = setup.problems();
    assert!(problems.ends_with(&format!("{advice}chmod 600 [folder]/heartbeat.key")), "{problems}");
    if chown(setup.folder().join("heartbeat.key"), Some(4711), None).is_err() {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: only root can change the owner of a file\n"),
        );
        return;
    }
    let problems = setup.problems();
    let command = "sudo chown root [folder]/heartbeat.key && sudo chmod 600 [folder]/heartbeat.key";
    assert!(problems.ends_with(&format!("{advice}{command}")), "{problems}");
}
