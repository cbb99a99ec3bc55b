use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _, path::Path};

use ispmon_agent::status::{HeartbeatStatus, LastHeartbeat};
use serde_json::Value;

use super::place::{CommandOutput, TestMachine, skipped};

/// A machine whose agent probes only loopback.
pub(crate) fn configured(anchors: &str) -> TestMachine {
    let machine = TestMachine::new();
    let configuration = format!(
        "device = \"dl-home\"\n[heartbeat]\nurl = \"http://127.0.0.1:1/api/ping\"\nkey_file = \"./key\"\n\
         [probe]\nanchors = \"{anchors}\"\ngateway = \"127.0.0.1\"\nresolver = \"127.0.0.1:1\"\nportal = \"off\"\n"
    );
    fs::write(machine.path().join("agent.toml"), configuration).expect("the file is written");
    let key = machine.path().join("key");
    fs::write(&key, "k3y\n").expect("the file is written");
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("the mode can be set");
    machine
}

fn doctor(machine: &TestMachine) -> CommandOutput {
    machine.run(&["doctor", "--config", "agent.toml"])
}

/// The row of a check in the text output: the verdict, padded to six characters, then the check's name.
fn row<'a>(ran: &'a CommandOutput, name: &str) -> &'a str {
    let is_row = |line: &&str| line.get(6..).is_some_and(|rest| rest.starts_with(name));
    ran.output.lines().find(is_row).unwrap_or_else(|| panic!("no row {name} in {}", ran.output))
}

/// Writes the status of an agent whose heartbeat was delivered. The cloud has answered whether an alert
/// rule monitors the device.
fn put_status(machine: &TestMachine, is_monitored: bool) {
    let mut status = machine.status();
    status.heartbeat = Some(HeartbeatStatus {
        url: "http://127.0.0.1:1/api/ping".to_owned(),
        last: Some(LastHeartbeat {
            at: status.written,
            delivered: true,
            sentence: "Heartbeat delivered in 132 ms.".to_owned(),
            advice: None,
        }),
        last_delivered: Some(status.written),
        expected: Some(is_monitored),
    });
    TestMachine::put(&machine.state_dir(), &status);
}

#[cfg(target_os = "linux")]
#[test]
fn missing_root_certificates_and_an_unknown_time_zone_have_a_row_each() {
    let machine = configured("127.0.0.1:1");
    let mut command = machine.command(&["doctor", "--config", "agent.toml"]);
    command.env("SSL_CERT_FILE", "/nowhere/roots.pem").env("TZ", "Nowhere/At");
    let ran = super::place::run(command);
    for words in [
        "SSL_CERT_FILE names \"/nowhere/roots.pem\", which cannot be read",
        "TZ is \"Nowhere/At\", which is no time zone that is known here",
    ] {
        let mut rows = ran.output.lines().filter(|line| line.starts_with("WARN  configuration "));
        assert!(rows.any(|row| row.contains(words)), "{words}: {}", ran.output);
    }
}

#[test]
fn every_check_has_a_row_and_a_failure_sets_the_exit_code() {
    let anchor = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = anchor.local_addr().expect("the socket has an address").to_string();
    let machine = configured(&format!("tcp://{address}"));
    put_status(&machine, false);
    let ran = doctor(&machine);
    assert_eq!((ran.code, ran.errors.as_str()), (Some(1), ""));
    for (name, verdict) in [
        ("configuration", "PASS"),
        ("function key", "PASS"),
        ("agent", "PASS"),
        ("settings in use", "PASS"),
        ("disk space", "PASS"),
        (&format!("anchor {address}"), "PASS"),
        // WARN or FAIL, depending on whether this machine can resolve names.
        ("name server 127.0.0.1:1", ""),
        ("login page", "SKIP"),
        ("heartbeat", "PASS"),
        ("alert rule", "FAIL"),
    ] {
        assert!(row(&ran, name).starts_with(verdict), "{}", ran.output);
    }
    let last = ran.output.lines().last().unwrap_or_default();
    assert!(last.starts_with("SUMMARY: "), "{last}");
}

