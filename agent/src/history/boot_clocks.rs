//! Corrects the wall-clock times of all boots in the journal.
//!
//! 1. The latest known offset of a boot applies to every moment of it
//!    ([`crate::journal::WallClockOffsets`]).
//! 2. A boot whose clock was never right can only be placed by order: no boot begins before the
//!    previous one has ended. It is moved there, and its times are marked as uncertain.

use jiff::{SignedDuration, Timestamp};

use crate::{
    clock::{BootId, Stamp},
    journal,
};

/// One boot in the journal.
#[derive(Clone, Copy, Debug)]
struct RecordedBoot {
    id: BootId,
    first: Stamp,
    last: Stamp,
    /// How far its times are moved.
    shift: SignedDuration,
}

/// The clocks of all boots in the journal.
#[derive(Clone, Debug, Default)]
pub(super) struct BootClocks {
    known: journal::WallClockOffsets,
    /// In the order in which they appeared.
    boots: Vec<RecordedBoot>,
}

impl BootClocks {
    /// Updates the offset with the stamp of the next record.
    pub(super) fn learn(&mut self, at: Stamp) {
        // Stamps with an unknown boot id may come from different boots.
        if at.boot == BootId::UNKNOWN {
            return;
        }
        self.known.update(&at);
        match self.boots.iter_mut().rfind(|boot| boot.id == at.boot) {
            Some(boot) => boot.last = at,
            None => self.boots.push(RecordedBoot {
                id: at.boot,
                first: at,
                last: at,
                shift: SignedDuration::ZERO,
            }),
        }
    }

    /// Moves the boots whose clock contradicts their order; call it after the last record.
    pub(super) fn order_boots(&mut self) {
        let mut earliest = Timestamp::MIN;
        for boot in &mut self.boots {
            let begins = self.known.wall_time(&boot.first);
            if begins < earliest {
                boot.shift = earliest.duration_since(begins);
            }
            let ends = self.known.wall_time(&boot.last);
            earliest = ends.saturating_add(boot.shift).unwrap_or(ends);
        }
    }

    /// Whether the journal has a record of this boot.
    pub(super) fn contains(&self, id: BootId) -> bool {
        self.boot(id).is_some()
    }

    /// The corrected wall-clock time of a stamp.
    pub(super) fn time(&self, stamp: &Stamp) -> Timestamp {
        let known = self.known.wall_time(stamp);
        let moved = self.boot(stamp.boot).map_or(SignedDuration::ZERO, |boot| boot.shift);
        known.saturating_add(moved).unwrap_or(known)
    }

    /// Whether that boot's clock was ever right, judged by the order of the boots.
    pub(super) fn is_certain(&self, id: BootId) -> bool {
        self.boot(id).is_none_or(|boot| boot.shift.is_zero())
    }

    fn boot(&self, id: BootId) -> Option<&RecordedBoot> {
        self.boots.iter().rfind(|boot| boot.id == id)
    }
}
