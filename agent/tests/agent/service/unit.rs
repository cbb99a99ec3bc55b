//! The unit file: it agrees with the agent, and systemd's own tools report no problem.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use ispmon_agent::{
    config::{Flags, SERVICE_KEY_FILE, Sources},
    state_dir,
    status::place,
};

const UNIT: &str = include_str!("../../../../packaging/systemd/ispmon-agent.service");
const SYSUSERS: &str = include_str!("../../../../packaging/systemd/ispmon-agent.sysusers");

/// The first systemd version whose `systemd-analyze security` accepts a file.
const OFFLINE_SECURITY_SINCE: u32 = 250;
/// The maximum exposure level that it may report, in tenths.
const MAX_EXPOSURE: u32 = 15;

/// The assignments of one section of a unit file.
fn section<'a>(unit: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let header = format!("[{name}]");
    let lines = unit.lines().skip_while(|line| *line != header).skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once('=').unwrap_or_else(|| panic!("{line:?} is no assignment")))
        .collect()
}

/// The one value that `[Service]` assigns to `key`.
fn value(key: &str) -> &'static str {
    let values: Vec<_> =
        section(UNIT, "Service").into_iter().filter(|(name, _)| *name == key).collect();
    match values[..] {
        [(_, value)] => value,
        _ => panic!("{key} is assigned {} times", values.len()),
    }
}

#[test]
fn the_unit_agrees_with_the_agent() {
    for (key, expected) in [
        ("ExecStart", "ispmon-agent run"),
        ("Type", "notify"),
        ("RestartPreventExitStatus", "64 78"),
        ("LoadCredential", &format!("heartbeat-key:{SERVICE_KEY_FILE}")),
        ("User", "ispmon"),
        ("Group", "ispmon"),
        ("LimitCORE", "0"),
    ] {
        assert_eq!(value(key), expected, "{key}");
    }
    for directory in ["StateDirectory", "RuntimeDirectory", "ConfigurationDirectory"] {
        assert_eq!(value(directory), "ispmon");
        assert_eq!(value(&format!("{directory}Mode")), "0755", "every user may read it");
    }
    // The agent's commands look in the folders that systemd creates from these names.
    let state_dirs = state_dir::for_readers(None, &BTreeMap::new(), None);
    assert!(state_dirs.contains(&"/var/lib/ispmon".into()), "{state_dirs:?}");
    let status_dirs = place::folders(None, None, &[]);
    assert!(status_dirs.contains(&"/run/ispmon".into()), "{status_dirs:?}");
    let sources = Sources::of_this_process(None, Flags::default()).expect("a current folder");
    let files = sources.default_files;
    assert!(files.contains(&"/etc/ispmon/agent.toml".into()), "{files:?}");
    let unit = section(UNIT, "Unit");
    assert!(unit.contains(&("After", "network.target")), "{unit:?}");
    assert!(!unit.iter().any(|(_, value)| value.contains("network-online")), "{unit:?}");
    assert_eq!(section(UNIT, "Install"), [("WantedBy", "multi-user.target")]);
    assert!(SYSUSERS.lines().any(|line| line.starts_with("u     ispmon ")), "{SYSUSERS}");
}

/// The version of systemd's tools; prints a note and returns `None` if they are missing.
fn systemd_version() -> Option<u32> {
    let Ok(output) = Command::new("systemd-analyze").arg("--version").output() else {
        println!("SKIPPED: no systemd-analyze on PATH");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    assert!(version.is_some(), "no version in {text:?}");
    version
}

/// The unit in a temporary folder, in a form for `systemd-analyze`: its program exists.
fn unit_file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ispmon-agent.service");
    let program = format!("ExecStart={} run", env!("CARGO_BIN_EXE_ispmon-agent"));
    let unit = UNIT.replace("ExecStart=ispmon-agent run", &program);
    assert_ne!(unit, UNIT);
    // Only packages install the man pages.
    let documented = |line: &&str| !line.starts_with("Documentation=");
    let lines: Vec<_> = unit.lines().filter(documented).collect();
    fs::write(&path, lines.join("\n")).expect("the file is written");
    (folder, path)
}

#[test]
fn systemd_accepts_every_line_of_the_unit() {
    if systemd_version().is_none() {
        return;
    }
    let (_folder, path) = unit_file();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(path)
        .output()
        .expect("systemd-analyze runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    // Units of the machine that runs the test are loaded too.
    let ours: Vec<_> = complaints.lines().filter(|line| line.contains("ispmon")).collect();
    assert!(ours.is_empty() && output.status.success(), "{complaints}");
}

#[test]
fn the_exposure_of_the_service_is_within_the_limit() {
    match systemd_version() {
        None => return,
        Some(version) if version < OFFLINE_SECURITY_SINCE => {
            println!("SKIPPED: systemd-analyze {version} cannot check files");
            return;
        }
        Some(_) => {}
    }
    let (_folder, path) = unit_file();
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(format!("--threshold={MAX_EXPOSURE}"))
        .arg(path)
        .output()
        .expect("systemd-analyze runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Overall exposure level"), "{output:?}");
    assert!(output.status.success(), "{text}");
}
