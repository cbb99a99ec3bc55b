//! Behaviour when the disk fails to store a record.

use super::*;

#[test]
fn a_record_is_truncated_away_when_the_disk_is_full() {
    let disk = Disk::new();
    let (mut writer, _) = open(&disk, "dl-home");
    append(&mut writer, "one").expect("the append succeeds");
    for room in 0..200 {
        disk.faults(|faults| faults.room = Some(room));
        append(&mut writer, "two").expect_err("the disk is full");
        assert_eq!(Contents::of(&disk).texts(), ["one"]);
        assert_eq!(disk.content(files::CURRENT).last(), Some(&b'\n'));
    }
    disk.faults(|faults| faults.room = None);
    append(&mut writer, "two").expect("the disk has room again");
    let contents = Contents::of(&disk);
    assert_eq!((contents.texts(), contents.damage.len()), (vec!["one", "two"], 0));
}

#[test]
fn a_failed_sync_acknowledges_nothing() {
    let disk = Disk::new();
    let (mut writer, _) = open(&disk, "dl-home");
    append(&mut writer, "one").expect("the append succeeds");
    disk.faults(|faults| faults.failing_syncs = 1);
    let error = append(&mut writer, "two").expect_err("the sync fails");
    assert_eq!(error.to_string(), "syncing journal.ndjson fails");
    assert_eq!(Contents::of(&disk).texts(), ["one"]);
    append(&mut writer, "two").expect("the disk works again");
    assert_eq!(Contents::of(&disk).texts(), ["one", "two"]);
}

#[test]
fn a_file_that_is_deleted_while_the_agent_runs_is_reported_as_missing() {
    let disk = Disk::new();
    let (mut writer, _) = open(&disk, "dl-home");
    append(&mut writer, "one").expect("the append succeeds");
    disk.delete(files::CURRENT);
    let (seq, _) = append(&mut writer, "two").expect("the append succeeds");
    assert_eq!(seq, 4, "no number is used twice");
    let contents = Contents::of(&disk);
    assert_eq!(contents.texts(), ["two"]);
    let reason = "journal.ndjson was deleted while the agent ran: records 1 to 2 were missing";
    assert_eq!(contents.beginnings(), [(Some(reason), &[][..])]);
}

#[test]
fn a_foreign_file_that_replaces_the_current_one_is_set_aside() {
    let disk = Disk::new();
    let (mut writer, _) = open(&disk, "dl-home");
    append(&mut writer, "one").expect("the append succeeds");
    disk.put(files::CURRENT, "something else\n");
    append(&mut writer, "two").expect("the append succeeds");
    assert_eq!(disk.content("journal.set-aside-1.ndjson"), b"something else\n");
    let contents = Contents::of(&disk);
    let reason =
        "journal.ndjson was replaced while the agent ran: journal.ndjson was not a journal";
    let aside = ["journal.set-aside-1.ndjson".to_owned()];
    assert_eq!(contents.beginnings(), [(Some(reason), &aside[..])]);
    assert_eq!(contents.texts(), ["two"]);
}

#[test]
fn a_journal_that_is_edited_while_the_agent_runs_loses_only_the_edited_line() {
    for replaces in [true, false] {
        let disk = Disk::new();
        let (mut writer, _) = open(&disk, "dl-home");
        for text in ["one", "two", "three"] {
            append(&mut writer, text).expect("the append succeeds");
        }
        let text = String::from_utf8(disk.content(files::CURRENT)).expect("the journal is UTF-8");
        let edited = text.replace("two", "two or so");
        if replaces {
            disk.put(files::CURRENT, edited);
        } else {
            disk.overwrite(files::CURRENT, edited);
        }
        append(&mut writer, "four").expect("the append succeeds");
        let contents = Contents::of(&disk);
        assert_eq!(contents.texts(), ["one", "three", "four"]);
        assert_eq!(contents.damage.len(), 1, "{:#?}", contents.damage);
        assert_eq!(contents.beginnings().len(), 2);
    }
}

#[test]
fn a_journal_that_cannot_be_written_is_still_read() {
    let disk = Disk::new();
    let (mut writer, _) = open(&disk, "dl-home");
    append(&mut writer, "one").expect("the append succeeds");
    let text = disk.content(files::CURRENT);
    disk.put(files::CURRENT, [text.as_slice(), b"{\"seq\":3,\"pr"].concat());
    disk.faults(|faults| faults.read_only = true);
    let (mut writer, recovered) = open(&disk, "dl-home");
    assert!(recovered.last_run.is_some());
    append(&mut writer, "two").expect_err("the disk is read-only");
    disk.faults(|faults| faults.read_only = false);
    append(&mut writer, "two").expect("the append succeeds");
    let contents = Contents::of(&disk);
    assert_eq!((contents.texts(), contents.damage.len()), (vec!["one", "two"], 0));
}

#[test]
fn a_record_that_is_too_long_is_skipped_and_its_neighbours_are_written() {
    let disk = Disk::new();
    let (mut writer, _) = open(&disk, "dl-home");
    let entries = [entry("one"), entry("x".repeat(LONGEST_LINE)), entry("two")];
    let batch = entries.iter().map(|entry| (entry, at(1, 1)));
    let written = writer.append(batch).expect("the append succeeds");
    let numbers: Vec<_> = written.iter().map(|at| at.as_ref().map(|(seq, _)| *seq)).collect();
    assert_eq!(numbers, [Some(2), None, Some(3)]);
    assert_eq!(Contents::of(&disk).texts(), ["one", "two"]);
}

#[test]
fn many_records_are_written_in_bounded_batches() {
    let disk = Disk::new();
    let (mut writer, _) = open(&disk, "dl-home");
    let entries: Vec<Entry> = (0..10).map(|_| entry("x".repeat(100_000))).collect();
    let batch = entries.iter().map(|entry| (entry, at(1, 1)));
    assert_eq!(writer.append(batch).expect("the append succeeds").len(), 3);
}
