//! `ispmon-agent journal verify`.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use ispmon_agent::journal::{Appended, Entry, Journal};
use tempfile::TempDir;

use super::child::at;

/// A folder with a journal of three records.
fn written() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (journal, _) = Journal::open(folder.path(), "dl-home", at(0)).expect("the journal opens");
    runtime.block_on(async {
        for (text, seconds) in [("SIGTERM", 60), ("SIGINT", 3_600)] {
            let entry = Entry::AgentStopped { reason: text.to_owned() };
            let appended = journal.append(entry, at(seconds)).await;
            assert!(matches!(appended, Appended::Durable { .. }));
        }
        journal.note_alive(at(3_600));
        journal.close(Duration::from_mins(1)).await;
    });
    folder
}

fn verify(folder: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ispmon-agent"));
    command.env_clear().env("TZ", "UTC").current_dir("/").args([
        "journal",
        "verify",
        "--state-dir",
    ]);
    let Output { status, stdout, stderr } =
        command.arg(folder).output().expect("the program starts");
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).expect("the program writes text");
        text.replace(&folder.display().to_string(), "[folder]")
    };
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn an_intact_journal_is_shown_with_its_newest_hash() {
    let (code, output, errors) = verify(written().path());
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    insta::assert_snapshot!(output, @r"
    Journal in [folder]
    3 records, 2027-01-15 08:01:00 +00:00 to 2027-01-15 09:00:00 +00:00
    The newest is record 3 with the hash fb391c79518f5339d38d5252d764af9ee81b57a1cef6b0fae758bcc1bc2bd162
    Every record is as it was written.
    ");
}

#[test]
fn the_first_changed_record_is_named() {
    let folder = written();
    let path = folder.path().join("journal.ndjson");
    let text = fs::read_to_string(&path).expect("the journal exists");
    fs::write(&path, text.replace("SIGTERM", "SIGKILL")).expect("the journal is written");
    let (code, output, errors) = verify(folder.path());
    assert_eq!((code, errors.as_str()), (Some(1), ""));
    // The two hashes are in the message too; what matters is which record it names.
    let named =
        "DAMAGED: journal.ndjson, line 2 (record 2): this record was changed after record 3";
    assert!(output.contains(named), "{output}");
}

#[test]
fn missing_newest_records_are_detected_by_the_alive_file() {
    let folder = written();
    let path = folder.path().join("journal.ndjson");
    let text = fs::read_to_string(&path).expect("the journal exists");
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    fs::write(&path, lines[..2].concat()).expect("the journal is written");
    let (code, output, errors) = verify(folder.path());
    assert_eq!((code, errors.as_str()), (Some(1), ""));
    let named = "DAMAGED: the newest records are missing: 3 were written, and the last here is 2";
    assert!(output.contains(named), "{output}");
}

#[test]
fn the_last_line_of_a_running_agent_may_be_incomplete() {
    let folder = written();
    let path = folder.path().join("journal.ndjson");
    let text = fs::read_to_string(&path).expect("the journal exists");
    fs::write(&path, text + "{\"seq\":4,\"pre").expect("the journal is written");
    assert_eq!(verify(folder.path()).0, Some(0));
}

#[test]
fn a_folder_without_a_journal_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (code, output, errors) = verify(folder.path());
    assert_eq!((code, output.as_str()), (Some(1), ""));
    insta::assert_snapshot!(errors, @"ispmon-agent: there is no journal in [folder]; if the agent keeps it elsewhere, name the folder with --state-dir.");
}
