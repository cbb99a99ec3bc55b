//! The progress of the hand-over: what the cloud has accepted once and twice, kept in a small file.
//!
//! An accepted message is not yet stored: the cloud may still lose it with the machine that
//! accepted it. So everything is sent a second time, some minutes later. Two positions in the
//! journal mark which entries those are:
//!
//! ```text
//! journal  ---------|-----------------|--------------|------------>
//! accepted    twice        once               once      not yet
//!                 `twice`         `due`           `once`
//! ```
//!
//! Entries accepted since `due` was set belong to the round after the next one: so each entry is
//! sent again at the earliest five minutes after it was accepted, however many follow, and every
//! round ends.

use std::{
    io::{self, Read},
    path::Path,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::error::OutboxError;
use crate::{
    clock::Stamp,
    journal::{Digest, HANDED_OVER_FILE},
    state_dir::file::{self, Durability},
};

/// The shortest time from the first acceptance of an entry to its second round. By then the host
/// has passed on what it had in memory, or has lost it: it buffers for up to 30 s, and an idle app
/// is stopped after about as long.
pub(super) const SECOND_ROUND_AFTER: Duration = Duration::from_mins(5);
/// How many skipped entries are remembered until the second round; a forgotten one is isolated
/// again.
const MOST_PASSED_OVER: usize = 100;
/// The read limit for the file in bytes, above its actual size.
const FILE_BYTES: u64 = 8_192;

/// The two rounds in which an entry is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandOverRound {
    /// The first time.
    First,
    /// The second and last time.
    Second,
}

/// A position in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HandOverPosition {
    /// The number of the record.
    pub(super) seq: u64,
    /// The hash of its line, which detects that another journal has replaced this one.
    pub(super) digest: Digest,
}

impl HandOverPosition {
    /// The position before the first record.
    pub(super) fn beginning() -> Self {
        Self { seq: 0, digest: Digest::none() }
    }
}

/// The progress of both rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HandOverProgress {
    /// The newest record that the cloud has accepted.
    pub(super) once: HandOverPosition,
    /// The newest record that it has accepted twice.
    pub(super) twice: HandOverPosition,
    /// The next second round.
    pub(super) due: Option<Due>,
    /// The numbers of skipped records after `twice`, which the cloud refused.
    pub(super) passed_over: Vec<u64>,
}

/// A pending second round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Due {
    /// The position at which it ends.
    #[serde(flatten)]
    pub(super) position: HandOverPosition,
    /// When everything up to there had been accepted once.
    pub(super) since: Stamp,
}

/// The format of the file. Older versions read and write only its first two fields.
#[derive(Serialize, Deserialize)]
struct File {
    #[serde(flatten)]
    once: HandOverPosition,
    /// Absent in the file of an older version, which sends nothing twice.
    #[serde(default)]
    twice: Option<HandOverPosition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Due>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passed_over: Vec<u64>,
}

impl Default for HandOverProgress {
    fn default() -> Self {
        let (once, twice) = (HandOverPosition::beginning(), HandOverPosition::beginning());
        Self { once, twice, due: None, passed_over: Vec::new() }
    }
}

impl HandOverProgress {
    /// Reads the progress in this folder. An unreadable file counts as none: everything is sent
    /// again, which does no harm.
    pub(super) fn load(folder: &Path) -> Self {
        Self::read(folder).unwrap_or_default()
    }

    fn read(folder: &Path) -> Option<Self> {
        let mut text = Vec::new();
        let file = file::open(&folder.join(HANDED_OVER_FILE)).ok()?;
        file.take(FILE_BYTES).read_to_end(&mut text).ok()?;
        let File { once, twice, due, passed_over } = serde_json::from_slice(&text).ok()?;
        let twice = twice.unwrap_or_else(|| once.clone());
        Some(Self { once, twice, due, passed_over })
    }

    /// Saves the progress, replacing the old file atomically.
    pub(super) fn save(&self, folder: &Path) -> Result<(), OutboxError> {
        let path = folder.join(HANDED_OVER_FILE);
        self.write(&path).map_err(|error| OutboxError::Write(path, error))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let Self { once, twice, due, passed_over } = self.clone();
        let mut json = serde_json::to_vec(&File { once, twice: Some(twice), due, passed_over })?;
        json.push(b'\n');
        file::replace(path, &path.with_extension("new"), &json, 0o644, Durability::Synced)
    }

