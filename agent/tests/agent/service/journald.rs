//! The log under systemd: a real journald in a booted container.

use std::{fs, path::Path};

use serde_json::Value;

use super::{
    container::{Container, wait_for},
    server::{Behaviour, Server},
};

const UNIT: &str = "\
[Service]
ExecStart=/usr/bin/ispmon-agent run --config /etc/ispmon/agent.toml
ExecReload=sh -c 'kill -HUP $MAINPID'
StateDirectory=ispmon
";

/// More log lines than the log's queue and the socket of a stopped journald hold together.
const HEARTBEATS: u64 = 2_500;

/// The agent's entries with one event, as `journalctl -o json` shows them.
fn entries(container: &Container, event: &str) -> Vec<Value> {
    let matching = format!("ISPMON_EVENT={event}");
    let command = ["journalctl", "--quiet", "--output=json", "-t", "ispmon-agent", &matching];
    let lines = container.run(command).stdout;
    let lines = String::from_utf8(lines).expect("valid UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("valid JSON")).collect()
}

fn first_entry(container: &Container, event: &str) -> Value {
    wait_for(event, || entries(container, event).into_iter().next())
}

#[test]
fn journald_gets_fields_priorities_and_catalog_ids_and_may_stop_reading() {
    // Each heartbeat fails, the next follows within 10 ms, and each is a log line at this level.
    let server = Server::start(Behaviour::Close);
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("the file is written");
        path
    };
    let configuration = file(
        "agent.toml",
        &format!(
            "device = 'dl-home'\n[heartbeat]\nurl = '{}'\nbackoff_base = '10ms'\nbackoff_cap = '10ms'\n\
             [probe]\ninterval = '60s'\nanchors = ['127.0.0.1:1', '127.0.0.2:1', '127.0.0.3:1']\n\
             [log]\nlevel = 'debug'\n",
            server.url()
        ),
    );
    let unit = file("ispmon-agent.service", UNIT);
    let catalog =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd/ispmon-agent.catalog");
    let container = Container::boot(
        "logs",
        &[
            (Path::new(env!("CARGO_BIN_EXE_ispmon-agent")), "/usr/bin/ispmon-agent"),
            (&configuration, "/etc/ispmon/agent.toml"),
            (&unit, "/etc/systemd/system/ispmon-agent.service"),
            (&catalog, "/usr/lib/systemd/catalog/ispmon-agent.catalog"),
        ],
    );
    let Some(container) = container else { return };
    container.output(["journalctl", "--update-catalog"]);
    container.output(["systemctl", "start", "ispmon-agent"]);

    let started = first_entry(&container, "started");
    assert_eq!(started["PRIORITY"], "6", "{started}");
    assert_eq!(started["SYSLOG_IDENTIFIER"], "ispmon-agent");
    assert_eq!(started["_SYSTEMD_UNIT"], "ispmon-agent.service");
    assert_eq!(started["_TRANSPORT"], "journal");
    assert_eq!(started["ISPMON_DEVICE"], "dl-home");
    let sentence = started["MESSAGE"].as_str().expect("a text");
    assert!(sentence.contains("sends a heartbeat for dl-home"), "{sentence}");
    assert_eq!(first_entry(&container, "failed")["PRIORITY"], "4");
    let again = first_entry(&container, "failed_again");
    assert_eq!((&again["PRIORITY"], &again["ISPMON_COUNT"]), (&"7".into(), &"2".into()));

    let id = started["MESSAGE_ID"].as_str().expect("a text");
    let explained =
        container.output(["journalctl", "-x", "-t", "ispmon-agent", &format!("MESSAGE_ID={id}")]);
    assert!(explained.contains(sentence), "{explained}");
    assert!(explained.contains("When they stop, the cloud mails the owner."), "{explained}");

    // logind is real too, and waits for the agent before the machine sleeps.
    wait_for("the lock on sleep", || {
        let locks = container.output(["systemd-inhibit", "--list", "--no-pager"]);
        let is_ours = |lock: &str| lock.contains("ispmon-agent") && lock.contains("delay");
        locks.lines().any(is_ours).then_some(())
    });

    fs::write(&configuration, "nonsense = 1\n").expect("the file is written");
    container.output(["systemctl", "reload", "ispmon-agent"]);
    assert_eq!(first_entry(&container, "reload_refused")["PRIORITY"], "3");

    let journald = container.output([
        "systemctl",
        "show",
        "--value",
        "--property=MainPID",
        "systemd-journald",
    ]);
    let journald = journald.trim();
    container.output(["sh", "-c", &format!("kill -STOP {journald}")]);
    let sequence = || server.heartbeat().agent.expect("agent").seq;
    let mut last = sequence();
    for _ in 0..HEARTBEATS {
        let next = sequence();
        assert_eq!(next, last + 1, "no heartbeat is lost while the log is not read");
        last = next;
    }
    container.output(["sh", "-c", &format!("kill -CONT {journald}")]);
    let dropped = first_entry(&container, "lines_dropped");
    let count = dropped["ISPMON_COUNT"].as_str().and_then(|count| count.parse::<u64>().ok());
    assert!(count.is_some_and(|count| count > 0), "{dropped}");
    assert_eq!(dropped["PRIORITY"], "4");
}
