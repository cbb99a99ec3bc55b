//! Which lines are believed: those that the chain of hashes confirms, or at least does not contradict.
//!
//! Each record names the hash of the line before it, so a line is *confirmed* by the one after it, and
//! a line that was changed is *contradicted* by it. The newest record is confirmed by the sign of life
//! or, once a new chain was begun, by that chain's first record. From this follows what a line is worth:
//!
//! | the line | is |
//! |---|---|
//! | cannot be read | damage; what follows is read on |
//! | is followed by the next | believed |
//! | has the next number's predecessor's place, but the next line names another hash, and is confirmed | damage, not believed |
//! | the same, and the next line is contradicted itself | neither is believed |
//! | the same, and the next line would be confirmed if it named the right hash | both are believed; the changed hash is damage |
//! | stands between two lines that follow each other | damage, not believed |
//! | follows the one before, and a line with a higher number comes next | believed; the missing records are damage |
//! | has a number that cannot be here | believed only if another record names its hash; damage |
//! | stands behind the record that the next chain was begun after | damage, not believed |
//! | is the last, follows none and is confirmed by nothing | damage, not believed |

use std::collections::VecDeque;

use super::{
    flaw::{Damage, Flaw, LinePlace, Located},
    parse::{parse, without_return},
    record::{Digest, Entry, Predecessor},
};

/// How far a number may be from the one before it without being confirmed.
const PLAUSIBLE_STEP: u64 = 100_000;
/// How many lines at a wrong place, and how many missing records, are remembered to be matched.
const MOST_UNMATCHED: usize = 64;

/// Where a record is in the journal.
pub(super) type RecordPosition = (u64, Digest);

/// What is known about a line.
#[derive(Debug)]
pub(super) enum LineVerdict {
    /// It is a record that is believed.
    Believed(Box<Located>),
    /// It is damaged, or shows that something is.
    Damaged(Damage),
}

/// A record whose hash was noted outside of the chain: its number, and how the hash begins.
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

/// A line that nothing is decided about yet.
#[derive(Debug)]
struct UndecidedLine {
    located: Located,
    flaw: Option<Flaw>,
    link: ChainLink,
    /// Its number cannot stand here.
    is_doubtful: bool,
    /// What is missing before it is explained by damage that was named.
    is_explained: bool,
}

/// How a line is connected with the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChainLink {
    /// Nothing is known of what was before it.
    First,
    /// It names the record before it.
    Follows,
    /// It names another one.
    Loose,
}

/// A line that contradicts the held one.
#[derive(Debug)]
struct Rival {
    located: Located,
    /// The hash that the line would have if it named the held one.
    restored: Option<Digest>,
}

/// Takes the lines of a folder in order and decides about each as soon as it can, in bounded memory.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// The record of this chain that was believed last.
    last: Option<RecordPosition>,
    held: Option<UndecidedLine>,
    rival: Option<Rival>,
    /// Records that others name and that were not there.
    missing: VecDeque<RecordPosition>,
    /// Records at a wrong place.
    strays: VecDeque<Located>,
    /// Whether a line was damaged since the one that is held.
    is_broken: bool,
    /// The record that the next chain was begun after.
    limit: Option<Predecessor>,
    /// The same for the file that begins.
    next_limit: Option<Predecessor>,
    witness: Option<NotedHash>,
    /// The highest number that is known to be in use.
    newest: u64,
    verdicts: VecDeque<LineVerdict>,
}

impl Chain {
    pub(super) fn new(witness: Option<NotedHash>) -> Self {
        Self { witness, ..Self::default() }
    }

    /// The next verdict that is certain.
    pub(super) fn next(&mut self) -> Option<LineVerdict> {
        self.verdicts.pop_front()
    }

    /// The highest number in use, as far as it was read.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// A file comes next, behind which the next chain was begun after this record.
    pub(super) fn begin_file(&mut self, limit: Option<Predecessor>) {
        if self.held.is_none() && self.last.is_none() {
            self.limit.clone_from(&limit);
        }
        self.next_limit = limit;
    }

