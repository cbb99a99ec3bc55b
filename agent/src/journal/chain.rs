//! Decides which lines are accepted: those that the hash chain confirms, or at least does not
//! contradict.
//!
//! Each record names the hash of the line before it, so the next line *confirms* a line, or
//! *contradicts* it if it was changed. The alive file confirms the newest record; once a new chain
//! has started, that chain's first record does. The table follows from this:
//!
//! | a line that | is |
//! |---|---|
//! | cannot be read | damage; reading continues after it |
//! | is followed by the next record | accepted |
//! | precedes a line with the next number that names another hash and is itself confirmed | damage, not accepted |
//! | the same, and that next line is itself contradicted | neither is accepted |
//! | the same, and that next line would be confirmed if it named the right hash | both are accepted; the changed hash is damage |
//! | stands between two lines that follow each other | damage, not accepted |
//! | follows the one before, and a line with a higher number comes next | accepted; the missing records are damage |
//! | has a number that cannot be here | accepted only if another record names its hash; damage |
//! | comes after the record that the next chain names as its predecessor | damage, not accepted |
//! | is the last, follows none and is confirmed by nothing | damage, not accepted |

use std::collections::VecDeque;

use super::{
    flaw::{Damage, Flaw, LineLocation, Located},
    parse::{parse, strip_carriage_return},
    record::{Digest, Entry, Predecessor},
};

/// How far an unconfirmed number may be from the one before it.
const PLAUSIBLE_STEP: u64 = 100_000;
/// How many misplaced lines, and how many missing records, are kept in memory for matching.
const MOST_UNMATCHED: usize = 64;

/// The number and hash of a record.
pub(super) type RecordPosition = (u64, Digest);

/// The decision about a line.
#[derive(Debug)]
pub(super) enum LineVerdict {
    /// It is an accepted record.
    Accepted(Box<Located>),
    /// It is damaged, or shows damage elsewhere.
    Damaged(Damage),
}

/// The number of a record and the first digits of its hash, noted outside of the chain.
#[derive(Clone, Debug)]
pub(super) struct NotedHash {
    pub(super) seq: u64,
    pub(super) hash: String,
}

impl NotedHash {
    fn confirms(&self, seq: u64, digest: &Digest) -> bool {
        self.seq == seq && digest.as_str().starts_with(&self.hash)
    }
}

/// A line whose verdict is still open.
#[derive(Debug)]
struct UndecidedLine {
    located: Located,
    flaw: Option<Flaw>,
    link: ChainLink,
    /// Its number cannot be here.
    is_doubtful: bool,
    /// Damage that was already reported explains the missing records before it.
    is_explained: bool,
}

/// How a line is linked to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChainLink {
    /// Nothing is known about the line before it.
    First,
    /// It names the accepted record before it.
    Follows,
    /// It names another record.
    Unlinked,
}

/// A line that contradicts the held one.
#[derive(Debug)]
struct ConflictingLine {
    located: Located,
    /// The hash that this line would have if it named the held one.
    restored: Option<Digest>,
}

/// Takes the lines of a folder in order and decides about each as early as possible, in bounded
/// memory.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// The last accepted record of this chain.
    last: Option<RecordPosition>,
    held: Option<UndecidedLine>,
    conflicting: Option<ConflictingLine>,
    /// Records that others name and that were not read yet.
    missing: VecDeque<RecordPosition>,
    /// Records at a wrong position, not accepted so far.
    misplaced: VecDeque<Located>,
    /// Whether a line was damaged since the held one.
    is_broken: bool,
    /// The record that the next chain names as its predecessor.
    limit: Option<Predecessor>,
    /// The same for the file that begins now.
    next_limit: Option<Predecessor>,
    noted: Option<NotedHash>,
    /// The highest number known to be in use.
    newest: u64,
    verdicts: VecDeque<LineVerdict>,
}

impl Chain {
    pub(super) fn new(witness: Option<NotedHash>) -> Self {
        Self { noted: witness, ..Self::default() }
    }

    /// The next final verdict.
    pub(super) fn next(&mut self) -> Option<LineVerdict> {
        self.verdicts.pop_front()
    }

    /// The highest number in use in the lines read so far.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Starts a file. `limit` is the record that the next chain names as its predecessor.
    pub(super) fn begin_file(&mut self, limit: Option<Predecessor>) {
        if self.held.is_none() && self.last.is_none() {
            self.limit.clone_from(&limit);
        }
        self.next_limit = limit;
    }

