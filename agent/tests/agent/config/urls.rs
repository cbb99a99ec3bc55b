use super::place::Setup;

fn setup(lines: &str) -> Setup {
    let setup = Setup::with_file(lines);
    setup.write("heartbeat.key", "a-key\n", 0o600);
    setup
}

const WITH_KEY: &str = "heartbeat.key_file = \"./heartbeat.key\"\n";

#[test]
fn a_key_leaves_this_machine_only_over_https() {
    for (url, is_accepted) in [
        ("https://dl.example/api/ping", true),
        ("http://127.0.0.1:7071/api/ping", true),
        ("http://[::1]:7071/api/ping", true),
        ("http://localhost:7071/api/ping", true),
        ("http://192.168.1.5/api/ping", false),
        ("http://localhost.example/api/ping", false),
    ] {
        let setup = setup(&format!("{WITH_KEY}heartbeat.url = \"{url}\"\n"));
        assert_eq!(setup.load().is_ok(), is_accepted, "{url}");
        if !is_accepted {
            insta::allow_duplicates! {
                insta::assert_snapshot!(setup.problems(), @"[folder]/agent.toml, line 2: heartbeat.url begins with http://, and the function key could be read on its way; use https://, plain http is for this machine itself only");
            }
        }
    }
}

#[test]
fn a_url_with_a_key_in_it_is_refused_with_advice() {
    for kind in ["ispmon", "plain"] {
        let setup = setup(&format!(
            "heartbeat.kind = \"{kind}\"\n\
             heartbeat.url = \"https://dl.example/api/ping?code=AbCd-secret\"\n"
        ));
        insta::allow_duplicates! {
            insta::assert_snapshot!(setup.problems(), @r#"[folder]/agent.toml, line 2: heartbeat.url holds a function key ("code=" in its query), and addresses end up in logs; leave out the query, write what follows "code=" to a file, make it private with chmod 600, and name the file in heartbeat.key_file"#);
        }
    }
}

#[test]
fn other_bad_urls_are_refused_without_showing_them() {
    for (url, reason) in [
        ("dl.example/secret", "does not begin with https:// or http://"),
        ("ftp://dl.example/secret", "does not begin with https:// or http://"),
        ("https://secret@dl.example/", "holds a user name or password"),
        ("https://dl.example/#secret", "holds a \"#\""),
        ("https://dl.exa mple/secret", "is not a complete address"),
    ] {
        let problem = setup(&format!("heartbeat.url = \"{url}\"\n")).problems();
        assert!(problem.starts_with("[folder]/agent.toml, line 1: heartbeat.url "), "{problem}");
        assert!(problem.contains(reason), "{problem}");
        assert!(!problem.contains("secret"), "{problem}");
    }
}

#[test]
fn the_url_of_a_plain_heartbeat_is_shown_as_scheme_and_host() {
    let setup = setup(
        "heartbeat.kind = \"plain\"\n\
         heartbeat.url = \"https://hc-ping.example:8443/secret?secret=secret\"\n",
    );
    assert_eq!(setup.shown("heartbeat.url").0, "https://hc-ping.example:8443/…");
    assert_eq!(setup.warnings(), "");
}

#[test]
fn the_query_of_any_url_is_hidden() {
    let setup = setup("heartbeat.url = \"http://127.0.0.1:7071/api/ping?clientId=secret\"\n");
    assert_eq!(setup.shown("heartbeat.url").0, "http://127.0.0.1:7071/api/ping?…");
}

#[test]
fn a_plain_url_that_other_users_can_see_causes_a_warning() {
    let mut setup = Setup::new();
    setup.sources.config_file = Some(setup.write(
        "agent.toml",
        "heartbeat.kind = \"plain\"\nheartbeat.url = \"https://hc-ping.example/secret\"\n",
        0o644,
    ));
    insta::assert_snapshot!(setup.warnings(), @"The URL of a plain heartbeat is a secret, and every user of this machine can read [folder]/agent.toml; take that away with: chmod o-r [folder]/agent.toml");
    // The service is another user and must still be able to read its own file.
    setup.sources.config_file = Some(setup.write(
        "etc/agent.toml",
        "heartbeat.kind = \"plain\"\nheartbeat.url = \"https://hc-ping.example/secret\"\n",
        0o644,
    ));
    if cfg!(target_os = "linux") {
        insta::assert_snapshot!(setup.warnings(), @"The URL of a plain heartbeat is a secret, and every user of this machine can read [folder]/etc/agent.toml; take that away with: sudo chgrp ispmon [folder]/etc/agent.toml && sudo chmod 640 [folder]/etc/agent.toml");
    }
    setup.sources.flags.url = Some("https://hc-ping.example/secret".to_owned());
    insta::assert_snapshot!(setup.warnings(), @"The URL of a plain heartbeat is a secret, and every user of this machine can see --url in its list of processes; set heartbeat.url in the configuration file.");
}

#[test]
fn plain_heartbeats_may_go_over_http() {
    // A push monitor in the same home network seldom has a certificate.
    let setup = setup(
        "heartbeat.kind = \"plain\"\nheartbeat.url = \"http://192.168.1.5:3001/api/push/secret\"\n",
    );
    assert!(setup.loaded().settings.heartbeat.url.is_some());
}

#[test]
fn a_missing_key_causes_a_warning() {
    let setup = setup("heartbeat.url = \"https://dl.example/api/ping\"\n");
    insta::assert_snapshot!(setup.warnings(), @"There is no function key, so the function will refuse the heartbeats; write its key to a file, make it private with chmod 600, and name the file in heartbeat.key_file.");
}
