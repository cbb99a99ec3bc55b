//! Real disks in trouble. They are mounts that only the writing process sees, and go away with it.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::Command,
};

use super::child::Writer;

/// A user that no file belongs to.
const NOBODY: u32 = 65_534;

/// Says that a test needs what this machine does not grant.
fn skipped(why: &str) {
    // Past the test harness, which shows nothing of a test that passes.
    let _ = std::io::stderr().write_fmt(format_args!("SKIPPED: {why}\n"));
}

fn may_mount() -> bool {
    let tried =
        Command::new("unshare").args(["--mount", "sh", "-c", "mount -t tmpfs none /mnt"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Runs a command where the writer runs.
fn beside(writer: &mut Writer, command: &str) {
    let entered = Command::new("nsenter")
        .args(["--mount", "--target", &writer.id().to_string(), "sh", "-c", command])
        .status();
    assert!(entered.is_ok_and(|status| status.success()), "{command}");
}

/// A writer on a disk of its own; `None` where there can be none. `options` are those of the mount.
fn on_disk(folder: &Path, options: &str) -> Option<Writer> {
    if !may_mount() {
        skipped("only root can mount a disk");
        return None;
    }
    let mount = format!("mount -t tmpfs -o {options} none {}", folder.display());
    Some(Writer::start(folder, Some(&mount)))
}

/// Verifies what the writer has written to its own disk, and says how many records there are.
fn records(writer: &mut Writer, folder: &Path) -> u64 {
    let copy = tempfile::tempdir().expect("a temporary folder");
    let (from, to) = (folder.display(), copy.path().display());
    beside(writer, &format!("cp {from}/journal.ndjson {to}"));
    let verified = ispmon_agent::journal::verify(copy.path()).expect("there is a journal");
    assert!(verified.first_problem.is_none(), "{:?}", verified.first_problem);
    verified.records
}

#[test]
fn a_full_disk_is_waited_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(mut writer) = on_disk(folder.path(), "size=256k") else { return };
    assert!(writer.ask("one").starts_with("durable 2 "));
    let filler = folder.path().join("filler").display().to_string();
    beside(&mut writer, &format!("dd if=/dev/zero of={filler} bs=4k 2>/dev/null || true"));
    // Longer than what is left of the last page.
    let long = "x".repeat(10_000);
    for _ in 0..3 {
        assert_eq!(writer.ask(&long), "waiting");
    }
    let problem = writer.ask("problem");
    assert!(problem.contains("writing journal.ndjson fails: No space left"), "{problem}");
    let advice = format!("Make room on the disk of {}.", folder.path().display());
    assert!(problem.contains(&advice), "{problem}");
    assert_eq!(records(&mut writer, folder.path()), 2, "nothing is left of what found no room");
    beside(&mut writer, &format!("rm {filler}"));
    assert_eq!(writer.ask("settled"), "settled");
    assert!(writer.ask("two").starts_with("durable 6 "));
    assert_eq!(records(&mut writer, folder.path()), 6);
}

#[test]
fn a_read_only_disk_is_waited_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(mut writer) = on_disk(folder.path(), "ro") else { return };
    assert_eq!(writer.ask("one"), "waiting");
    let problem = writer.ask("problem");
    assert!(problem.contains("Read-only file system"), "{problem}");
    let advice = format!("ReadWritePaths={}", folder.path().display());
    assert!(problem.contains(&advice), "{problem}");
    beside(&mut writer, &format!("mount -o remount,rw {}", folder.path().display()));
    assert_eq!(writer.ask("settled"), "settled");
    assert_eq!(records(&mut writer, folder.path()), 2);
}

#[test]
fn permission_that_is_lost_while_the_agent_runs_is_waited_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = folder.path().join("state");
    fs::create_dir(&state).expect("it is ours");
    if chown(&state, Some(NOBODY), Some(NOBODY)).is_err() {
        return skipped("only root can give a folder to somebody else");
    }
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    mode(folder.path(), 0o755);
    let mut writer = Writer::start_as(NOBODY, &state);
    assert!(writer.ask("one").starts_with("durable 2 "));
    mode(&state, 0o000);
    assert_eq!(writer.ask("two"), "waiting");
    let problem = writer.ask("problem");
    assert!(problem.contains("Permission denied"), "{problem}");
    let advice = format!("sudo chown -R {NOBODY} {}", state.display());
    assert!(problem.contains(&advice), "{problem}");
    mode(&state, 0o755);
    assert_eq!(writer.ask("settled"), "settled");
    let verified = ispmon_agent::journal::verify(&state).expect("there is a journal");
    assert_eq!((verified.records, verified.problems), (3, 0));
}
