use std::fs;

use super::*;
use crate::{
    clock::BootId,
    journal::{Appended, Entry, Journal},
};

fn now() -> Stamp {
    Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall: jiff::Timestamp::UNIX_EPOCH }
}

/// A folder with so many records behind the first of the chain.
async fn written(records: usize) -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (journal, _) = Journal::open(folder.path(), "dl-home", now()).expect("it opens");
    for number in 0..records {
        let appended = journal.append(Entry::AgentStopped { reason: number.to_string() }, now());
        assert!(matches!(appended.await, Appended::Durable { .. }));
    }
    (folder, journal)
}

fn numbers(reader: JournalReader) -> Vec<u64> {
    reader.map(|read| read.expect("it is whole").record.seq).collect()
}

#[test]
fn a_folder_without_a_journal_is_told_from_one_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for path in [folder.path().to_owned(), folder.path().join("absent")] {
        assert!(matches!(JournalReader::open(&path), Err(JournalReadError::Absent { .. })));
    }
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    assert!(matches!(JournalReader::open(&file), Err(JournalReadError::Io { .. })));
}

#[tokio::test]
async fn a_line_that_is_being_written_is_left_out() {
    let (folder, _journal) = written(2).await;
    let path = folder.path().join(files::CURRENT);
    let mut text = fs::read(&path).expect("it is there");
    text.extend_from_slice(b"{\"seq\":4,");
    fs::write(&path, text).expect("it is ours");
    assert_eq!(numbers(JournalReader::open(folder.path()).expect("there is a journal")), [1, 2, 3]);
}

#[tokio::test]
async fn a_file_that_gets_its_final_name_meanwhile_is_read_once() {
    let (folder, _journal) = written(2).await;
    let reader = JournalReader::open(folder.path()).expect("there is a journal");
    let current = folder.path().join(files::CURRENT);
    fs::rename(&current, folder.path().join(files::rolled(1))).expect("it is ours");
    assert_eq!(numbers(reader), [1, 2, 3]);
    assert_eq!(numbers(JournalReader::open(folder.path()).expect("there is a journal")), [1, 2, 3]);
    // Between the two steps of opening, both names lead to one file.
    fs::hard_link(folder.path().join(files::rolled(1)), &current).expect("it is ours");
    assert_eq!(numbers(JournalReader::open(folder.path()).expect("there is a journal")), [1, 2, 3]);
}

#[tokio::test]
async fn an_old_file_that_is_deleted_meanwhile_is_no_damage() {
    let (folder, _journal) = written(4).await;
    let current = folder.path().join(files::CURRENT);
    let text = fs::read_to_string(&current).expect("it is there");
    let (old, new) = text.split_at(text.match_indices('\n').nth(1).expect("lines").0 + 1);
    let full = folder.path().join(files::rolled(1));
    fs::write(&full, old).expect("it is ours");
    fs::write(&current, new).expect("it is ours");
    let reader = JournalReader::open(folder.path()).expect("there is a journal");
    fs::remove_file(full).expect("it is ours");
    assert_eq!(numbers(reader), [3, 4, 5]);
}

#[tokio::test]
async fn files_without_anything_new_are_not_read() {
    let (folder, _journal) = written(4).await;
    let current = folder.path().join(files::CURRENT);
    let text = fs::read_to_string(&current).expect("it is there");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    // The names tell nothing: it is the first record of each file that counts.
    for (name, part) in [(77, &lines[..2]), (5, &lines[2..3])] {
        fs::write(folder.path().join(files::rolled(name)), part.concat()).expect("it is ours");
    }
    fs::write(&current, lines[3..].concat()).expect("it is ours");
    let reader = JournalReader::open(folder.path()).expect("there is a journal").after(3);
    assert_eq!(reader.files(), 1, "the current one begins with record 4");
    assert_eq!(numbers(reader), [4, 5]);
    let reader = JournalReader::open(folder.path()).expect("there is a journal").after(2);
    assert_eq!((reader.files(), numbers(reader)), (2, vec![3, 4, 5]));
}

#[tokio::test]
async fn damage_is_named_and_what_follows_is_still_read() {
    let (folder, _journal) = written(4).await;
    let path = folder.path().join(files::CURRENT);
    let text = fs::read_to_string(&path).expect("it is there");
    let lines: Vec<&str> = text.lines().collect();
    let read = |lines: &[&str]| {
        fs::write(&path, lines.join("\n") + "\n").expect("it is ours");
        let mut damage = Vec::new();
        let mut numbers = Vec::new();
        for read in JournalReader::open(folder.path()).expect("there is a journal") {
            match read {
                Ok(located) => numbers.push(located.record.seq),
                Err(JournalReadError::Damaged(found)) => damage.push(found.to_string()),
                Err(error) => panic!("{error}"),
            }
        }
        (damage, numbers)
    };
    let (damage, numbers) = read(&[lines[0], lines[1], lines[3], lines[4]]);
    assert_eq!(
        damage,
        ["journal.ndjson, line 3 (record 4): here should be record 3, but it is record 4"]
    );
    assert_eq!(numbers, [1, 2, 4, 5]);
    let (damage, numbers) = read(&[lines[0], "\0\0\0", lines[2], lines[3]]);
    assert_eq!(damage, ["journal.ndjson, line 2: this line is not a record"]);
    assert_eq!(numbers, [1, 3, 4]);
    let (damage, _) = read(&[lines[0], lines[1], lines[0]]);
    assert_eq!(
        damage,
        [
            "journal.ndjson, line 3 (record 1): a chain begins here, which happens at the start of a file only"
        ]
    );
}
