//! The writer on a disk that tears writes, loses unsynced data, fills up and fails.

mod damage;
mod disk;
mod model;
mod trouble;

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::journal::{Damage, JournalReadError, JournalReader, Located};
use disk::Disk;

/// A moment of a boot, `seconds` after it.
fn at(boot: u32, seconds: u64) -> Stamp {
    let wall = Timestamp::from_second(1_800_000_000).expect("a time");
    let boot = format!("00000000-0000-0000-0000-{boot:012}").parse().expect("a boot id");
    Stamp { boot, boot_ms: 0, wall }.later(Duration::from_secs(seconds))
}

/// An entry that is identified by its text.
fn entry(text: impl Into<String>) -> Entry {
    Entry::AgentStopped { reason: text.into() }
}

/// A writer that has read the disk.
fn open(disk: &Disk, device: &str) -> (JournalWriter<Disk>, Recovered) {
    let mut writer = JournalWriter::new(disk.clone(), device);
    let (recovered, _) = writer.open(at(1, 0)).expect("no other agent holds the lock");
    (writer, recovered)
}

fn append(writer: &mut JournalWriter<Disk>, text: &str) -> Result<RecordPosition, WriteError> {
    let written = writer.append([(&entry(text), at(1, 60))])?;
    Ok(written.into_iter().next().flatten().expect("the record is short enough"))
}

/// The records and damage that a reader finds on a disk.
#[derive(Debug, Default)]
struct Contents {
    located: Vec<Located>,
    damage: Vec<Damage>,
}

impl Contents {
    fn of(disk: &Disk) -> Self {
        let folder = disk.copy();
        let mut contents = Self::default();
        let reader = match JournalReader::open(folder.path()) {
            Ok(reader) => reader,
            Err(JournalReadError::Absent { .. }) => return contents,
            Err(error) => panic!("{error}"),
        };
        for read in reader {
            match read {
                Ok(located) => contents.located.push(located),
                Err(JournalReadError::Damaged(damage)) => contents.damage.push(damage),
                Err(error) => panic!("{error}"),
            }
        }
        contents
    }

    /// The texts of the records made by [`entry`].
    fn texts(&self) -> Vec<&str> {
        self.located
            .iter()
            .filter_map(|located| match &located.record.entry {
                Entry::AgentStopped { reason } => Some(reason.as_str()),
                _ => None,
            })
            .collect()
    }

    /// The reasons of the chains, and the files that were set aside for them.
    fn beginnings(&self) -> Vec<(Option<&str>, &[String])> {
        self.located
            .iter()
            .filter_map(|located| match &located.record.entry {
                Entry::ChainStarted { reason, set_aside, .. } => {
                    Some((reason.as_deref(), set_aside.as_slice()))
                }
                _ => None,
            })
            .collect()
    }
}
