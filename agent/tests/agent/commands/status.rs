use std::fs;

use ispmon_agent::{
    clock::Stamp,
    outage::Scope,
    status::{ConnectivityStatus, Status},
};
use serde_json::Value;

use super::place::{TestMachine, run, skipped};

/// A process id that is never in use: the largest on Linux is 4,194,304.
const NO_PROCESS: u32 = 99_999_999;

#[test]
fn status_of_a_running_agent_succeeds() {
    let machine = TestMachine::new();
    TestMachine::put(&machine.state_dir(), &machine.status());
    let ran = machine.run(&["status"]);
    assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""));
    assert!(ran.output.starts_with("dl-home: the internet works.\n"), "{}", ran.output);
    let offline = Status { condition: ConnectivityStatus::Down, ..machine.status() };
    TestMachine::put(&machine.state_dir(), &offline);
    let ran = machine.run(&["status"]);
    assert_eq!(ran.code, Some(0), "an outage is no failure of the command");
    assert!(ran.output.starts_with("dl-home: THE INTERNET IS DOWN.\n"), "{}", ran.output);
}

#[test]
fn an_open_outage_counts_as_down_only_while_it_is_failing() {
    let machine = TestMachine::new();
    let status = machine.status();
    let started = status.written.earlier(std::time::Duration::from_secs(39));
    let incident = |failing: Option<Scope>| {
        let incident = serde_json::json!({
            "id": "01936f3e-0000-7000-8000-000000000001",
            "scope": "internet",
            "cause": "isp",
            "party": "provider",
            "reason": "ISP (the router answers, nothing beyond it does)",
            "started": started,
            "failing": failing,
            "failures": 1,
            "durable": true,
        });
        vec![serde_json::from_value(incident).expect("an incident")]
    };
    for (failing, words) in [
        (Some(Scope::Internet), "dl-home: THE INTERNET IS DOWN.\n"),
        // While connectivity is back for a time.
        (None, "dl-home: the internet works.\n"),
    ] {
        TestMachine::put(
            &machine.state_dir(),
            &Status { incidents: incident(failing), ..status.clone() },
        );
        let output = machine.run(&["status"]).output;
        assert!(output.starts_with(words), "{output}");
        assert!(output.contains("Internet outage since "), "{output}");
        assert!(output.contains(" (39 s so far)"), "{output}");
    }
}

#[test]
fn times_are_shown_in_the_zone_of_a_posix_rule() {
    let machine = TestMachine::new();
    TestMachine::put(&machine.state_dir(), &machine.status());
    let shown = |zone: &str| {
        let mut command = machine.command(&["status"]);
        command.env("TZ", zone);
        run(command)
    };
    for zone in ["CET-1CEST", "CET-1CEST,M3.5.0,M10.5.0/3"] {
        let ran = shown(zone);
        assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""), "{zone}");
        let is_shown = ["+01:00 (", "+02:00 ("].iter().any(|offset| ran.output.contains(offset));
        assert!(is_shown, "{zone}: {}", ran.output);
    }
    let ran = shown("Nowhere/At");
    assert_eq!(ran.code, Some(0));
    assert!(ran.output.contains("+00:00 ("), "{}", ran.output);
    assert!(
        ran.errors.contains(
            "warning: the time zone Nowhere/At in the variable TZ is not known here, so times are \
             shown in UTC."
        ),
        "{}",
        ran.errors
    );
}

#[test]
fn without_an_agent_the_output_says_how_to_start_one() {
    let machine = TestMachine::new();
    let ran = machine.run(&["status"]);
    assert_eq!((ran.code, ran.errors.as_str()), (Some(1), ""));
    let text = machine.anonymous(&ran.output);
    assert!(
        text.starts_with("The agent is not running: there is no status file in /run/ispmon or [place]/state.\nStart it with: "),
        "{text}"
    );
    let ran = machine.run(&["status", "--json"]);
    assert_eq!((ran.code, ran.errors.as_str()), (Some(1), ""));
    let json: Value = serde_json::from_str(&ran.output).expect("valid JSON");
    assert_eq!(json, serde_json::json!({"presence": "absent", "file": null, "status": null}));
}

