//! Recovery from files that differ from what the agent wrote.

use super::*;

/// A disk with three records after the first one of the chain.
fn written() -> Disk {
    let disk = Disk::new();
    let (mut writer, _) = open(&disk, "dl-home");
    for text in ["one", "two", "three"] {
        append(&mut writer, text).expect("the append succeeds");
    }
    disk
}

fn change(disk: &Disk, from: &str, to: &str) {
    let text = String::from_utf8(disk.content(files::CURRENT)).expect("the journal is UTF-8");
    assert!(text.contains(from));
    disk.put(files::CURRENT, text.replacen(from, to, 1));
}

#[test]
fn a_torn_last_line_is_truncated_at_every_length() {
    let whole = written().content(files::CURRENT);
    let start = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .expect("at least two lines");
    for length in start + 2..whole.len() {
        let disk = written();
        disk.put(files::CURRENT, &whole[..length]);
        // The alive file would name the record, which counts as unacknowledged here.
        disk.delete(files::ALIVE);
        let (mut writer, recovered) = open(&disk, "dl-home");
        assert!(recovered.notes.is_empty(), "{:?}", recovered.notes);
        append(&mut writer, "four").expect("the append succeeds");
        let contents = Contents::of(&disk);
        assert_eq!(contents.texts(), ["one", "two", "four"]);
        assert!(contents.damage.is_empty());
    }
}

#[test]
fn a_changed_record_is_the_only_loss_and_starts_a_new_chain() {
    let disk = written();
    change(&disk, "two", "TWO");
    let damaged = disk.content(files::CURRENT);
    let (mut writer, recovered) = open(&disk, "dl-home");
    let reason = "journal.ndjson was damaged at line 3: this record was changed after record 4 was";
    assert!(recovered.notes[0].contains(reason), "{:?}", recovered.notes);
    append(&mut writer, "four").expect("the append succeeds");
    assert_eq!(
        disk.content("journal.000000000001.ndjson"),
        damaged,
        "the damaged file is unchanged"
    );
    let contents = Contents::of(&disk);
    assert_eq!(contents.texts(), ["one", "three", "four"]);
    let beginnings = contents.beginnings();
    assert_eq!(beginnings[0], (None, &[][..]));
    assert!(beginnings[1].0.is_some_and(|text| text.starts_with(reason)), "{beginnings:?}");
    assert_eq!(beginnings[1].1, [] as [String; 0], "nothing is set aside");
    assert!(matches!(contents.damage[0].flaw, crate::journal::Flaw::Changed { .. }));
    assert_eq!(contents.damage.len(), 1, "it is still reported: {:#?}", contents.damage);
    let last = &contents.located.last().expect("the journal is not empty").record;
    assert_eq!(last.seq, 6, "no number is used twice");
}

#[test]
fn a_changed_newest_record_is_detected_by_the_alive_file_and_then_by_the_new_chain() {
    let disk = written();
    change(&disk, "three", "THREE");
    let (mut writer, recovered) = open(&disk, "dl-home");
    let note = "journal.ndjson was damaged at line 4: this record was changed after it was written";
    assert!(recovered.notes[0].contains(note), "{:?}", recovered.notes);
    append(&mut writer, "four").expect("the append succeeds");
    disk.delete(files::ALIVE);
    for _ in 0..2 {
        let contents = Contents::of(&disk);
        assert_eq!(contents.texts(), ["one", "two", "four"]);
        assert!(contents.damage[0].to_string().starts_with("journal.000000000001.ndjson, line 4"));
        let (_, recovered) = open(&disk, "dl-home");
        assert_eq!(recovered.notes.len(), contents.damage.len(), "{:?}", recovered.notes);
    }
}

#[test]
fn an_emptied_file_is_reused_and_its_records_are_reported_as_missing() {
    for left in ["", "{\"seq\":1,\"pr"] {
        let disk = written();
        disk.put(files::CURRENT, left);
        let (mut writer, _) = open(&disk, "dl-home");
        append(&mut writer, "four").expect("the append succeeds");
        let contents = Contents::of(&disk);
        assert_eq!(contents.texts(), ["four"]);
        assert_eq!(contents.beginnings()[0].0, Some("records 1 to 4 were missing"));
        assert_eq!(disk.names_now(), ["alive", "journal.ndjson"]);
    }
}

