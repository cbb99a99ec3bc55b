//! Can the record be kept, and is its newest part whole?

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::Check;
use crate::{
    journal::Digest,
    status::{JournalStatus, Presence, Status},
};

const NAME: &str = "record";
const SPACE: &str = "disk space";
/// The file that the newest records are in.
const FILE_NAME: &str = "journal.ndjson";
/// How much of its end is looked at: some hundred records. `journal verify` looks at all.
const TAIL_BYTES: u64 = 256 * 1024;
/// What the record grows to: 16 files of 4 MiB.
const FULL_RECORD_BYTES: u64 = 64 << 20;
/// Below this the next outage may not fit any more.
const LEAST_BYTES: u64 = 4 << 20;

/// What is known about the folder and the file.
#[derive(Debug)]
pub(super) struct Facts {
    folder: Option<PathBuf>,
    tail: Tail,
    free_bytes: Option<u64>,
    /// What the running agent says of it.
    running: Option<JournalStatus>,
}

/// What the end of the file looks like.
#[derive(Debug, PartialEq, Eq)]
enum Tail {
    /// There is no file.
    Absent,
    /// It cannot be read.
    Unreadable(String),
    /// So many records hang together, the newest with this number.
    Whole { records: usize, newest: u64 },
    /// The record with this number does not follow from the one before.
    Broken { seq: u64 },
    /// A line is no record.
    Garbled,
}

impl Facts {
    /// Looks at the folder that the agent says it uses, or else at the first of `state_dirs` that
    /// there is.
    pub(super) fn gather(status: Option<(&Status, Presence)>, state_dirs: &[PathBuf]) -> Self {
        let exists = |folder: &&PathBuf| folder.is_dir();
        let folder = match status {
            Some((status, _)) => Some(status.state_dir.clone()),
            None => state_dirs.iter().find(exists).or_else(|| state_dirs.first()).cloned(),
        };
        let running = status.filter(|(_, presence)| presence.is_running());
        Self {
            tail: folder.as_deref().map_or(Tail::Absent, |folder| look(&folder.join(FILE_NAME))),
            free_bytes: folder.as_deref().and_then(free_bytes),
            running: running.map(|(status, _)| status.journal.clone()),
            folder,
        }
    }
}

/// What an ordinary user could still write where the folder is, or will be.
fn free_bytes(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|ancestor| ancestor.exists())?;
    let system = rustix::fs::statvfs(existing).ok()?;
    Some(system.f_bavail.saturating_mul(system.f_frsize))
}

fn look(path: &Path) -> Tail {
    match read_tail(path) {
        Ok((bytes, is_all)) => examine(&bytes, is_all),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Tail::Absent,
        Err(error) => Tail::Unreadable(error.to_string()),
    }
}

/// The last part of the file, and whether that is the whole of it.
fn read_tail(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let mut file = File::open(path)?;
    let length = fs::metadata(path)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok((bytes, length <= TAIL_BYTES))
}

/// The parts of a record that the chain is made of.
#[derive(Deserialize)]
struct Link {
    seq: u64,
    prev: Digest,
}

fn examine(bytes: &[u8], is_all: bool) -> Tail {
    // The last line may be torn, or just be written; the agent cuts it off at its next start.
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let mut lines = bytes[..end].split_inclusive(|byte| *byte == b'\n');
    if !is_all {
        // It begins somewhere before the window.
        lines.next();
    }
    let mut before: Option<(u64, Digest)> = None;
    let mut records = 0;
    for line in lines {
        let line = &line[..line.len() - 1];
        let Ok(Link { seq, prev }) = serde_json::from_slice(line) else { return Tail::Garbled };
        if let Some((number, hash)) = before
            && (seq != number + 1 || prev != hash)
        {
            return Tail::Broken { seq };
        }
        records += 1;
        before = Some((seq, Digest::of(line)));
    }
    Tail::Whole { records, newest: before.map_or(0, |(seq, _)| seq) }
}

