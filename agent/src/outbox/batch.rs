//! Reads the next batch to hand over from the journal.

use std::{io, iter::Peekable, path::Path};

use ispmon_wire::limits;

use super::{
    error::OutboxError,
    message,
    progress::{HandOverPosition, HandOverProgress, HandOverRound},
};
use crate::{
    clock::Stamp,
    journal::{Entry, JournalReadError, JournalReader, Located, WallClockOffsets},
};

/// The largest size of a batch's incidents in bytes, so that the whole message stays below its
/// limit.
const INCIDENTS_BYTES: usize = limits::BODY_BYTES - 1_024;

/// The backlog of a round.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Backlog {
    /// The clock offsets of all boots, as of the end of the journal.
    walls: WallClockOffsets,
    /// How many incidents and gaps wait after the position of the round.
    pub(super) waiting: u64,
}

/// Incidents and gaps to hand over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    /// At most 100, oldest first.
    pub(super) incidents: Vec<ispmon_wire::ReportedIncident>,
    /// The number of the first incident's record.
    pub(super) first: Option<u64>,
    /// The position of the round after this batch; `None` when nothing is left to send.
    pub(super) position: Option<HandOverPosition>,
    /// The incidents that wait after this batch.
    pub(super) remaining: Backlog,
}

/// Reads the journal to its end, because the newest record of a boot has the best offset of its
/// clock; the current time `now` of this boot may be better still. `walls` has the offsets of boots
/// that are no longer in the journal.
pub(super) fn read_backlog(
    folder: &Path,
    from: &HandOverPosition,
    mut walls: WallClockOffsets,
    now: Stamp,
) -> Result<Backlog, OutboxError> {
    let mut waiting = 0;
    for located in records(folder, from)? {
        let record = located?.record;
        walls.update(&record.at);
        waiting +=
            u64::from(matches!(record.entry, Entry::IncidentClosed { .. } | Entry::Gap { .. }));
    }
    walls.update(&now);
    Ok(Backlog { walls, waiting })
}

/// Reads the next batch of a round: as much as one message holds, and at most `most` incidents.
/// More may wait by now than `survey` found.
pub(super) fn read(
    folder: &Path,
    place: &HandOverProgress,
    round: HandOverRound,
    survey: Backlog,
    most: usize,
) -> Result<Batch, OutboxError> {
    let mut batch = Batch { incidents: Vec::new(), first: None, position: None, remaining: survey };
    let mut bytes = 0;
    for located in records(folder, place.position_of(round))? {
        let Located { record, digest, .. } = located?;
        if place.end_of(round).is_some_and(|end| record.seq > end) {
            break;
        }
        let wall_time = |stamp: &_| batch.remaining.walls.wall_time(stamp);
        let reported = match &record.entry {
            Entry::IncidentClosed { .. } | Entry::Gap { .. }
                if round == HandOverRound::Second && place.passed_over.contains(&record.seq) =>
            {
                None
            }
            Entry::IncidentClosed { incident } => message::incident(incident, &wall_time),
            Entry::Gap { gap } => Some(message::gap(gap, &wall_time)),
            _ => continue,
        };
        let size = reported
            .as_ref()
            .map_or(0, |reported| serde_json::to_vec(reported).map_or(0, |json| json.len() + 1));
        let full = batch.incidents.len() >= most || bytes + size > INCIDENTS_BYTES;
        if full && !batch.incidents.is_empty() {
            break;
        }
        bytes += size;
        if reported.is_some() {
            batch.first.get_or_insert(record.seq);
        }
        batch.incidents.extend(reported);
        batch.position = Some(HandOverPosition { seq: record.seq, digest });
        batch.remaining.waiting = batch.remaining.waiting.saturating_sub(1);
    }
    if batch.position.is_none() {
        batch.remaining.waiting = 0;
    }
    Ok(batch)
}

