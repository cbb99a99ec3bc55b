//! What is to be handed over next, read from the record.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ispmon_wire::limits;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::message;
use crate::{
    journal::{Digest, Entry, HANDED_OVER_FILE, ReadError, Reader, Walls},
    outage::Incident,
};

/// The most bytes of a batch's incidents, so that the whole message stays below its limit.
const INCIDENTS_BYTES: usize = limits::BODY_BYTES - 1_024;

/// The newest record that the cloud has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Its number.
    pub(super) seq: u64,
    /// The hash of its line: a new chain counts anew, and is noticed by it.
    pub(super) digest: Digest,
}

/// Incidents and gaps to hand over.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Batch {
    /// At most 100, oldest first.
    pub(super) incidents: Vec<ispmon_wire::Incident>,
    /// The record up to which everything is acknowledged with this batch.
    pub(super) position: Option<Position>,
    /// How many there are behind it.
    pub(super) behind: u64,
    /// The clocks of all boots, as the end of the record knows them.
    pub(super) walls: Walls,
}

/// Why the record cannot be handed over now.
#[derive(Debug, Error)]
pub(super) enum OutboxError {
    /// The record cannot be read.
    #[error("the record cannot be read")]
    Read(#[source] ReadError),
    /// What was acknowledged cannot be noted.
    #[error("what was handed over cannot be noted in {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

/// Reads what follows the acknowledged position. `walls` knows the clocks of earlier boots.
///
/// Damaged lines are passed over: what can be read is handed over, and `journal verify` tells the
/// rest. It reads the record to its end, because the newest record of a boot knows its clock best,
/// unless it did so for the batch before: then `waiting` is what that found behind itself.
pub(super) fn read(
    folder: &Path,
    mut walls: Walls,
    waiting: Option<u64>,
) -> Result<Batch, OutboxError> {
    let acknowledged = acknowledged(folder);
    let Some(reader) = open(folder, acknowledged.as_ref())? else { return Ok(Batch::default()) };
    let mut batch = Batch::default();
    let mut entries = Vec::new();
    for located in reader {
        let located = match located {
            Ok(located) => located,
            Err(ReadError::Damaged(_)) => continue,
            Err(error) => return Err(OutboxError::Read(error)),
        };
        walls.learn(&located.record.at);
        let entry = match located.record.entry {
            // Who was asked stays in the record; it is most of an incident's size.
            Entry::IncidentClosed { incident } => {
                Entry::IncidentClosed { incident: Incident { evidence: Vec::new(), ..incident } }
            }
            entry @ Entry::Gap { .. } => entry,
            _ => continue,
        };
        if entries.len() == limits::INCIDENTS {
            if waiting.is_some() {
                break;
            }
            batch.behind += 1;
            continue;
        }
        entries.push((entry, Position { seq: located.record.seq, digest: located.digest }));
    }
    let mut bytes = 0;
    let read = entries.len() as u64;
    for (entry, position) in entries {
        let wall_time = |stamp: &_| walls.wall(stamp);
        let told = match &entry {
            Entry::IncidentClosed { incident } => message::incident(incident, &wall_time),
            Entry::Gap { gap } => Some(message::gap(gap, &wall_time)),
            _ => None,
        };
        let size = told
            .as_ref()
            .map_or(0, |told| serde_json::to_vec(told).map_or(0, |json| json.len() + 1));
        if bytes + size > INCIDENTS_BYTES && !batch.incidents.is_empty() {
            break;
        }
        bytes += size;
        batch.incidents.extend(told);
        batch.position = Some(position);
    }
    let taken = batch.incidents.len() as u64;
    batch.behind = waiting.map_or(batch.behind + read, |waiting| waiting.max(read)) - taken;
    batch.walls = walls;
    Ok(batch)
}

/// The record behind the acknowledged position; the whole of it when that is of another chain.
fn open(folder: &Path, acknowledged: Option<&Position>) -> Result<Option<Reader>, OutboxError> {
    let whole = || match Reader::open(folder) {
        Ok(reader) => Ok(Some(reader)),
        Err(ReadError::Absent { .. }) => Ok(None),
        Err(error) => Err(OutboxError::Read(error)),
    };
    let Some(Position { seq, digest }) = acknowledged else { return whole() };
    let Some(reader) = whole()? else { return Ok(None) };
    let mut reader = reader.after(seq.saturating_sub(1));
    match reader.next() {
        Some(Ok(located)) if located.record.seq == *seq && located.digest == *digest => {
            Ok(Some(reader))
        }
        // An id that is handed over twice counts once, so starting over does no harm.
        _ => whole(),
    }
}

/// What was acknowledged last. A file that cannot be read is the same as none: everything is handed
/// over again, which does no harm.
fn acknowledged(folder: &Path) -> Option<Position> {
    let text = fs::read(folder.join(HANDED_OVER_FILE)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Notes what was acknowledged: a new file takes the place of the old one as a whole.
pub(super) fn acknowledge(folder: &Path, position: &Position) -> Result<(), OutboxError> {
    let path = folder.join(HANDED_OVER_FILE);
    write(folder, &path, position).map_err(|error| OutboxError::Write(path, error))
}

fn write(folder: &Path, path: &Path, position: &Position) -> io::Result<()> {
    use io::Write;
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    let mut json = serde_json::to_vec(position)?;
    json.push(b'\n');
    file.write_all(&json)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    Ok(rustix::fs::fsync(folder)?)
}