    /// Takes the next line.
    ///
    /// # Errors
    /// The line cannot be read as a record; it has been reported as damage.
    pub(super) fn line(
        &mut self,
        line: &[u8],
        place: LineLocation,
        first_of_file: bool,
    ) -> Result<(), Flaw> {
        let (line, has_return) = strip_carriage_return(line);
        let record = match parse(line) {
            Ok(record) => record,
            Err(flaw) => {
                self.unreadable(flaw.clone(), &place);
                return Err(flaw);
            }
        };
        if has_return {
            self.damage(&place, Some(record.seq), Flaw::CarriageReturn);
        }
        let located = Located { digest: Digest::of(line), record, place };
        self.note_number(located.record.seq);
        if let Entry::ChainStarted { after, .. } = &located.record.entry {
            if first_of_file && located.record.prev == Digest::none() {
                let after = after.clone();
                self.begin_chain(located, after.as_ref());
                return Ok(());
            }
            self.record(located, line, Some(Flaw::Misplaced));
        } else {
            self.record(located, line, None);
        }
        Ok(())
    }

    /// Reports a line that cannot be read.
    pub(super) fn unreadable(&mut self, flaw: Flaw, place: &LineLocation) {
        self.is_broken = true;
        self.damage(place, None, flaw);
    }

    /// Notes that a number is in use, whether or not the record is accepted.
    pub(super) fn note_number(&mut self, seq: u64) {
        if self.newest == 0 || seq <= self.newest.saturating_add(PLAUSIBLE_STEP) {
            self.newest = self.newest.max(seq);
        }
    }

    /// Marks what comes next as unrelated: a file is missing, or could not be read to its end.
    pub(super) fn mark_discontinuity(&mut self) {
        self.is_broken = true;
    }

    /// Decides about the remaining lines; call it after the last line.
    pub(super) fn finish(&mut self) {
        match (self.held.take(), self.conflicting.take()) {
            (Some(held), Some(rival)) => self.decide(held, rival),
            (Some(held), None) => self.conclude(held, false, true),
            (None, _) => {}
        }
    }

    fn begin_chain(&mut self, located: Located, after: Option<&Predecessor>) {
        self.finish();
        self.limit.clone_from(&self.next_limit);
        let found = located.record.seq;
        let is_explained = std::mem::take(&mut self.is_broken);
        let flaw = self.last.take().and_then(|(seq, _)| {
            let expected = seq + 1;
            let is_hole = after.is_some() && found != expected && !is_explained;
            (is_hole || found < expected).then_some(Flaw::Sequence { expected, found })
        });
        let is_doubtful =
            matches!(flaw, Some(Flaw::Sequence { expected, found }) if found < expected);
        let link = ChainLink::First;
        self.held = Some(UndecidedLine { located, flaw, link, is_doubtful, is_explained });
    }

    fn record(&mut self, new: Located, line: &[u8], flaw: Option<Flaw>) {
        match (self.held.take(), self.conflicting.take()) {
            (None, _) => self.hold(new, flaw),
            (Some(held), None) => self.compare(held, new, line, flaw),
            (Some(held), Some(rival)) => self.judge(held, rival, new, flaw),
        }
    }

    /// Compares a line with the one before it.
    fn compare(&mut self, mut held: UndecidedLine, new: Located, line: &[u8], flaw: Option<Flaw>) {
        let seq = new.record.seq;
        if new.digest == held.located.digest {
            self.damage(&new.place, Some(seq), Flaw::Repeated);
            self.held = Some(held);
        } else if follows(&new, &position(&held.located)) {
            self.conclude(held, true, false);
            self.hold(new, flaw);
        } else if held.link != ChainLink::Follows && follows(&held.located, &position(&new)) {
            // The two lines were swapped; both are kept.
            let misplaced = held
                .flaw
                .take()
                .or(flaw)
                .unwrap_or(Flaw::Sequence { expected: seq, found: held.located.record.seq });
            self.damage(&held.located.place, Some(held.located.record.seq), misplaced);
            self.hold(new, None);
            if let Some(new) = self.held.take() {
                self.conclude(UndecidedLine { flaw: None, ..new }, true, false);
            }
            self.held =
                Some(UndecidedLine { link: ChainLink::Follows, is_doubtful: false, ..held });
        } else if held.link == ChainLink::Follows
            && self.last.as_ref().is_some_and(|last| follows(&new, last))
        {
            // Both claim the same position; the next line decides which one has it.
            self.held = Some(held);
            self.conflicting = Some(ConflictingLine { located: new, restored: None });
        } else if self.last.as_ref().is_some_and(|last| follows(&new, last)) {
            if self.fills_gap(&held.located) {
                self.damage_of(&held);
                self.verdicts.push_back(LineVerdict::Accepted(Box::new(held.located)));
            } else {
                self.reject(&held.located, Flaw::Added);
            }
            self.is_broken = false;
            self.hold(new, flaw);
        } else if seq == held.located.record.seq.saturating_add(1) {
            let restored = restored(line, &new.record.prev, &held.located.digest);
            self.held = Some(held);
            self.conflicting = Some(ConflictingLine { located: new, restored });
        } else {
            if seq <= held.located.record.seq && held.link != ChainLink::Follows {
                held.is_doubtful = true;
            }
            self.conclude(held, false, false);
            let named = self.misplaced.iter().position(|stray| follows(&new, &position(stray)));
            if let Some(stray) = named.and_then(|index| self.misplaced.remove(index)) {
                self.accept_with_predecessor(stray, ChainLink::Unlinked);
            }
            self.hold(new, flaw);
        }
    }

