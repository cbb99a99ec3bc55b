//! Full disks, read-only disks and lost permissions. Each disk is a mount in the writer's own mount
//! namespace and disappears with it.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::Command,
};

use super::child::Writer;

/// The id of a user who owns no files.
const NOBODY: u32 = 65_534;

/// Prints why a test is skipped.
fn skipped(why: &str) {
    // Directly to stderr, because the test harness hides the output of tests that pass.
    let _ = std::io::stderr().write_fmt(format_args!("SKIPPED: {why}\n"));
}

fn may_mount() -> bool {
    let tried =
        Command::new("unshare").args(["--mount", "sh", "-c", "mount -t tmpfs none /mnt"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Runs a shell command in the writer's mount namespace.
fn run_shell(writer: &mut Writer, command: &str) {
    let entered = Command::new("nsenter")
        .args(["--mount", "--target", &writer.id().to_string(), "sh", "-c", command])
        .status();
    assert!(entered.is_ok_and(|status| status.success()), "{command}");
}

/// A writer on a tmpfs mounted with `options`; `None` if this process cannot mount.
fn on_disk(folder: &Path, options: &str) -> Option<Writer> {
    if !may_mount() {
        skipped("only root can mount a disk");
        return None;
    }
    let mount = format!("mount -t tmpfs -o {options} none {}", folder.display());
    Some(Writer::start(folder, Some(&mount)))
}

/// Verifies the journal on the writer's disk and returns its number of records.
fn count_records(writer: &mut Writer, folder: &Path) -> u64 {
    let copy = tempfile::tempdir().expect("a temporary folder");
    let (from, to) = (folder.display(), copy.path().display());
    run_shell(writer, &format!("cp {from}/journal.ndjson {to}"));
    let verified = ispmon_agent::journal::verify(copy.path()).expect("the journal exists");
    assert!(verified.first_problem.is_none(), "{:?}", verified.first_problem);
    verified.records
}

#[test]
fn writing_resumes_when_a_full_disk_has_space_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(mut writer) = on_disk(folder.path(), "size=256k") else { return };
    assert!(writer.send("one").starts_with("durable 2 "));
    let filler = folder.path().join("filler").display().to_string();
    run_shell(&mut writer, &format!("dd if=/dev/zero of={filler} bs=4k 2>/dev/null || true"));
    // Longer than the rest of the last page.
    let long = "x".repeat(10_000);
    for _ in 0..3 {
        assert_eq!(writer.send(&long), "waiting");
    }
    let problem = writer.send("problem");
    assert!(problem.contains("writing journal.ndjson fails: No space left"), "{problem}");
    let advice = format!("Make room on the disk of {}.", folder.path().display());
    assert!(problem.contains(&advice), "{problem}");
    assert_eq!(count_records(&mut writer, folder.path()), 2, "failed writes leave nothing behind");
    run_shell(&mut writer, &format!("rm {filler}"));
    assert_eq!(writer.send("flushed"), "flushed");
    assert!(writer.send("two").starts_with("durable 6 "));
    assert_eq!(count_records(&mut writer, folder.path()), 6);
}

#[test]
fn writing_resumes_when_a_read_only_disk_becomes_writable() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(mut writer) = on_disk(folder.path(), "ro") else { return };
    assert_eq!(writer.send("one"), "waiting");
    let problem = writer.send("problem");
    assert!(problem.contains("Read-only file system"), "{problem}");
    let advice = format!("ReadWritePaths={}", folder.path().display());
    assert!(problem.contains(&advice), "{problem}");
    run_shell(&mut writer, &format!("mount -o remount,rw {}", folder.path().display()));
    assert_eq!(writer.send("flushed"), "flushed");
    assert_eq!(count_records(&mut writer, folder.path()), 2);
}

#[test]
fn writing_resumes_when_lost_permission_returns() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = folder.path().join("state");
    fs::create_dir(&state).expect("the folder is created");
    if chown(&state, Some(NOBODY), Some(NOBODY)).is_err() {
        return skipped("only root can change the owner of a folder");
    }
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
    };
    mode(folder.path(), 0o755);
    let mut writer = Writer::start_as(NOBODY, &state);
    assert!(writer.send("one").starts_with("durable 2 "));
    mode(&state, 0o000);
    assert_eq!(writer.send("two"), "waiting");
    let problem = writer.send("problem");
    assert!(problem.contains("Permission denied"), "{problem}");
    let advice = format!("sudo chown -R {NOBODY} {}", state.display());
    assert!(problem.contains(&advice), "{problem}");
    mode(&state, 0o755);
    assert_eq!(writer.send("flushed"), "flushed");
    let verified = ispmon_agent::journal::verify(&state).expect("the journal exists");
    assert_eq!((verified.records, verified.problems), (3, 0));
}