pub(super) fn judge(facts: &Facts) -> Vec<Check> {
    let Some(folder) = &facts.folder else {
        return vec![
            Check::fail(NAME, "there is no folder for it: this user has no home")
                .action("Name one with the setting state_dir."),
        ];
    };
    let place = folder.display();
    vec![record(facts, folder), space(facts.free_bytes, &place.to_string())]
}

fn record(facts: &Facts, folder: &Path) -> Check {
    let place = folder.display();
    if let Some(JournalStatus { problem: Some(problem), waiting, .. }) = &facts.running {
        let detail = format!("{waiting} records wait in memory. {problem}");
        return Check::fail(NAME, detail)
            .action(format!("See to it that the agent's user can write to {place}."));
    }
    match &facts.tail {
        Tail::Absent if facts.running.is_some() => {
            Check::fail(NAME, format!("the agent runs, but there is no {FILE_NAME} in {place}"))
                .action("Look into the agent's log for the reason.")
        }
        Tail::Absent => Check::skip(NAME, format!("there is none in {place} yet")),
        Tail::Unreadable(error) => {
            Check::fail(NAME, format!("{place}/{FILE_NAME} cannot be read: {error}"))
                .action(format!("Make it readable: chmod a+rx {place}, chmod a+r {place}/*."))
        }
        Tail::Whole { records, newest } => Check::pass(
            NAME,
            format!("the newest {records} records in {place} hang together, up to number {newest}"),
        ),
        Tail::Broken { seq } => Check::fail(
            NAME,
            format!("record {seq} in {place} does not follow from the one before"),
        )
        .action("See what was changed: ispmon-agent journal verify."),
        Tail::Garbled => {
            Check::fail(NAME, format!("{place}/{FILE_NAME} holds a line that is none"))
                .action("See where: ispmon-agent journal verify.")
        }
    }
}