    /// Decides between two conflicting lines by the record that the third one names.
    fn judge(
        &mut self,
        held: UndecidedLine,
        rival: ConflictingLine,
        new: Located,
        flaw: Option<Flaw>,
    ) {
        let seq = new.record.seq;
        if new.digest == rival.located.digest {
            self.damage(&new.place, Some(seq), Flaw::Repeated);
            (self.held, self.conflicting) = (Some(held), Some(rival));
        } else if follows(&new, &position(&rival.located)) {
            self.prefer_rival(&held, rival.located);
            self.hold(new, flaw);
        } else if follows(&new, &position(&held.located)) {
            self.conclude(held, true, false);
            self.reject(&rival.located, Flaw::Added);
            self.is_broken = false;
            self.hold(new, flaw);
        } else if let Some(restored) = rival.restored.clone()
            && follows(&new, &(rival.located.record.seq, restored))
        {
            self.restore(held, rival.located, new.record.prev.clone());
            self.hold(new, flaw);
        } else {
            self.decide(held, rival);
            self.hold(new, flaw);
        }
    }

    /// Decides between two conflicting lines when no third line can.
    fn decide(&mut self, held: UndecidedLine, rival: ConflictingLine) {
        let seq = rival.located.record.seq;
        if self.is_noted(&rival.located) {
            self.prefer_rival(&held, rival.located);
        } else if let Some(restored) = rival.restored.filter(|hash| self.is_noted_hash(seq, hash)) {
            self.restore(held, rival.located, restored);
        } else {
            let found = held.located.digest.clone();
            if self.is_noted(&held.located) {
                self.conclude(held, true, false);
            } else {
                self.reject(&held.located, changed(&held.located, &rival.located));
            }
            self.reject(&rival.located, Flaw::Unconnected { found });
        }
    }

    fn prefer_rival(&mut self, held: &UndecidedLine, rival: Located) {
        self.reject(&held.located, changed(&held.located, &rival));
        self.hold(rival, None);
        if let Some(rival) = self.held.take() {
            self.conclude(rival, true, false);
        }
    }

    /// Accepts two lines, the second of which names a changed hash.
    fn restore(&mut self, held: UndecidedLine, rival: Located, hash: Digest) {
        self.conclude(held, true, false);
        self.damage(&rival.place, Some(rival.record.seq), Flaw::HashChanged);
        self.accept(Located { digest: hash, ..rival });
    }

    /// Holds a line back until the next one is known.
    fn hold(&mut self, located: Located, flaw: Option<Flaw>) {
        let is_explained = std::mem::take(&mut self.is_broken);
        let found = located.record.seq;
        let held = match &self.last {
            Some(last) if follows(&located, last) => UndecidedLine {
                located,
                flaw,
                link: ChainLink::Follows,
                is_doubtful: false,
                is_explained,
            },
            Some((seq, digest)) => {
                let expected = seq.saturating_add(1);
                let is_doubtful = found <= *seq
                    || found > seq.saturating_add(PLAUSIBLE_STEP)
                    // Its `prev` matches, so its number is wrong.
                    || located.record.prev == *digest
                    || flaw.is_some();
                let is_hole = found != expected && (is_doubtful || !is_explained);
                let hole = is_hole.then_some(Flaw::Sequence { expected, found });
                UndecidedLine {
                    located,
                    flaw: flaw.or(hole),
                    link: ChainLink::Unlinked,
                    is_doubtful,
                    is_explained,
                }
            }
            None => {
                let is_doubtful = flaw.is_some();
                UndecidedLine { located, flaw, link: ChainLink::First, is_doubtful, is_explained }
            }
        };
        self.held = Some(held);
    }