/// The records after a position. Damaged lines are skipped: what can be read is handed over, and
/// `journal verify` reports the rest. A file that cannot be read now may be readable later.
///
/// If the record at that position is no longer readable, the records after it are found by number,
/// because no number is used twice in a folder. The whole journal is handed over only if another
/// record is at that position, or all are older: then the journal was replaced. An id that is
/// handed over twice counts once, at least for as long as the cloud remembers it.
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

/// The readable records after this number; none if there is no journal.
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

/// Whether a file will stay unreadable: something else has its name, or the disk has lost it.
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

    /// A gap that starts in this minute.
    fn gap(number: u64, random: &mut Rng) -> Gap {
        let (started, ended) = (at(number * 60), at(number * 60 + 30));
        let id = IncidentId::new(started, random);
        let cause = GapCause::Suspended;
        Gap { id, cause, started, ended, uncertain_s: 0, reason: None }
    }

    /// A journal with this many gaps, the first of which is record 2.
    async fn journal_with(gaps: u64) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, _) =
            Journal::open(folder.path(), "dl-home", at(0)).expect("the journal opens");
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

    fn survey_of(folder: &Path, round: HandOverRound) -> Backlog {
        let place = HandOverProgress::load(folder);
        read_backlog(folder, place.position_of(round), WallClockOffsets::default(), at(0))
            .expect("the journal is readable")
    }

    /// Takes the next batch, saves the progress, and returns the minutes in which its gaps started
    /// and what waits.
    fn take_of(round: HandOverRound, folder: &Path, ahead: Option<Backlog>) -> (Vec<u64>, Backlog) {
        let mut place = HandOverProgress::load(folder);
        let survey = ahead.unwrap_or_else(|| survey_of(folder, round));
        let batch = read(folder, &place, round, survey, limits::INCIDENTS)
            .expect("the journal is readable");
        match batch.position {
            Some(position) => place.advance(round, position, at(0)),
            None if round == HandOverRound::Second => place.end_second_round(at(0)),
            None => {}
        }
        place.save(folder).expect("the progress is saved");
        let begin = at(0).wall;
        let minutes = batch.incidents.iter().map(|reported| reported.started.duration_since(begin));
        (minutes.map(|time| time.as_secs() as u64 / 60).collect(), batch.remaining)
    }

    fn take(folder: &Path, ahead: Option<Backlog>) -> (Vec<u64>, Backlog) {
        take_of(HandOverRound::First, folder, ahead)
    }

    #[tokio::test]
    async fn every_gap_is_handed_over_once_and_in_order() {
        let folder = journal_with(250).await;
        let (first, behind) = take(folder.path(), None);
        assert_eq!((first, behind.waiting), ((1..=100).collect(), 150));
        let (second, behind) = take(folder.path(), Some(behind));
        assert_eq!((second, behind.waiting), ((101..=200).collect(), 50));
        // After a restart only the position is known.
        let (third, behind) = take(folder.path(), None);
        assert_eq!((third, behind.waiting), ((201..=250).collect(), 0));
        assert_eq!(take(folder.path(), None).0, [] as [u64; 0]);
    }

    #[tokio::test]
    async fn the_second_round_ends_at_the_due_position_and_omits_skipped_records() {
        let folder = journal_with(250).await;
        take(folder.path(), None);
        take(folder.path(), None);
        let mut place = HandOverProgress::load(folder.path());
        // Gap n is record n + 1.
        place.passed_over = vec![8];
        place.save(folder.path()).expect("the progress is saved");
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
    async fn a_batch_respects_its_limit_and_has_the_number_of_its_first_record() {
        let folder = journal_with(5).await;
        let (place, survey) =
            (HandOverProgress::default(), survey_of(folder.path(), HandOverRound::First));
        let batch = read(folder.path(), &place, HandOverRound::First, survey, 1)
            .expect("the journal is readable");
        assert_eq!((batch.incidents.len(), batch.first, batch.remaining.waiting), (1, Some(2), 4));
        assert_eq!(batch.position.map(|position| position.seq), Some(2));
    }

    #[tokio::test]
    async fn damage_at_or_before_the_position_does_not_restart_the_hand_over() {
        let folder = journal_with(130).await;
        take(folder.path(), None);
        let path = folder.path().join("journal.ndjson");
        let text = fs::read_to_string(&path).expect("the file exists");
        // Gap 100 is record 101, the last accepted one.
        for rotten in [10, 101] {
            let lines = text.lines().enumerate().map(|(index, line)| {
                if index + 1 == rotten { "{rotten}".to_owned() } else { line.to_owned() }
            });
            fs::write(&path, lines.map(|line| line + "\n").collect::<String>())
                .expect("the folder is writable");
            let survey = survey_of(folder.path(), HandOverRound::First);
            assert_eq!(survey.waiting, 30, "record {rotten} is damaged");
            let place = HandOverProgress::load(folder.path());
            let batch =
                read(folder.path(), &place, HandOverRound::First, survey, limits::INCIDENTS);
            let batch = batch.expect("the journal is readable");
            assert_eq!(batch.incidents.len(), 30, "record {rotten} is damaged");
        }
    }

    #[tokio::test]
    async fn records_after_zeros_are_handed_over_and_changed_records_are_not() {
        let folder = journal_with(130).await;
        let path = folder.path().join("journal.ndjson");
        let mut bytes = fs::read(&path).expect("the file exists");
        let line = |number: usize| {
            let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            ends.map(|(place, _)| place + 1).nth(number - 2).expect("at least that many lines")
        };
        let (zeroed, changed) = (line(50) + 20, line(60));
        bytes[zeroed..zeroed + 60].fill(0);
        let text = String::from_utf8_lossy(&bytes[changed..]).replacen("suspended", "paused", 1);
        bytes.truncate(changed);
        bytes.extend_from_slice(text.as_bytes());
        fs::write(&path, bytes).expect("the folder is writable");
        // The gap in line n is the one of minute n - 1.
        let rest: Vec<u64> = (1..=130).filter(|minute| ![49, 59].contains(minute)).collect();
        let (first, behind) = take(folder.path(), None);
        assert_eq!((first.as_slice(), behind.waiting), (&rest[..100], 28));
        assert_eq!(take(folder.path(), None).0, rest[100..]);
    }

    #[tokio::test]
    async fn a_journal_that_replaces_another_is_handed_over_whole() {
        let folder = journal_with(130).await;
        take(folder.path(), None);
        let other = journal_with(5).await;
        fs::copy(other.path().join("journal.ndjson"), folder.path().join("journal.ndjson"))
            .expect("the folder is writable");
        assert_eq!(take(folder.path(), None).0, [1, 2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn network_details_are_not_handed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, _) =
            Journal::open(folder.path(), "dl-home", at(0)).expect("the journal opens");
        let network = r#"{"family":"ipv4","interface":"wlan0","router":"192.168.77.1","router_mac":"52:54:00:12:34:56"}"#;
        let network = serde_json::from_str(network).expect("a valid network");
        for entry in
            [Entry::Network { network }, Entry::Gap { gap: gap(1, &mut Rng::with_seed(1)) }]
        {
            let appended = journal.append(entry, at(90)).await;
            assert!(matches!(appended, Appended::Durable { .. }));
        }
        journal.close(Duration::from_mins(1)).await;
        let survey = survey_of(folder.path(), HandOverRound::First);
        let place = HandOverProgress::default();
        let batch = read(folder.path(), &place, HandOverRound::First, survey, limits::INCIDENTS);
        let batch = batch.expect("the journal is readable");
        assert_eq!(batch.incidents.len(), 1, "the gap");
        let sent = serde_json::to_string(&batch.incidents).expect("incidents serialise");
        for local in ["52:54:00:12:34:56", "192.168.77.1", "wlan0"] {
            assert!(!sent.contains(local), "{sent}");
        }
    }
}