fn space(free: Option<u64>, place: &str) -> Check {
    let Some(free) = free else {
        return Check::skip(SPACE, format!("how much is free in {place} cannot be told"));
    };
    let mebibytes = free >> 20;
    let detail = format!("{mebibytes} MiB are free in {place}");
    if free >= FULL_RECORD_BYTES {
        Check::pass(SPACE, detail)
    } else if free >= LEAST_BYTES {
        Check::warn(SPACE, format!("only {detail}; the record may grow to 64 MiB"))
            .action("Make room.")
    } else {
        Check::fail(SPACE, format!("only {detail}"))
            .action("Make room, or the next outage is lost.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::rows;

    /// The lines of a record with so many entries.
    fn record(count: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut prev = Digest::none();
        for seq in 1..=count {
            let line = format!(r#"{{"seq":{seq},"prev":"{prev}","kind":"hour"}}"#);
            prev = Digest::of(line.as_bytes());
            bytes.extend(line.into_bytes());
            bytes.push(b'\n');
        }
        bytes
    }

    fn facts(tail: Tail) -> Facts {
        Facts {
            folder: Some("/var/lib/ispmon".into()),
            tail,
            free_bytes: Some(12_345 << 20),
            running: None,
        }
    }

    #[test]
    fn a_chain_is_whole_wherever_the_look_begins_and_a_torn_end_is_no_damage() {
        let bytes = record(9);
        assert_eq!(examine(&bytes, true), Tail::Whole { records: 9, newest: 9 });
        assert_eq!(examine(&bytes[10..], false), Tail::Whole { records: 8, newest: 9 });
        assert_eq!(examine(&bytes[..bytes.len() - 5], true), Tail::Whole { records: 8, newest: 8 });
        assert_eq!(examine(b"", true), Tail::Whole { records: 0, newest: 0 });
    }

    #[test]
    fn a_record_that_was_changed_or_taken_out_is_found() {
        let text = String::from_utf8(record(9)).expect("it is text");
        let changed = text.replace("\"seq\":5,", "\"seq\":5, ");
        assert_eq!(examine(changed.as_bytes(), true), Tail::Broken { seq: 6 });
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let without = [&lines[..4], &lines[5..]].concat().concat();
        assert_eq!(examine(without.as_bytes(), true), Tail::Broken { seq: 6 });
        let garbled = [&lines[..4], &["\0\0\0\n"], &lines[5..]].concat().concat();
        assert_eq!(examine(garbled.as_bytes(), true), Tail::Garbled);
    }

    #[test]
    fn a_long_record_is_looked_at_from_near_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE_NAME);
        assert_eq!(look(&path), Tail::Absent);
        let bytes = record(4_000);
        assert!(bytes.len() as u64 > TAIL_BYTES);
        fs::write(&path, &bytes).expect("it is written");
        let Tail::Whole { records, newest: 4_000 } = look(&path) else {
            panic!("{:?}", look(&path))
        };
        assert!(records < 4_000, "{records}");
    }

    #[test]
    fn each_state_of_the_record_has_its_row() {
        let row = |tail| rows(&judge(&facts(tail))[..1]);
        insta::assert_snapshot!(row(Tail::Whole { records: 312, newest: 4_711 }), @"PASS record: the newest 312 records in /var/lib/ispmon hang together, up to number 4711");
        insta::assert_snapshot!(row(Tail::Absent), @"SKIP record: there is none in /var/lib/ispmon yet");
        insta::assert_snapshot!(row(Tail::Unreadable("Permission denied".to_owned())), @"FAIL record: /var/lib/ispmon/journal.ndjson cannot be read: Permission denied → Make it readable: chmod a+rx /var/lib/ispmon, chmod a+r /var/lib/ispmon/*.");
        insta::assert_snapshot!(row(Tail::Broken { seq: 17 }), @"FAIL record: record 17 in /var/lib/ispmon does not follow from the one before → See what was changed: ispmon-agent journal verify.");
        insta::assert_snapshot!(row(Tail::Garbled), @"FAIL record: /var/lib/ispmon/journal.ndjson holds a line that is none → See where: ispmon-agent journal verify.");
        let mut full = facts(Tail::Whole { records: 312, newest: 4_711 });
        full.running = Some(JournalStatus {
            waiting: 3,
            problem: Some("The disk is full.".to_owned()),
            ..JournalStatus::default()
        });
        insta::assert_snapshot!(rows(&judge(&full)[..1]), @"FAIL record: 3 records wait in memory. The disk is full. → See to it that the agent's user can write to /var/lib/ispmon.");
        full.running = Some(JournalStatus::default());
        full.tail = Tail::Absent;
        insta::assert_snapshot!(rows(&judge(&full)[..1]), @"FAIL record: the agent runs, but there is no journal.ndjson in /var/lib/ispmon → Look into the agent's log for the reason.");
        full.folder = None;
        insta::assert_snapshot!(rows(&judge(&full)), @"FAIL record: there is no folder for it: this user has no home → Name one with the setting state_dir.");
    }

    #[test]
    fn room_is_measured_against_what_a_record_needs() {
        let row = |free| rows(&[space(free, "/var/lib/ispmon")]);
        insta::assert_snapshot!(row(Some(64 << 20)), @"PASS disk space: 64 MiB are free in /var/lib/ispmon");
        insta::assert_snapshot!(row(Some((64 << 20) - 1)), @"WARN disk space: only 63 MiB are free in /var/lib/ispmon; the record may grow to 64 MiB → Make room.");
        insta::assert_snapshot!(row(Some(1 << 20)), @"FAIL disk space: only 1 MiB are free in /var/lib/ispmon → Make room, or the next outage is lost.");
        insta::assert_snapshot!(row(None), @"SKIP disk space: how much is free in /var/lib/ispmon cannot be told");
        assert!(free_bytes(Path::new("/nonexistent/folder")).is_some(), "of the folder above");
    }
}