    /// Takes the next line.
    ///
    /// # Errors
    /// The line cannot be read as a record; it has been noted as damage.
    pub(super) fn line(
        &mut self,
        line: &[u8],
        place: LinePlace,
        first_of_file: bool,
    ) -> Result<(), Flaw> {
        let (line, has_return) = without_return(line);
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

    /// A line cannot be read.
    pub(super) fn unreadable(&mut self, flaw: Flaw, place: &LinePlace) {
        self.is_broken = true;
        self.damage(place, None, flaw);
    }

    /// A number is in use, whatever becomes of the record.
    pub(super) fn note_number(&mut self, seq: u64) {
        if self.newest == 0 || seq <= self.newest.saturating_add(PLAUSIBLE_STEP) {
            self.newest = self.newest.max(seq);
        }
    }

    /// Nothing is known about what comes next: a file is gone, or could not be read to its end.
    pub(super) fn forget(&mut self) {
        self.is_broken = true;
    }

    /// Decides about what is left; to be called behind the last line.
    pub(super) fn finish(&mut self) {
        match (self.held.take(), self.rival.take()) {
            (Some(held), Some(rival)) => self.decide(held, rival),
            (Some(held), None) => self.settle(held, false, true),
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
        match (self.held.take(), self.rival.take()) {
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
            self.settle(held, true, false);
            self.hold(new, flaw);
        } else if held.link != ChainLink::Follows && follows(&held.located, &position(&new)) {
            // The two have changed places, which both survive.
            let misplaced = held
                .flaw
                .take()
                .or(flaw)
                .unwrap_or(Flaw::Sequence { expected: seq, found: held.located.record.seq });
            self.damage(&held.located.place, Some(held.located.record.seq), misplaced);
            self.hold(new, None);
            if let Some(new) = self.held.take() {
                self.settle(UndecidedLine { flaw: None, ..new }, true, false);
            }
            self.held =
                Some(UndecidedLine { link: ChainLink::Follows, is_doubtful: false, ..held });
        } else if held.link == ChainLink::Follows
            && self.last.as_ref().is_some_and(|last| follows(&new, last))
        {
            // Both claim the same place, and the next line tells which one has it.
            self.held = Some(held);
            self.rival = Some(Rival { located: new, restored: None });
        } else if self.last.as_ref().is_some_and(|last| follows(&new, last)) {
            if self.fills_gap(&held.located) {
                self.damage_of(&held);
                self.verdicts.push_back(LineVerdict::Believed(Box::new(held.located)));
            } else {
                self.reject(&held.located, Flaw::Added);
            }
            self.is_broken = false;
            self.hold(new, flaw);
        } else if seq == held.located.record.seq.saturating_add(1) {
            let restored = restored(line, &new.record.prev, &held.located.digest);
            self.held = Some(held);
            self.rival = Some(Rival { located: new, restored });
        } else {
            if seq <= held.located.record.seq && held.link != ChainLink::Follows {
                held.is_doubtful = true;
            }
            self.settle(held, false, false);
            let named = self.strays.iter().position(|stray| follows(&new, &position(stray)));
            if let Some(stray) = named.and_then(|index| self.strays.remove(index)) {
                self.believe_with_predecessor(stray, ChainLink::Loose);
            }
            self.hold(new, flaw);
        }
    }

    /// Decides between two lines that contradict each other by what the third one says.
    fn judge(&mut self, held: UndecidedLine, rival: Rival, new: Located, flaw: Option<Flaw>) {
        let seq = new.record.seq;
        if new.digest == rival.located.digest {
            self.damage(&new.place, Some(seq), Flaw::Repeated);
            (self.held, self.rival) = (Some(held), Some(rival));
        } else if follows(&new, &position(&rival.located)) {
            self.prefer_rival(&held, rival.located);
            self.hold(new, flaw);
        } else if follows(&new, &position(&held.located)) {
            self.settle(held, true, false);
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

    /// Decides between two lines that contradict each other when no other line can.
    fn decide(&mut self, held: UndecidedLine, rival: Rival) {
        let seq = rival.located.record.seq;
        if self.is_named(&rival.located) {
            self.prefer_rival(&held, rival.located);
        } else if let Some(restored) = rival.restored.filter(|hash| self.names(seq, hash)) {
            self.restore(held, rival.located, restored);
        } else {
            let found = held.located.digest.clone();
            if self.is_named(&held.located) {
                self.settle(held, true, false);
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
            self.settle(rival, true, false);
        }
    }

    /// Believes two lines of which the second names another hash than it did.
    fn restore(&mut self, held: UndecidedLine, rival: Located, hash: Digest) {
        self.settle(held, true, false);
        self.damage(&rival.place, Some(rival.record.seq), Flaw::HashChanged);
        self.believe(Located { digest: hash, ..rival });
    }

    /// Keeps a line until the next one is known.
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
                    // It stands at its place, so its number is wrong.
                    || located.record.prev == *digest
                    || flaw.is_some();
                let is_hole = found != expected && (is_doubtful || !is_explained);
                let hole = is_hole.then_some(Flaw::Sequence { expected, found });
                UndecidedLine {
                    located,
                    flaw: flaw.or(hole),
                    link: ChainLink::Loose,
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

    /// Decides about a line by all that is known of it.
    fn settle(&mut self, held: UndecidedLine, confirmed: bool, is_last: bool) {
        let UndecidedLine { located, flaw, link, is_doubtful, is_explained } = held;
        let seq = located.record.seq;
        if let Some(limit) = &self.limit {
            if seq > limit.seq {
                let last = limit.seq;
                return self.reject(&located, Flaw::AddedLater { last });
            }
            if seq == limit.seq && located.digest != limit.hash {
                let expected = limit.hash.to_string();
                return self.reject(&located, Flaw::Unwitnessed { expected });
            }
        }
        let confirmed = confirmed || self.is_named(&located);
        if let Some(witness) = self.witness.as_ref().filter(|it| it.seq == seq && !confirmed) {
            let expected = witness.hash.clone();
            return self.reject(&located, Flaw::Unwitnessed { expected });
        }
        if let Some(flaw) = flaw {
            self.damage(&located.place, Some(seq), flaw);
        }
        if confirmed {
            self.believe_with_predecessor(located, link);
        } else if is_doubtful && self.fills_gap(&located) {
            // What follows at its wrong place does not follow it.
            self.verdicts.push_back(LineVerdict::Believed(Box::new(located)));
        } else if is_doubtful {
            self.is_broken = true;
            if self.strays.len() == MOST_UNMATCHED {
                self.strays.pop_front();
            }
            self.strays.push_back(located);
        } else if is_last && link == ChainLink::Loose && !is_explained {
            self.reject(&located, Flaw::Unconfirmed);
        } else {
            self.believe_with_predecessor(located, link);
        }
    }

    /// Whether this is a record that another one has named in vain.
    fn fills_gap(&mut self, located: &Located) -> bool {
        let wanted = position(located);
        let index = self.missing.iter().position(|missing| *missing == wanted);
        index.and_then(|index| self.missing.remove(index)).is_some()
    }

    fn believe_with_predecessor(&mut self, located: Located, link: ChainLink) {
        if link != ChainLink::Follows && located.record.prev != Digest::none() {
            let before = (located.record.seq.saturating_sub(1), located.record.prev.clone());
            let index = self.strays.iter().position(|stray| position(stray) == before);
            if let Some(stray) = index.and_then(|index| self.strays.remove(index)) {
                self.believe(stray);
            } else {
                if self.missing.len() == MOST_UNMATCHED {
                    self.missing.pop_front();
                }
                self.missing.push_back(before);
            }
        }
        self.believe(located);
    }

    fn believe(&mut self, located: Located) {
        self.last = Some(position(&located));
        self.verdicts.push_back(LineVerdict::Believed(Box::new(located)));
    }

    fn reject(&mut self, located: &Located, flaw: Flaw) {
        self.is_broken = true;
        self.damage(&located.place, Some(located.record.seq), flaw);
    }

    fn damage(&mut self, place: &LinePlace, seq: Option<u64>, flaw: Flaw) {
        self.verdicts.push_back(LineVerdict::Damaged(Damage { place: place.clone(), seq, flaw }));
    }

    fn damage_of(&mut self, held: &UndecidedLine) {
        if let Some(flaw) = held.flaw.clone() {
            self.damage(&held.located.place, Some(held.located.record.seq), flaw);
        }
    }

    fn is_named(&self, located: &Located) -> bool {
        self.names(located.record.seq, &located.digest)
    }

    /// Whether a record of this number and hash was noted outside of its chain.
    fn names(&self, seq: u64, digest: &Digest) -> bool {
        self.limit.as_ref().is_some_and(|limit| limit.seq == seq && limit.hash == *digest)
            || self.witness.as_ref().is_some_and(|witness| witness.confirms(seq, digest))
    }
}

fn position(located: &Located) -> RecordPosition {
    (located.record.seq, located.digest.clone())
}

fn follows(located: &Located, (seq, digest): &RecordPosition) -> bool {
    located.record.seq == seq.saturating_add(1) && located.record.prev == *digest
}

/// What is wrong with a line if the next one is right.
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

/// The hash of a line if it named this one instead of the hash that it names.
fn restored(line: &[u8], named: &Digest, right: &Digest) -> Option<Digest> {
    let text = str::from_utf8(line).ok()?;
    let field = |digest: &Digest| format!("\"prev\":\"{digest}\"");
    text.contains(&field(named))
        .then(|| Digest::of(text.replacen(&field(named), &field(right), 1).as_bytes()))
}

#[cfg(test)]
mod tests;