    /// Decides about a line by all that is known about it.
    fn conclude(&mut self, held: UndecidedLine, confirmed: bool, is_last: bool) {
        let UndecidedLine { located, flaw, link, is_doubtful, is_explained } = held;
        let seq = located.record.seq;
        if let Some(limit) = &self.limit {
            if seq > limit.seq {
                let last = limit.seq;
                return self.reject(&located, Flaw::AddedLater { last });
            }
            if seq == limit.seq && located.digest != limit.hash {
                let expected = limit.hash.to_string();
                return self.reject(&located, Flaw::NotedHashDiffers { expected });
            }
        }
        let confirmed = confirmed || self.is_noted(&located);
        if let Some(witness) = self.noted.as_ref().filter(|it| it.seq == seq && !confirmed) {
            let expected = witness.hash.clone();
            return self.reject(&located, Flaw::NotedHashDiffers { expected });
        }
        if let Some(flaw) = flaw {
            self.damage(&located.place, Some(seq), flaw);
        }
        if confirmed {
            self.accept_with_predecessor(located, link);
        } else if is_doubtful && self.fills_gap(&located) {
            // The line after its wrong position does not follow it.
            self.verdicts.push_back(LineVerdict::Accepted(Box::new(located)));
        } else if is_doubtful {
            self.is_broken = true;
            if self.misplaced.len() == MOST_UNMATCHED {
                self.misplaced.pop_front();
            }
            self.misplaced.push_back(located);
        } else if is_last && link == ChainLink::Unlinked && !is_explained {
            self.reject(&located, Flaw::Unconfirmed);
        } else {
            self.accept_with_predecessor(located, link);
        }
    }

    /// Whether another record named this one before it was read; if so, it is no longer missing.
    fn fills_gap(&mut self, located: &Located) -> bool {
        let wanted = position(located);
        let index = self.missing.iter().position(|missing| *missing == wanted);
        index.and_then(|index| self.missing.remove(index)).is_some()
    }

    fn accept_with_predecessor(&mut self, located: Located, link: ChainLink) {
        if link != ChainLink::Follows && located.record.prev != Digest::none() {
            let before = (located.record.seq.saturating_sub(1), located.record.prev.clone());
            let index = self.misplaced.iter().position(|stray| position(stray) == before);
            if let Some(stray) = index.and_then(|index| self.misplaced.remove(index)) {
                self.accept(stray);
            } else {
                if self.missing.len() == MOST_UNMATCHED {
                    self.missing.pop_front();
                }
                self.missing.push_back(before);
            }
        }
        self.accept(located);
    }

    fn accept(&mut self, located: Located) {
        self.last = Some(position(&located));
        self.verdicts.push_back(LineVerdict::Accepted(Box::new(located)));
    }

    fn reject(&mut self, located: &Located, flaw: Flaw) {
        self.is_broken = true;
        self.damage(&located.place, Some(located.record.seq), flaw);
    }

    fn damage(&mut self, place: &LineLocation, seq: Option<u64>, flaw: Flaw) {
        self.verdicts.push_back(LineVerdict::Damaged(Damage { place: place.clone(), seq, flaw }));
    }

    fn damage_of(&mut self, held: &UndecidedLine) {
        if let Some(flaw) = held.flaw.clone() {
            self.damage(&held.located.place, Some(held.located.record.seq), flaw);
        }
    }

    fn is_noted(&self, located: &Located) -> bool {
        self.is_noted_hash(located.record.seq, &located.digest)
    }

    /// Whether a record of this number and hash was noted outside of the chain.
    fn is_noted_hash(&self, seq: u64, digest: &Digest) -> bool {
        self.limit.as_ref().is_some_and(|limit| limit.seq == seq && limit.hash == *digest)
            || self.noted.as_ref().is_some_and(|witness| witness.confirms(seq, digest))
    }
}

fn position(located: &Located) -> RecordPosition {
    (located.record.seq, located.digest.clone())
}

fn follows(located: &Located, (seq, digest): &RecordPosition) -> bool {
    located.record.seq == seq.saturating_add(1) && located.record.prev == *digest
}

/// The flaw of a line if the next one is right.
fn changed(held: &Located, next: &Located) -> Flaw {
    if held.record.seq == next.record.seq {
        return Flaw::Added;
    }
    Flaw::Changed {
        next: next.record.seq,
        expected: next.record.prev.clone(),
        found: held.digest.clone(),
    }
}

/// The hash of a line after replacing `named`, the hash in its `prev`, with `right`.
fn restored(line: &[u8], named: &Digest, right: &Digest) -> Option<Digest> {
    let text = str::from_utf8(line).ok()?;
    let field = |digest: &Digest| format!("\"prev\":\"{digest}\"");
    text.contains(&field(named))
        .then(|| Digest::of(text.replacen(&field(named), &field(right), 1).as_bytes()))
}

#[cfg(test)]
mod tests;