#[test]
fn lines_that_are_not_records_are_the_only_loss() {
    for junk in ["\0\0\0\0", "{\"seq\":4}", "not a record"] {
        let disk = written();
        let text = String::from_utf8(disk.content(files::CURRENT)).expect("the journal is UTF-8");
        let mut lines: Vec<&str> = text.lines().collect();
        lines[2] = junk;
        disk.put(files::CURRENT, lines.join("\n") + "\n");
        let (mut writer, _) = open(&disk, "dl-home");
        append(&mut writer, "four").expect("the append succeeds");
        let contents = Contents::of(&disk);
        assert_eq!(contents.texts(), ["one", "three", "four"], "{junk}");
        assert_eq!(contents.beginnings().len(), 2);
        assert_eq!(contents.damage.len(), 1, "{:#?}", contents.damage);
    }
}

#[test]
fn a_foreign_file_is_kept_under_another_name() {
    let disk = Disk::new();
    disk.put(files::CURRENT, "Dear diary,\ntoday the internet was down.\n");
    disk.put("journal.set-aside-1.ndjson", "an earlier one");
    let (mut writer, recovered) = open(&disk, "dl-home");
    assert_eq!(
        recovered.notes,
        ["The journal starts a new chain: journal.ndjson was not a journal."]
    );
    append(&mut writer, "one").expect("the append succeeds");
    assert!(disk.content("journal.set-aside-2.ndjson").starts_with(b"Dear diary"));
    assert_eq!(disk.content("journal.set-aside-1.ndjson"), b"an earlier one");
    assert_eq!(Contents::of(&disk).texts(), ["one"]);
}

#[test]
fn the_journal_of_a_newer_version_is_not_touched() {
    let disk = written();
    change(&disk, "\"format\":1", "\"format\":2");
    let newer = disk.content(files::CURRENT);
    let (mut writer, recovered) = open(&disk, "dl-home");
    assert_eq!(recovered.last_run, None, "nothing in it can be relied on");
    append(&mut writer, "one").expect("the append succeeds");
    let full = disk.names_now().into_iter().find(|name| disk.content(name) == newer);
    assert_eq!(full.as_deref(), Some("journal.000000000004.ndjson"));
    let contents = Contents::of(&disk);
    assert_eq!(contents.texts(), ["one"]);
    assert_eq!(contents.located.last().expect("the journal is not empty").record.seq, 6);
    assert_eq!(contents.damage.len(), 1, "{:#?}", contents.damage);
    let reason = "journal.ndjson was written by a newer version";
    assert_eq!(contents.beginnings()[0].0, Some(reason));
}

#[test]
fn kinds_and_values_of_a_newer_version_keep_their_position_in_the_chain() {
    let disk = written();
    // Makes the last record one that only a newer version understands.
    let text = String::from_utf8(disk.content(files::CURRENT)).expect("the journal is UTF-8");
    // The alive file has the hash of the original record.
    disk.delete(files::ALIVE);
    let kind = "\"kind\":\"agent_stopped\",\"reason\":\"three\"";
    for other in
        ["\"kind\":\"moon_phase\",\"full\":true", "\"kind\":\"agent_stopped\",\"reason\":7"]
    {
        disk.delete(files::ALIVE);
        disk.put(files::CURRENT, text.replace(kind, other));
        let (mut writer, recovered) = open(&disk, "dl-home");
        assert!(recovered.notes.is_empty());
        append(&mut writer, "four").expect("the append succeeds");
        let contents = Contents::of(&disk);
        assert_eq!(contents.texts(), ["one", "two", "four"]);
        assert_eq!(contents.damage, []);
        let Entry::Unknown(unknown) = &contents.located[3].record.entry else { panic!("{other}") };
        assert!(other.contains(&unknown.kind));
    }
}

