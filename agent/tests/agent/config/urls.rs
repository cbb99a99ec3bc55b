use super::place::Place;

fn place(lines: &str) -> Place {
    let place = Place::with_file(lines);
    place.write("heartbeat.key", "a-key\n", 0o600);
    place
}

const WITH_KEY: &str = "heartbeat.key_file = \"./heartbeat.key\"\n";

#[test]
fn a_key_leaves_this_machine_only_over_https() {
    for (url, is_taken) in [
        ("https://dl.example/api/ping", true),
        ("http://127.0.0.1:7071/api/ping", true),
        ("http://[::1]:7071/api/ping", true),
        ("http://localhost:7071/api/ping", true),
        ("http://192.168.1.5/api/ping", false),
        ("http://localhost.example/api/ping", false),
    ] {
        let place = place(&format!("{WITH_KEY}heartbeat.url = \"{url}\"\n"));
        assert_eq!(place.load().is_ok(), is_taken, "{url}");
        if !is_taken {
            insta::allow_duplicates! {
                insta::assert_snapshot!(place.problems(), @"[folder]/agent.toml, line 2: heartbeat.url begins with http://, and the function key could be read on its way; use https://, plain http is for this machine itself only");
            }
        }
    }
}

#[test]
fn a_url_with_a_key_in_it_is_refused_with_advice() {
    for kind in ["ispmon", "plain"] {
        let place = place(&format!(
            "heartbeat.kind = \"{kind}\"\n\
             heartbeat.url = \"https://dl.example/api/ping?code=AbCd-secret\"\n"
        ));
        insta::allow_duplicates! {
            insta::assert_snapshot!(place.problems(), @r#"[folder]/agent.toml, line 2: heartbeat.url holds a function key ("code=" in its query), and addresses end up in logs; leave out the query, write what follows "code=" to a file, make it private with chmod 600, and name the file in heartbeat.key_file"#);
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
        let problem = place(&format!("heartbeat.url = \"{url}\"\n")).problems();
        assert!(problem.starts_with("[folder]/agent.toml, line 1: heartbeat.url "), "{problem}");
        assert!(problem.contains(reason), "{problem}");
        assert!(!problem.contains("secret"), "{problem}");
    }
}

#[test]
fn the_url_of_a_plain_heartbeat_is_shown_as_scheme_and_host() {
    let place = place(
        "heartbeat.kind = \"plain\"\n\
         heartbeat.url = \"https://hc-ping.example:8443/secret?secret=secret\"\n",
    );
    assert_eq!(place.shown("heartbeat.url").0, "https://hc-ping.example:8443/…");
    assert_eq!(place.warnings(), "");
}

#[test]
fn the_query_of_any_url_is_hidden() {
    let place = place("heartbeat.url = \"http://127.0.0.1:7071/api/ping?clientId=secret\"\n");
    assert_eq!(place.shown("heartbeat.url").0, "http://127.0.0.1:7071/api/ping?…");
}

#[test]
fn places_where_others_see_a_plain_url_are_warned_of() {
    let mut place = Place::new();
    place.sources.config_file = Some(place.write(
        "agent.toml",
        "heartbeat.kind = \"plain\"\nheartbeat.url = \"https://hc-ping.example/secret\"\n",
        0o644,
    ));
    insta::assert_snapshot!(place.warnings(), @"The URL of a plain heartbeat is a secret, and every user of this machine can read [folder]/agent.toml; take that away with: chmod o-r [folder]/agent.toml");
    // The service, which is another user, goes on reading its own.
    place.sources.config_file = Some(place.write(
        "etc/agent.toml",
        "heartbeat.kind = \"plain\"\nheartbeat.url = \"https://hc-ping.example/secret\"\n",
        0o644,
    ));
    if cfg!(target_os = "linux") {
        insta::assert_snapshot!(place.warnings(), @"The URL of a plain heartbeat is a secret, and every user of this machine can read [folder]/etc/agent.toml; take that away with: sudo chgrp ispmon [folder]/etc/agent.toml && sudo chmod 640 [folder]/etc/agent.toml");
    }
    place.sources.flags.url = Some("https://hc-ping.example/secret".to_owned());
    insta::assert_snapshot!(place.warnings(), @"The URL of a plain heartbeat is a secret, and every user of this machine can see --url in its list of processes; set heartbeat.url in the configuration file.");
}

#[test]
fn plain_heartbeats_may_go_over_http() {
    // A push monitor in the same home network seldom has a certificate.
    let place = place(
        "heartbeat.kind = \"plain\"\nheartbeat.url = \"http://192.168.1.5:3001/api/push/secret\"\n",
    );
    assert!(place.loaded().settings.heartbeat.url.is_some());
}

#[test]
fn without_a_key_the_function_will_refuse() {
    let place = place("heartbeat.url = \"https://dl.example/api/ping\"\n");
    insta::assert_snapshot!(place.warnings(), @"There is no function key, so the function will refuse the heartbeats; write its key to a file of its own and name that in heartbeat.key_file.");
}