    /// The position of a round.
    pub(super) fn position_of(&self, round: HandOverRound) -> &HandOverPosition {
        match round {
            HandOverRound::First => &self.once,
            HandOverRound::Second => &self.twice,
        }
    }

    /// The number of the last record of a round; `None` if the round ends with the journal.
    pub(super) fn end_of(&self, round: HandOverRound) -> Option<u64> {
        match round {
            HandOverRound::First => None,
            // Without a due round there is nothing to send.
            HandOverRound::Second => Some(self.due.as_ref().map_or(0, |due| due.position.seq)),
        }
    }

    /// Moves a round to `position` at `now`.
    pub(super) fn advance(&mut self, round: HandOverRound, position: HandOverPosition, now: Stamp) {
        match round {
            HandOverRound::First => {
                if position.seq <= self.once.seq {
                    // The journal was replaced; nothing of the new one was accepted twice.
                    *self = Self::default();
                }
                self.once = position.clone();
                self.due.get_or_insert(Due { position, since: now });
            }
            HandOverRound::Second => {
                let is_end = self.due.as_ref().is_none_or(|due| position.seq >= due.position.seq);
                self.twice = position;
                if is_end {
                    self.end_second_round(now);
                }
            }
        }
    }

    /// Moves a round to `position`, and notes that the record `seq` there is skipped.
    pub(super) fn pass_over(
        &mut self,
        round: HandOverRound,
        position: HandOverPosition,
        seq: u64,
        now: Stamp,
    ) {
        self.advance(round, position, now);
        if round == HandOverRound::First {
            self.passed_over.push(seq);
            let surplus = self.passed_over.len().saturating_sub(MOST_PASSED_OVER);
            self.passed_over.drain(..surplus);
        }
    }

    /// Ends the second round.
    pub(super) fn end_second_round(&mut self, now: Stamp) {
        if let Some(due) = self.due.take()
            && due.position.seq > self.twice.seq
        {
            self.twice = due.position;
        }
        self.passed_over.retain(|seq| *seq > self.twice.seq);
        self.due = (self.once.seq > self.twice.seq)
            .then(|| Due { position: self.once.clone(), since: now });
    }