#[test]
fn json_has_the_same_rows() {
    let machine = configured("127.0.0.1:1");
    let ran = machine.run(&["doctor", "--json", "--config", "agent.toml"]);
    assert_eq!((ran.code, ran.errors.as_str()), (Some(1), ""));
    let json: Value = serde_json::from_str(&ran.output).expect("valid JSON");
    let checks = json["checks"].as_array().expect("a list");
    let anchor = checks.iter().find(|check| check["name"] == "anchor 127.0.0.1:1");
    let anchor = anchor.expect("the anchor has a row");
    assert_eq!((&anchor["result"], anchor["action"].is_string()), (&"fail".into(), true));
    let agent = checks.iter().find(|check| check["name"] == "agent").expect("the agent has a row");
    assert_eq!(agent["result"], "fail");
}

#[test]
fn every_configuration_problem_has_a_row_and_the_other_checks_still_run() {
    let machine = TestMachine::new();
    fs::write(machine.path().join("agent.toml"), "devise = 1\n[heartbeat]\ninterval = \"often\"\n")
        .expect("the file is written");
    let ran = doctor(&machine);
    assert_eq!((ran.code, ran.errors.as_str()), (Some(1), ""));
    let problems = ran.output.lines().filter(|line| line.starts_with("FAIL  configuration"));
    assert_eq!(problems.count(), 2, "{}", ran.output);
    assert!(row(&ran, "agent").starts_with("FAIL"), "{}", ran.output);
    assert!(row(&ran, "connectivity").starts_with("SKIP"), "{}", ran.output);
}

#[test]
fn a_key_file_that_other_users_can_read_fails() {
    let machine = configured("127.0.0.1:1");
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(machine.path().join("key"), open).expect("the mode can be set");
    let ran = doctor(&machine);
    assert_eq!(ran.code, Some(1));
    let row = row(&ran, "configuration");
    assert!(row.starts_with("FAIL") && row.contains("chmod 600"), "{row}");
}

#[test]
fn a_journal_with_a_broken_hash_chain_fails() {
    let machine = configured("127.0.0.1:1");
    let common = r#""boot":"1f0c5a7e-93b4-4d5e-8a60-0c2f5b1d7e42","boot_ms":61000,"wall":"2026-11-24T08:01:01Z","device":"dl-home""#;
    // `prev` of a first record. The second record has it as well, instead of the hash of the first.
    let no_predecessor = "0".repeat(64);
    let lines = format!(
        "{{\"seq\":1,\"prev\":\"{no_predecessor}\",{common},\"kind\":\"chain_started\",\"format\":1}}\n\
         {{\"seq\":2,\"prev\":\"{no_predecessor}\",{common},\"kind\":\"agent_started\",\"version\":\"0.1.0\"}}\n"
    );
    fs::write(machine.state_dir().join("journal.ndjson"), lines).expect("the file is written");
    let ran = doctor(&machine);
    let row = row(&ran, "journal");
    assert!(row.starts_with("FAIL") && row.contains("record 2 "), "{row}");
}

#[test]
fn doctor_sends_no_heartbeat_and_writes_no_file() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    server.set_nonblocking(true).expect("the socket can be non-blocking");
    let url =
        format!("http://{}/api/ping", server.local_addr().expect("the socket has an address"));
    let machine = configured("127.0.0.1:1");
    let mut command = machine.command(&["doctor", "--config", "agent.toml", "--url", &url]);
    command.stdin(std::process::Stdio::null());
    super::place::run(command);
    assert!(server.accept().is_err(), "no client has connected");
    assert_eq!(file_names(&machine.state_dir()), Vec::<String>::new());
}

fn file_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn doctor_works_without_root() {
    let machine = configured("127.0.0.1:1");
    put_status(&machine, true);
    let Some(ran) = machine.run_as_nobody(&["doctor", "--config", "agent.toml"]) else {
        return skipped("only root can run a program as another user");
    };
    assert!(row(&ran, "configuration").starts_with("PASS"), "{}", ran.output);
    let key = row(&ran, "function key");
    assert!(key.starts_with("PASS") && key.ends_with("as it should be"), "{key}");
    assert!(row(&ran, "agent").starts_with("PASS"), "{}", ran.output);
    assert!(row(&ran, "heartbeat").starts_with("PASS"), "{}", ran.output);
}