#[test]
fn the_chain_of_another_device_is_kept_but_not_continued() {
    let disk = written();
    let (mut writer, recovered) = open(&disk, "DL-Home ");
    assert!(recovered.last_run.is_some(), "names are compared trimmed and in lower case");
    append(&mut writer, "four").expect("the append succeeds");
    let (mut writer, recovered) = open(&disk, "dl-office");
    assert_eq!(recovered.last_run, None, "another device's runs are not taken over");
    append(&mut writer, "five").expect("the append succeeds");
    let contents = Contents::of(&disk);
    assert_eq!(contents.texts(), ["one", "two", "three", "four", "five"]);
    let reason = "the records before are of the device dl-home";
    assert_eq!(contents.beginnings()[1], (Some(reason), &[][..]));
    assert_eq!(contents.located[5].place.file.as_ref(), files::CURRENT);
    assert_eq!(contents.located[4].place.file.as_ref(), "journal.000000000001.ndjson");
    assert_eq!(contents.damage, []);
}

#[test]
fn records_that_vanished_while_the_agent_was_off_are_reported_as_missing() {
    let disk = written();
    let (mut writer, _) = open(&disk, "dl-home");
    append(&mut writer, "four").expect("the append succeeds");
    writer.note_alive(at(1, 120));
    // Restores an older backup.
    disk.put(files::CURRENT, written().content(files::CURRENT));
    let (mut writer, recovered) = open(&disk, "dl-home");
    assert_eq!(recovered.notes, ["The journal starts a new chain: records 5 to 5 were missing."]);
    append(&mut writer, "six").expect("the append succeeds");
    let contents = Contents::of(&disk);
    assert_eq!(contents.texts(), ["one", "two", "three", "six"]);
    assert_eq!(contents.located.last().expect("the journal is not empty").record.seq, 7);
    let missing = "journal.ndjson, line 1 (record 6): here should be record 5, but it is record 6";
    let damage: Vec<_> = contents.damage.iter().map(ToString::to_string).collect();
    assert_eq!(damage, [missing], "the hole stays visible");
}

#[test]
fn damage_in_a_full_file_is_reported_and_left_alone() {
    let disk = Disk::new();
    let (mut writer, _) = open(&disk, "dl-home");
    writer.file_limits.file_bytes = 700;
    for text in ["one", "two", "three", "four", "five"] {
        append(&mut writer, text).expect("the append succeeds");
    }
    let full = "journal.000000000001.ndjson";
    let text = String::from_utf8(disk.content(full)).expect("the journal is UTF-8");
    disk.put(full, text.replacen("one", "ONE", 1));
    let (mut writer, recovered) = open(&disk, "dl-home");
    assert!(recovered.notes[0].starts_with("journal.000000000001.ndjson is damaged at line 2"));
    append(&mut writer, "six").expect("the append succeeds");
    let contents = Contents::of(&disk);
    assert_eq!(contents.texts(), ["two", "three", "four", "five", "six"]);
    assert_eq!(contents.beginnings().len(), 1, "the chain continues");
    assert_eq!(contents.damage.len(), 1);
    insta::assert_snapshot!(
        contents.damage[0].to_string().split(": its hash").next().expect("a first part"),
        @"journal.000000000001.ndjson, line 2 (record 2): this record was changed after record 3 was written"
    );
}

#[test]
fn the_number_of_files_is_limited() {
    let disk = Disk::new();
    let (mut writer, _) = open(&disk, "dl-home");
    writer.file_limits = FileLimits { file_bytes: 1_000, files: 4 };
    for number in 0..40 {
        append(&mut writer, &number.to_string()).expect("the append succeeds");
    }
    let names = disk.names_now();
    assert_eq!(files::full_files(&names).len() + 1, 4, "{names:?}");
    let contents = Contents::of(&disk);
    assert_eq!(contents.texts().last(), Some(&"39"));
    assert_eq!(contents.damage, [], "the chain spans files, whichever is the first");
    let (_, recovered) = open(&disk, "dl-home");
    assert!(recovered.notes.is_empty(), "{:?}", recovered.notes);
}