    /// The time until the second round, at most [`SECOND_ROUND_AFTER`] whatever the clocks of two boots
    /// show; `None` when none is due.
    pub(super) fn due_in(&self, now: &Stamp) -> Option<Duration> {
        let due = self.due.as_ref()?;
        Some(due.since.later(SECOND_ROUND_AFTER).time_left(now).min(SECOND_ROUND_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::clock::BootId;

    fn at(seconds: u64) -> Stamp {
        let wall = "2026-11-24T08:00:00Z".parse().expect("a time");
        Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall }.later(Duration::from_secs(seconds))
    }

    fn position(seq: u64) -> HandOverPosition {
        HandOverPosition { seq, digest: Digest::of(&seq.to_be_bytes()) }
    }

    /// An event in the life of a journal in which every record is sent.
    #[derive(Clone, Copy, Debug)]
    enum Happening {
        /// This many entries are accepted for the first time, if there are as many.
        First(u64),
        /// This many entries of a second round are accepted, if it is due.
        Second(u64),
        /// This many entries are written.
        Written(u64),
        /// This many seconds pass.
        Pass(u64),
        /// The agent restarts.
        Restart,
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            (1_u64..150).prop_map(Happening::First),
            (1_u64..150).prop_map(Happening::Second),
            (1_u64..20).prop_map(Happening::Written),
            (1_u64..400).prop_map(Happening::Pass),
            Just(Happening::Restart),
        ]
    }

    proptest! {
        #[test]
        fn every_entry_is_sent_exactly_twice_minutes_apart(
            story in vec(happening(), 0..60),
            waiting in 0_u64..2_000,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let (mut place, mut now, mut written) = (HandOverProgress::default(), 0, waiting);
            // When each entry was accepted, from entry 1 on.
            let mut taken: Vec<Vec<u64>> = vec![Vec::new(); 8_000];
            let rest = [Happening::First(100), Happening::Pass(300), Happening::Second(100)];
            let rest = rest.into_iter().cycle().take(3 * 120);
            for happening in story.into_iter().chain(rest) {
                let (round, count) = match happening {
                    Happening::Written(more) => {
                        written += more;
                        continue;
                    }
                    Happening::Pass(seconds) => {
                        now += seconds;
                        continue;
                    }
                    Happening::Restart => {
                        place.save(folder.path()).expect("the progress is saved");
                        prop_assert_eq!(&HandOverProgress::load(folder.path()), &place);
                        continue;
                    }
                    Happening::First(count) => (HandOverRound::First, count),
                    Happening::Second(count) => (HandOverRound::Second, count),
                };
                if round == HandOverRound::Second && place.due_in(&at(now)) != Some(Duration::ZERO) {
                    continue;
                }
                let from = place.position_of(round).seq;
                let end = place.end_of(round).unwrap_or(written).min(from + count);
                if end <= from {
                    continue;
                }
                for entry in from + 1..=end {
                    taken[entry as usize].push(now);
                }
                place.advance(round, position(end), at(now));
            }
            for entry in 1..=written {
                let [first, second] = taken[entry as usize][..] else {
                    return Err(TestCaseError::fail(format!("{entry}: {:?}", taken[entry as usize])));
                };
                prop_assert!(second - first >= SECOND_ROUND_AFTER.as_secs(), "{entry}: {first}, {second}");
            }
            prop_assert_eq!(place.due, None);
        }
    }

    #[test]
    fn entries_handed_over_by_an_older_version_are_not_sent_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = serde_json::to_string(&position(41)).expect("a position serialises");
        fs::write(folder.path().join(HANDED_OVER_FILE), old).expect("the folder is writable");
        let place = HandOverProgress::load(folder.path());
        assert_eq!((&place.once, &place.twice), (&position(41), &position(41)));
        assert_eq!(place.due_in(&at(0)), None);
        // The older version reads what this one writes.
        place.save(folder.path()).expect("the progress is saved");
        let text =
            fs::read_to_string(folder.path().join(HANDED_OVER_FILE)).expect("the file exists");
        assert_eq!(
            serde_json::from_str::<HandOverPosition>(&text).expect("a position"),
            position(41)
        );
    }

    #[test]
    fn the_second_round_is_on_time_whatever_the_clocks_show() {
        let mut place = HandOverProgress::default();
        place.advance(HandOverRound::First, position(3), at(1_000));
        assert_eq!(place.due_in(&at(1_000)), Some(SECOND_ROUND_AFTER));
        assert_eq!(place.due_in(&at(1_299)), Some(Duration::from_secs(1)));
        assert_eq!(place.due_in(&at(9_000)), Some(Duration::ZERO));
        let boot: BootId = "7d444840-9dc0-11d1-b245-5ffdce74fad2".parse().expect("an id");
        let other_boot = |seconds| Stamp { boot, boot_ms: 0, ..at(seconds) };
        assert_eq!(place.due_in(&other_boot(1_100)), Some(Duration::from_secs(200)));
        assert_eq!(
            place.due_in(&other_boot(0)),
            Some(SECOND_ROUND_AFTER),
            "the clock was set back"
        );
    }

    #[test]
    fn skipped_records_are_bounded_and_kept_until_the_second_round_ends() {
        let mut place = HandOverProgress::default();
        for seq in 1..=150 {
            place.pass_over(HandOverRound::First, position(seq), seq, at(0));
        }
        assert_eq!(place.passed_over, (51..=150).collect::<Vec<_>>());
        let folder = tempfile::tempdir().expect("a folder");
        place.save(folder.path()).expect("the progress is saved");
        assert_eq!(HandOverProgress::load(folder.path()), place);
        place.end_second_round(at(300));
        place.end_second_round(at(600));
        assert_eq!((place.twice.seq, place.passed_over.len()), (150, 0));
    }

    #[test]
    fn a_replaced_journal_resets_the_progress() {
        let mut place = HandOverProgress::default();
        place.advance(HandOverRound::First, position(130), at(0));
        place.advance(HandOverRound::Second, position(130), at(300));
        place.advance(HandOverRound::First, position(6), at(400));
        assert_eq!((place.once.seq, place.twice.seq), (6, 0));
        place.advance(HandOverRound::Second, position(6), at(700));
        assert_eq!((place.twice.seq, place.due), (6, None));
    }
}
