use std::fs;

use super::*;
use crate::{
    clock::BootId,
    journal::{Appended, Entry, Journal},
};

fn now() -> Stamp {
    Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall: jiff::Timestamp::UNIX_EPOCH }
}

/// A folder with this many records after the first one of the chain.
async fn written(records: usize) -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (journal, _) = Journal::open(folder.path(), "dl-home", now()).expect("the journal opens");
    for number in 0..records {
        let appended = journal.append(Entry::AgentStopped { reason: number.to_string() }, now());
        assert!(matches!(appended.await, Appended::Durable { .. }));
    }
    (folder, journal)
}

fn numbers(reader: JournalReader) -> Vec<u64> {
    reader.map(|read| read.expect("the line is undamaged").record.seq).collect()
}

#[test]
fn a_missing_journal_is_distinguished_from_an_unreadable_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for path in [folder.path().to_owned(), folder.path().join("absent")] {
        assert!(matches!(JournalReader::open(&path), Err(JournalReadError::Absent { .. })));
    }
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    assert!(matches!(JournalReader::open(&file), Err(JournalReadError::Io { .. })));
}

#[tokio::test]
async fn a_line_that_is_being_written_is_skipped() {
    let (folder, _journal) = written(2).await;
    let path = folder.path().join(files::CURRENT);
    let mut text = fs::read(&path).expect("the file exists");
    text.extend_from_slice(b"{\"seq\":4,");
    fs::write(&path, text).expect("the folder is writable");
    assert_eq!(numbers(JournalReader::open(folder.path()).expect("there is a journal")), [1, 2, 3]);
}

#[tokio::test]
async fn a_file_that_is_renamed_meanwhile_is_read_once() {
    let (folder, _journal) = written(2).await;
    let reader = JournalReader::open(folder.path()).expect("there is a journal");
    let current = folder.path().join(files::CURRENT);
    fs::rename(&current, folder.path().join(files::rolled(1))).expect("the folder is writable");
    assert_eq!(numbers(reader), [1, 2, 3]);
    assert_eq!(numbers(JournalReader::open(folder.path()).expect("there is a journal")), [1, 2, 3]);
    // Simulates the moment of opening at which both names refer to one file.
    fs::hard_link(folder.path().join(files::rolled(1)), &current).expect("the folder is writable");
    assert_eq!(numbers(JournalReader::open(folder.path()).expect("there is a journal")), [1, 2, 3]);
}

#[tokio::test]
async fn a_full_file_that_is_deleted_meanwhile_is_not_damage() {
    let (folder, _journal) = written(4).await;
    let current = folder.path().join(files::CURRENT);
    let text = fs::read_to_string(&current).expect("the file exists");
    let (old, new) =
        text.split_at(text.match_indices('\n').nth(1).expect("at least two lines").0 + 1);
    let full = folder.path().join(files::rolled(1));
    fs::write(&full, old).expect("the folder is writable");
    fs::write(&current, new).expect("the folder is writable");
    let reader = JournalReader::open(folder.path()).expect("there is a journal");
    fs::remove_file(full).expect("the folder is writable");
    assert_eq!(numbers(reader), [3, 4, 5]);
}

#[tokio::test]
async fn files_without_new_records_are_not_read() {
    let (folder, _journal) = written(4).await;
    let current = folder.path().join(files::CURRENT);
    let text = fs::read_to_string(&current).expect("the file exists");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    // The names do not matter: the first record of each file determines the order.
    for (name, part) in [(77, &lines[..2]), (5, &lines[2..3])] {
        fs::write(folder.path().join(files::rolled(name)), part.concat())
            .expect("the folder is writable");
    }
    fs::write(&current, lines[3..].concat()).expect("the folder is writable");
    let reader = JournalReader::open(folder.path()).expect("there is a journal").after(3);
    assert_eq!(reader.files(), 1, "the current file begins with record 4");
    assert_eq!(numbers(reader), [4, 5]);
    let reader = JournalReader::open(folder.path()).expect("there is a journal").after(2);
    assert_eq!((reader.files(), numbers(reader)), (2, vec![3, 4, 5]));
}

#[tokio::test]
async fn damage_is_reported_and_later_records_are_still_read() {
    let (folder, _journal) = written(4).await;
    let path = folder.path().join(files::CURRENT);
    let text = fs::read_to_string(&path).expect("the file exists");
    let lines: Vec<&str> = text.lines().collect();
    let read = |lines: &[&str]| {
        fs::write(&path, lines.join("\n") + "\n").expect("the folder is writable");
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
