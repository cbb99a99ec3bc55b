//! Which wall-clock time a moment of a boot has, as far as the whole record knows.
//!
//! 1. The latest known offset of a boot puts right every moment of it ([`crate::journal::WallClockOffsets`]).
//! 2. A boot whose clock was never right is known by its place alone: no boot begins before the one
//!    before it has ended. It is moved to there, and its times are marked as not certain.

use jiff::{SignedDuration, Timestamp};

use crate::{
    clock::{BootId, Stamp},
    journal,
};

/// One boot in the record.
#[derive(Clone, Copy, Debug)]
struct RecordedBoot {
    id: BootId,
    first: Stamp,
    last: Stamp,
    /// How far it is moved to where it belongs.
    moved: SignedDuration,
}

/// The clocks of all boots in the record.
#[derive(Clone, Debug, Default)]
pub(super) struct BootClocks {
    known: journal::WallClockOffsets,
    /// In the order in which they appeared.
    boots: Vec<RecordedBoot>,
}

impl BootClocks {
    /// Learns from the stamp of the next record.
    pub(super) fn learn(&mut self, at: Stamp) {
        // Boots that the system cannot name have no common clock.
        if at.boot == BootId::UNKNOWN {
            return;
        }
        self.known.learn(&at);
        match self.boots.iter_mut().rfind(|boot| boot.id == at.boot) {
            Some(boot) => boot.last = at,
            None => self.boots.push(RecordedBoot {
                id: at.boot,
                first: at,
                last: at,
                moved: SignedDuration::ZERO,
            }),
        }
    }

    /// Moves the boots whose clock contradicts their order; to be called when all is learnt.
    pub(super) fn settle(&mut self) {
        let mut earliest = Timestamp::MIN;
        for boot in &mut self.boots {
            let begins = self.known.wall(&boot.first);
            if begins < earliest {
                boot.moved = earliest.duration_since(begins);
            }
            let ends = self.known.wall(&boot.last);
            earliest = ends.saturating_add(boot.moved).unwrap_or(ends);
        }
    }

    /// Whether the record has a moment of this boot.
    pub(super) fn knows(&self, id: BootId) -> bool {
        self.boot(id).is_some()
    }

    /// The corrected wall-clock time of a moment.
    pub(super) fn time(&self, stamp: &Stamp) -> Timestamp {
        let known = self.known.wall(stamp);
        let moved = self.boot(stamp.boot).map_or(SignedDuration::ZERO, |boot| boot.moved);
        known.saturating_add(moved).unwrap_or(known)
    }

    /// Whether that boot's clock was ever right, as far as the order of the boots tells.
    pub(super) fn is_certain(&self, id: BootId) -> bool {
        self.boot(id).is_none_or(|boot| boot.moved.is_zero())
    }

    fn boot(&self, id: BootId) -> Option<&RecordedBoot> {
        self.boots.iter().rfind(|boot| boot.id == id)
    }
}
