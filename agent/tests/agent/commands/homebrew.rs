//! A program installed by Homebrew finds the files in its prefix.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use ispmon_agent::outage::{Cause, Party, Scope};
use tempfile::TempDir;
use tokio::time::Instant;

use super::place::{CommandOutput, run};
use crate::{
    process::{PATIENCE, POLL_INTERVAL},
    record::JournalBuilder,
};

/// A Homebrew prefix with this program installed as by `brew install`.
struct Prefix {
    root: TempDir,
}

impl Prefix {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let prefix = Self { root };
        let keg = prefix.path("Cellar/ispmon-agent/0.1.0");
        for folder in [keg.join("bin"), prefix.path("bin"), prefix.path("opt")] {
            fs::create_dir_all(folder).expect("a folder");
        }
        // Copied by another process, so that no test that forks meanwhile holds it open for writing.
        let mut cp = Command::new("cp");
        cp.arg(env!("CARGO_BIN_EXE_ispmon-agent")).arg(keg.join("bin"));
        assert!(cp.status().expect("cp starts").success(), "a copy of the program");
        let link = "../Cellar/ispmon-agent/0.1.0";
        symlink(format!("{link}/bin/ispmon-agent"), prefix.path("bin/ispmon-agent"))
            .expect("a link");
        symlink(link, prefix.path("opt/ispmon-agent")).expect("a link");
        prefix
    }

    fn path(&self, name: &str) -> PathBuf {
        // On macOS the path of temporary folders contains a symbolic link.
        self.root.path().canonicalize().expect("the folder exists").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("the path is in the prefix")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn configure(&self, device: &str) {
        self.write(
            "etc/ispmon/agent.toml",
            &format!(
                "device = \"{device}\"\n[probe]\nanchors = \"127.0.0.1:1\"\ngateway = \"127.0.0.1\"\n\
                 resolver = \"127.0.0.1:1\"\nportal = \"off\"\n"
            ),
        );
    }

    /// Writes a journal with one outage of this length.
    fn write_journal(&self, seconds: u64) {
        let mut journal = JournalBuilder::start(11, "dl-home", "2026-10-11T00:00:00Z");
        let started = "2026-10-12T21:12:13Z".parse().expect("a time");
        let party = Some(Party::Yours);
        journal.incident(Scope::Internet, Cause::Link, party, started, &[(Cause::Link, seconds)]);
        journal.write(&self.path("var/ispmon"));
    }

    /// The program by its link in `bin`, as a user runs it; no variable names the prefix.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin/ispmon-agent"));
        command.args(arguments).current_dir("/").env_clear();
        command.env("HOME", self.path("home")).env("TZ", "UTC");
        command
    }

    fn run(&self, arguments: &[&str]) -> CommandOutput {
        run(self.command(arguments))
    }

    /// Starts the service as the formula does and waits until `status` succeeds.
    fn start_agent(&self) -> Agent {
        let mut command = Command::new(self.path("opt/ispmon-agent/bin/ispmon-agent"));
        command.arg("run").current_dir("/").env_clear().env("HOME", self.path("home"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let agent = Agent(command.spawn().expect("the program starts"));
        let deadline = Instant::now() + PATIENCE;
        while self.run(&["status"]).code != Some(0) {
            assert!(
                Instant::now() < deadline,
                "the agent does not run: {:?}",
                self.run(&["status"])
            );
            thread::sleep(POLL_INTERVAL);
        }
        agent
    }
}

/// A running agent, killed on drop.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether `text` contains the path.
fn is_named(path: &Path, text: &str) -> bool {
    text.contains(&path.display().to_string())
}

#[test]
fn the_configuration_in_the_prefix_takes_precedence() {
    let prefix = Prefix::new();
    prefix.configure("brewed");
    let file = prefix.path("etc/ispmon/agent.toml");
    let ran = prefix.run(&["config"]);
    assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""));
    assert!(ran.output.contains("brewed") && is_named(&file, &ran.output), "{}", ran.output);
    prefix.write("named.toml", "device = \"named\"\n");
    let named = prefix.path("named.toml");
    let ran = prefix.run(&["config", "--config", &named.display().to_string()]);
    assert!(ran.output.contains("named") && !ran.output.contains("brewed"), "{}", ran.output);
    prefix.write("etc/ispmon/agent.toml", "devise = 1\n");
    let ran = prefix.run(&["config"]);
    assert_eq!(ran.code, Some(78));
    assert!(is_named(&file, &ran.errors), "{}", ran.errors);
}

#[test]
fn no_variable_selects_another_prefix() {
    let (own, other) = (Prefix::new(), Prefix::new());
    own.configure("own");
    own.write_journal(191);
    other.configure("other");
    other.write_journal(42);
    for (arguments, expected) in [(&["config"][..], "own"), (&["outages"], "3 min 11 s")] {
        let mut command = own.command(arguments);
        for (name, folder) in
            [("HOMEBREW_PREFIX", ""), ("HOMEBREW_CELLAR", "Cellar"), ("HOMEBREW_REPOSITORY", "")]
        {
            command.env(name, other.path(folder));
        }
        let ran = run(command);
        assert!(ran.code == Some(0) && ran.output.contains(expected), "{ran:?}");
        let text = ran.output + &ran.errors;
        assert!(!is_named(&other.path(""), &text) && !text.contains("other"), "{text}");
    }
}

#[test]
fn the_journal_in_the_prefix_is_found() {
    let prefix = Prefix::new();
    prefix.write_journal(191);
    for arguments in [&["outages"][..], &["report", "--month", "2026-10"], &["journal", "verify"]] {
        let ran = prefix.run(arguments);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(is_named(&prefix.path("var/ispmon"), &ran.output), "{}", ran.output);
    }
}

#[test]
fn the_homebrew_service_and_the_commands_use_the_same_files() {
    let prefix = Prefix::new();
    prefix.configure("brewed");
    let advice = "brew services start ispmon-agent";
    let ran = prefix.run(&["status"]);
    assert!(ran.code == Some(1) && ran.output.contains(advice), "{ran:?}");
    let agent = prefix.start_agent();
    let ran = prefix.run(&["status", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let shown: serde_json::Value = serde_json::from_str(&ran.output).expect("valid JSON");
    let file = prefix.path("var/ispmon/status.json");
    assert_eq!(shown["file"], file.display().to_string());
    assert_eq!(shown["status"]["pid"], agent.0.id());
    assert_eq!(shown["status"]["device"], "brewed");
    let ran = prefix.run(&["pause", "1h"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = prefix.run(&["doctor"]);
    let has_row = |start: &str, path: PathBuf| {
        let is_row = |row: &str| row.starts_with(start) && is_named(&path, row);
        assert!(ran.output.lines().any(is_row), "{start} {}: {}", path.display(), ran.output);
    };
    has_row("PASS  configuration", prefix.path("etc/ispmon/agent.toml"));
    has_row("PASS  journal", prefix.path("var/ispmon"));
    drop(agent);
    let ran = prefix.run(&["doctor"]);
    assert!(ran.code == Some(1) && ran.output.contains(advice), "{ran:?}");
}
