//! What is to be handed over next, read from the record.

use std::{
    io,
    iter::Peekable,
    path::{Path, PathBuf},
};

use ispmon_wire::limits;
use thiserror::Error;

use super::{
    message,
    place::{HandOverPosition, HandOverProgress, HandOverRound},
};
use crate::{
    clock::Stamp,
    journal::{Entry, JournalReadError, JournalReader, Located, WallClockOffsets},
};

/// The most bytes of a batch's incidents, so that the whole message stays below its limit.
const INCIDENTS_BYTES: usize = limits::BODY_BYTES - 1_024;

/// What waits to be handed over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Survey {
    /// The clocks of all boots, as the end of the record knows them.
    walls: WallClockOffsets,
    /// How many incidents and gaps wait behind the place to which the round has come.
    pub(super) waiting: u64,
}

/// Incidents and gaps to hand over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    /// At most 100, oldest first.
    pub(super) incidents: Vec<ispmon_wire::ReportedIncident>,
    /// The number of the first one's record.
    pub(super) first: Option<u64>,
    /// The record to which the round has come with this batch; nothing when nothing is left of it.
    pub(super) position: Option<HandOverPosition>,
    /// What waits behind it.
    pub(super) behind: Survey,
}

/// Why the record cannot be handed over now.
#[derive(Debug, Error)]
pub(super) enum OutboxError {
    /// The record cannot be read.
    #[error("the record cannot be read")]
    Read(#[source] JournalReadError),
    /// What was acknowledged cannot be noted.
    #[error("what was handed over cannot be noted in {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

/// Reads the record to its end, because the newest record of a boot knows its clock best; what this
/// boot's clock shows `now` may be newer still. `walls` knows the clocks of boots that are not in the
/// record any more.
pub(super) fn survey(
    folder: &Path,
    from: &HandOverPosition,
    mut walls: WallClockOffsets,
    now: Stamp,
) -> Result<Survey, OutboxError> {
    let mut waiting = 0;
    for located in records(folder, from)? {
        let record = located?.record;
        walls.learn(&record.at);
        waiting +=
            u64::from(matches!(record.entry, Entry::IncidentClosed { .. } | Entry::Gap { .. }));
    }
    walls.learn(&now);
    Ok(Survey { walls, waiting })
}

/// Reads what a round hands over next: as much as one message holds, and `most` at most. What `survey`
/// found may have become more since.
pub(super) fn read(
    folder: &Path,
    place: &HandOverProgress,
    round: HandOverRound,
    survey: Survey,
    most: usize,
) -> Result<Batch, OutboxError> {
    let mut batch = Batch { incidents: Vec::new(), first: None, position: None, behind: survey };
    let mut bytes = 0;
    for located in records(folder, place.of(round))? {
        let Located { record, digest, .. } = located?;
        if place.end_of(round).is_some_and(|end| record.seq > end) {
            break;
        }
        let wall_time = |stamp: &_| batch.behind.walls.wall(stamp);
        let told = match &record.entry {
            Entry::IncidentClosed { .. } | Entry::Gap { .. }
                if round == HandOverRound::Second && place.passed_over.contains(&record.seq) =>
            {
                None
            }
            Entry::IncidentClosed { incident } => message::incident(incident, &wall_time),
            Entry::Gap { gap } => Some(message::gap(gap, &wall_time)),
            _ => continue,
        };
        let size = told
            .as_ref()
            .map_or(0, |told| serde_json::to_vec(told).map_or(0, |json| json.len() + 1));
        let full = batch.incidents.len() >= most || bytes + size > INCIDENTS_BYTES;
        if full && !batch.incidents.is_empty() {
            break;
        }
        bytes += size;
        if told.is_some() {
            batch.first.get_or_insert(record.seq);
        }
        batch.incidents.extend(told);
        batch.position = Some(HandOverPosition { seq: record.seq, digest });
        batch.behind.waiting = batch.behind.waiting.saturating_sub(1);
    }
    if batch.position.is_none() {
        batch.behind.waiting = 0;
    }
    Ok(batch)
}

/// The records behind a position. Damaged lines are passed over: what can be read is
/// handed over, and `journal verify` tells the rest. A file that cannot be read now may be later.
///
/// Where the record at that position cannot be read any more, what follows is known by its number,
/// because numbers never come twice in a folder. The whole record is taken only when another one
/// stands at that position, or all are older: then somebody has put another record there. An id that is
/// handed over twice counts once, at least for as long as it is remembered.
fn records(
    folder: &Path,
    from: &HandOverPosition,
) -> Result<impl Iterator<Item = Result<Located, OutboxError>>, OutboxError> {
    let HandOverPosition { seq, digest } = from;
    let mut records = undamaged(folder, seq.saturating_sub(1))?;
    match records.peek() {
        Some(Ok(first)) if first.record.seq == *seq && first.digest == *digest => {
            records.next();
            Ok(records)
        }
        Some(Ok(first)) if first.record.seq == *seq => undamaged(folder, 0),
        Some(_) => Ok(records),
        None => undamaged(folder, 0),
    }
}

/// What can be read of the records behind this number; nothing where there is no record.
fn undamaged(
    folder: &Path,
    seq: u64,
) -> Result<Peekable<impl Iterator<Item = Result<Located, OutboxError>>>, OutboxError> {
    let reader = match JournalReader::open(folder) {
        Ok(reader) => Some(reader.after(seq)),
        Err(JournalReadError::Absent { .. }) => None,
        Err(error) => return Err(OutboxError::Read(error)),
    };
    let read = reader.into_iter().flatten().filter_map(|read| match read {
        Err(JournalReadError::Damaged(_)) => None,
        Err(JournalReadError::Io { source, .. }) if is_lost(&source) => None,
        read => Some(read.map_err(OutboxError::Read)),
    });
    Ok(read.peekable())
}

/// Whether a file will not be readable later either: something else has its name, or the disk has lost it.
fn is_lost(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
        || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use fastrand::Rng;
    use tempfile::TempDir;

    use super::*;
    use crate::{
        clock::BootId,
        journal::{Appended, Journal},
        outage::{Gap, GapCause, IncidentId},
    };

    fn at(seconds: u64) -> Stamp {
        let wall = "2026-11-24T08:00:00Z".parse().expect("a time");
        Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall }.later(Duration::from_secs(seconds))
    }

    /// A gap that began in this minute.
    fn gap(number: u64, random: &mut Rng) -> Gap {
        let (started, ended) = (at(number * 60), at(number * 60 + 30));
        let id = IncidentId::new(started, random);
        let cause = GapCause::Suspended;
        Gap { id, cause, started, ended, uncertain_s: 0, reason: None }
    }

    /// A record of so many gaps, the first of which is record 2.
    async fn record(gaps: u64) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, _) = Journal::open(folder.path(), "dl-home", at(0)).expect("it opens");
        let mut random = Rng::with_seed(1);
        for number in 1..=gaps {
            let gap = gap(number, &mut random);
            let ended = gap.ended;
            let appended = journal.append(Entry::Gap { gap }, ended).await;
            assert!(matches!(appended, Appended::Durable { .. }));
        }
        journal.close(Duration::from_mins(1)).await;
        folder
    }

    fn look(folder: &Path, round: HandOverRound) -> Survey {
        let place = HandOverProgress::load(folder);
        survey(folder, place.of(round), WallClockOffsets::default(), at(0)).expect("it is read")
    }

    /// Takes the next batch, notes it, and returns when its gaps began and how many wait.
    fn take_of(round: HandOverRound, folder: &Path, ahead: Option<Survey>) -> (Vec<u64>, Survey) {
        let mut place = HandOverProgress::load(folder);
        let survey = ahead.unwrap_or_else(|| look(folder, round));
        let batch = read(folder, &place, round, survey, limits::INCIDENTS).expect("it is read");
        match batch.position {
            Some(position) => place.taken(round, position, at(0)),
            None if round == HandOverRound::Second => place.end_second_round(at(0)),
            None => {}
        }
        place.save(folder).expect("it is noted");
        let begin = at(0).wall;
        let minutes = batch.incidents.iter().map(|told| told.started.duration_since(begin));
        (minutes.map(|time| time.as_secs() as u64 / 60).collect(), batch.behind)
    }

    fn take(folder: &Path, ahead: Option<Survey>) -> (Vec<u64>, Survey) {
        take_of(HandOverRound::First, folder, ahead)
    }

    #[tokio::test]
    async fn everything_is_taken_once_and_in_order() {
        let folder = record(250).await;
        let (first, behind) = take(folder.path(), None);
        assert_eq!((first, behind.waiting), ((1..=100).collect(), 150));
        let (second, behind) = take(folder.path(), Some(behind));
        assert_eq!((second, behind.waiting), ((101..=200).collect(), 50));
        // A restart knows nothing but the position.
        let (third, behind) = take(folder.path(), None);
        assert_eq!((third, behind.waiting), ((201..=250).collect(), 0));
        assert_eq!(take(folder.path(), None).0, [] as [u64; 0]);
    }

    #[tokio::test]
    async fn the_second_round_ends_where_the_first_was_when_it_became_due_and_leaves_out_what_was_passed_over()
     {
        let folder = record(250).await;
        take(folder.path(), None);
        take(folder.path(), None);
        let mut place = HandOverProgress::load(folder.path());
        // Gap n is record n + 1.
        place.passed_over = vec![8];
        place.save(folder.path()).expect("it is noted");
        let all_but_7 = (1..=100).filter(|minute| *minute != 7).collect::<Vec<u64>>();
        assert_eq!(take_of(HandOverRound::Second, folder.path(), None).0, all_but_7);
        assert_eq!(
            take_of(HandOverRound::Second, folder.path(), None).0,
            (101..=200).collect::<Vec<u64>>()
        );
        assert_eq!(take_of(HandOverRound::Second, folder.path(), None).0, [] as [u64; 0]);
        assert_eq!(take(folder.path(), None).0.len(), 50);
        assert_eq!(take_of(HandOverRound::Second, folder.path(), None).0.len(), 50);
        assert_eq!(HandOverProgress::load(folder.path()).due, None);
    }

    #[tokio::test]
    async fn a_part_is_as_large_as_it_is_asked_for_and_names_its_first_record() {
        let folder = record(5).await;
        let (place, survey) =
            (HandOverProgress::default(), look(folder.path(), HandOverRound::First));
        let batch =
            read(folder.path(), &place, HandOverRound::First, survey, 1).expect("it is read");
        assert_eq!((batch.incidents.len(), batch.first, batch.behind.waiting), (1, Some(2), 4));
        assert_eq!(batch.position.map(|position| position.seq), Some(2));
    }

    #[tokio::test]
    async fn damage_before_the_position_or_at_it_begins_nothing_anew() {
        let folder = record(130).await;
        take(folder.path(), None);
        let path = folder.path().join("journal.ndjson");
        let text = fs::read_to_string(&path).expect("it is there");
        // Gap 100 is record 101, the last that was taken.
        for rotten in [10, 101] {
            let lines = text.lines().enumerate().map(|(index, line)| {
                if index + 1 == rotten { "{rotten}".to_owned() } else { line.to_owned() }
            });
            fs::write(&path, lines.map(|line| line + "\n").collect::<String>())
                .expect("it is ours");
            let survey = look(folder.path(), HandOverRound::First);
            assert_eq!(survey.waiting, 30, "record {rotten} is damaged");
            let place = HandOverProgress::load(folder.path());
            let batch =
                read(folder.path(), &place, HandOverRound::First, survey, limits::INCIDENTS);
            let batch = batch.expect("it is read");
            assert_eq!(batch.incidents.len(), 30, "record {rotten} is damaged");
        }
    }

    #[tokio::test]
    async fn what_stands_behind_zeros_is_handed_over_and_what_was_changed_is_not() {
        let folder = record(130).await;
        let path = folder.path().join("journal.ndjson");
        let mut bytes = fs::read(&path).expect("it is there");
        let line = |number: usize| {
            let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            ends.map(|(place, _)| place + 1).nth(number - 2).expect("so many lines")
        };
        let (zeroed, changed) = (line(50) + 20, line(60));
        bytes[zeroed..zeroed + 60].fill(0);
        let text = String::from_utf8_lossy(&bytes[changed..]).replacen("suspended", "paused", 1);
        bytes.truncate(changed);
        bytes.extend_from_slice(text.as_bytes());
        fs::write(&path, bytes).expect("it is ours");
        // The gap in line n is the one of minute n - 1.
        let rest: Vec<u64> = (1..=130).filter(|minute| ![49, 59].contains(minute)).collect();
        let (first, behind) = take(folder.path(), None);
        assert_eq!((first.as_slice(), behind.waiting), (&rest[..100], 28));
        assert_eq!(take(folder.path(), None).0, rest[100..]);
    }

    #[tokio::test]
    async fn another_record_in_its_place_is_handed_over_whole() {
        let folder = record(130).await;
        take(folder.path(), None);
        let other = record(5).await;
        fs::copy(other.path().join("journal.ndjson"), folder.path().join("journal.ndjson"))
            .expect("it is ours");
        assert_eq!(take(folder.path(), None).0, [1, 2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn what_is_known_of_networks_stays_here() {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, _) = Journal::open(folder.path(), "dl-home", at(0)).expect("it opens");
        let network = r#"{"family":"ipv4","interface":"wlan0","router":"192.168.77.1","router_mac":"52:54:00:12:34:56"}"#;
        let network = serde_json::from_str(network).expect("it is a network");
        for entry in
            [Entry::Network { network }, Entry::Gap { gap: gap(1, &mut Rng::with_seed(1)) }]
        {
            let appended = journal.append(entry, at(90)).await;
            assert!(matches!(appended, Appended::Durable { .. }));
        }
        journal.close(Duration::from_mins(1)).await;
        let survey = look(folder.path(), HandOverRound::First);
        let place = HandOverProgress::default();
        let batch = read(folder.path(), &place, HandOverRound::First, survey, limits::INCIDENTS);
        let batch = batch.expect("it is read");
        assert_eq!(batch.incidents.len(), 1, "the gap");
        let sent = serde_json::to_string(&batch.incidents).expect("it is JSON");
        for local in ["52:54:00:12:34:56", "192.168.77.1", "wlan0"] {
            assert!(!sent.contains(local), "{sent}");
        }
    }
}