#[test]
fn the_status_of_a_dead_agent_is_shown_as_its_last_known_state() {
    let machine = TestMachine::new();
    let other_boot = "2c5c1f7e-4a43-4b29-9c4b-6a3f0a9f0001".parse().expect("a boot id");
    let now = Stamp::now();
    for (status, presence, words) in [
        (Status { pid: NO_PROCESS, ..machine.status() }, "gone", "crashed or was killed"),
        (
            Status { written: Stamp { boot: other_boot, ..now }, ..machine.status() },
            "rebooted",
            "was not started again with this machine",
        ),
        (
            Status {
                written: now.earlier(std::time::Duration::from_secs(20)),
                fresh_ms: 1_000,
                ..machine.status()
            },
            "hanging",
            "the agent hangs",
        ),
        (
            Status { condition: ConnectivityStatus::Stopped, ..machine.status() },
            "stopped",
            "it was stopped",
        ),
    ] {
        TestMachine::put(&machine.state_dir(), &status);
        let ran = machine.run(&["status"]);
        assert_eq!((ran.code, ran.errors.as_str()), (Some(1), ""), "{presence}");
        let first = ran.output.lines().next().unwrap_or_default();
        assert!(first.contains(words), "{}", ran.output);
        assert!(ran.output.contains("Last known state, "), "{}", ran.output);
        let ran = machine.run(&["status", "--json"]);
        let json: Value = serde_json::from_str(&ran.output).expect("valid JSON");
        assert_eq!((ran.code, &json["presence"]), (Some(1), &presence.into()));
    }
}

#[test]
fn json_is_the_status_file_and_the_state_of_its_writer() {
    let machine = TestMachine::new();
    TestMachine::put(&machine.state_dir(), &machine.status());
    let ran = machine.run(&["status", "--json"]);
    assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""));
    let json: Value = serde_json::from_str(&ran.output).expect("valid JSON");
    assert_eq!(json["presence"], "running");
    assert_eq!(json["file"], machine.state_dir().join("status.json").display().to_string());
    let file = fs::read(machine.state_dir().join("status.json")).expect("the file");
    assert_eq!(json["status"], serde_json::from_slice::<Value>(&file).expect("valid JSON"));
}

#[test]
fn the_runtime_folder_is_read_and_the_status_of_another_agent_is_ignored() {
    let machine = TestMachine::new();
    let runtime = machine.path().join("run");
    fs::create_dir(&runtime).expect("a folder");
    TestMachine::put(&runtime, &machine.status());
    let with_runtime = |machine: &TestMachine| {
        let mut command = machine.command(&["status"]);
        command.env("RUNTIME_DIRECTORY", &runtime);
        run(command)
    };
    assert_eq!(with_runtime(&machine).code, Some(0));
    let elsewhere = Status { state_dir: "/elsewhere".into(), ..machine.status() };
    TestMachine::put(&runtime, &elsewhere);
    let ran = with_runtime(&machine);
    assert_eq!(ran.code, Some(1));
    assert!(ran.output.starts_with("The agent is not running"), "{}", ran.output);
}

#[test]
fn a_truncated_status_file_is_named() {
    let machine = TestMachine::new();
    fs::write(machine.state_dir().join("status.json"), "{\"version\":\"0.")
        .expect("the file is written");
    let ran = machine.run(&["status"]);
    assert_eq!((ran.code, ran.output.as_str()), (Some(1), ""));
    let errors = machine.anonymous(&ran.errors);
    assert!(errors.contains("[place]/state/status.json holds no status of this or"), "{errors}");
}

#[test]
fn an_invalid_configuration_does_not_hide_the_status() {
    let machine = TestMachine::new();
    TestMachine::put(&machine.state_dir(), &machine.status());
    let file = machine.path().join("agent.toml");
    fs::write(&file, "devise = \"dl-home\"\n").expect("the file is written");
    let ran = machine.run(&["status", "--config", "agent.toml"]);
    assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""));
}

#[test]
fn every_user_can_see_the_status() {
    let machine = TestMachine::new();
    TestMachine::put(&machine.state_dir(), &machine.status());
    // The key belongs to the service; `status` works for users who cannot read it.
    let configuration =
        "heartbeat.url = \"https://dl.example/api/ping\"\nheartbeat.key_file = \"./key\"\n";
    fs::write(machine.path().join("agent.toml"), configuration).expect("the file is written");
    let key = machine.path().join("key");
    fs::write(&key, "a-key").expect("the file is written");
    let closed = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    fs::set_permissions(key, closed).expect("the mode can be set");
    let Some(ran) = machine.run_as_nobody(&["status", "--config", "agent.toml"]) else {
        return skipped("only root can run a program as another user");
    };
    assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""));
    assert!(ran.output.starts_with("dl-home: the internet works.\n"), "{}", ran.output);
}