#[test]
fn a_configuration_that_this_user_may_not_read_is_no_fault_of_it() {
    let machine = configured("127.0.0.1:1");
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(machine.path().join("agent.toml"), private).expect("the mode can be set");
    let Some(ran) = machine.run_as_nobody(&["doctor", "--config", "agent.toml"]) else {
        return skipped("only root can run a program as another user");
    };
    let row = row(&ran, "configuration");
    assert!(row.starts_with("SKIP"), "{}", ran.output);
    assert!(row.ends_with("you may not read it; run the command with sudo"), "{row}");
}

#[test]
fn a_file_in_the_place_of_the_state_folder_fails() {
    let machine = configured("127.0.0.1:1");
    fs::remove_dir(machine.state_dir()).expect("it is empty");
    fs::write(machine.state_dir(), "").expect("the file is written");
    let ran = doctor(&machine);
    let row = row(&ran, "journal");
    assert!(row.starts_with("FAIL") && row.contains("/state is not a folder, so"), "{row}");
    assert!(!ran.output.contains("chmod"), "{}", ran.output);
}

/// Runs a command of the agent about the service, on a machine whose systemctl prints this.
#[cfg(target_os = "linux")]
fn with_systemctl(properties: &str, arguments: &[&str]) -> Option<CommandOutput> {
    if ["/etc/ispmon", "/run/ispmon", "/var/lib/ispmon"].iter().any(|path| Path::new(path).exists())
    {
        skipped("this machine has an agent of its own");
        return None;
    }
    let machine = TestMachine::new();
    fs::write(machine.path().join("properties"), properties).expect("the file is written");
    // Written by another process: a program that another test starts at this moment would inherit the file
    // open for writing, and running it would fail ("text file busy").
    let script = "mkdir bin && printf '#!/bin/sh\\ncat properties\\n' >bin/systemctl && chmod +x bin/systemctl";
    let mut shell = std::process::Command::new("/bin/sh");
    let written = shell.args(["-c", script]).current_dir(machine.path()).status();
    assert!(written.expect("the shell starts").success());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ispmon-agent"));
    command.args(arguments).current_dir(machine.path()).env_clear();
    command.env("HOME", machine.path()).env("TZ", "UTC");
    command.env("PATH", format!("{}:/usr/bin:/bin", machine.path().join("bin").display()));
    Some(super::place::run(command))
}

#[cfg(target_os = "linux")]
#[test]
fn doctor_status_and_pause_say_what_systemd_knows_about_the_service() {
    let properties = "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=78\n\
                      UnitFileState=enabled\nStatusText=Not started: agent.toml, line 2: wrong.\nUser=ispmon\n";
    let finding = "it refused its configuration: agent.toml, line 2: wrong";
    let advice = "Correct that, then: sudo systemctl start ispmon-agent.";
    let Some(ran) = with_systemctl(properties, &["doctor"]) else { return };
    let line = row(&ran, "agent");
    assert!(
        line.starts_with("FAIL") && line.ends_with(&format!("not running: {finding}")),
        "{line}"
    );
    assert!(ran.output.contains(&format!("→ {advice}")), "{}", ran.output);
    let ran = with_systemctl(properties, &["status"]).expect("it was no other machine before");
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.output, format!("The agent is not running: {finding}.\n{advice}\n"));
    let ran = with_systemctl(properties, &["pause", "1h"]).expect("it was no other machine before");
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.errors.ends_with(&format!("the agent is not running: {finding}. {advice}\n")),
        "{}",
        ran.errors
    );
    // Without systemd the advice is the general one.
    let ran = with_systemctl("", &["status"]).expect("it was no other machine before");
    assert!(ran.output.contains("there is no status file in"), "{}", ran.output);
}
