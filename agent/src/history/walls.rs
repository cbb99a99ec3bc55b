//! Which wall-clock time a moment of a boot has, as far as the whole record knows.
//!
//! A stamp keeps the wall clock as it was then, which may have been wrong: a machine without a battery
//! for its clock begins each boot in the past. The boot-time clock is right, so the latest known
//! difference between both puts right every moment of that boot. In order:
//!
//! 1. The offset of a boot is that of its last record: the system's clock as it was then.
//! 2. When the last thing known of that clock is that a server named another time, the difference is
//!    added.
//! 3. A boot whose clock was never set is known by its place alone: no boot begins before the one
//!    before it has ended. It is moved to there, and its times are marked as not certain.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::{
    clock::{BootId, Stamp},
    journal::{Entry, Record, StepSource},
};

/// What is known of one boot's clock.
#[derive(Clone, Copy, Debug)]
struct Boot {
    /// The wall clock at boot time zero, in milliseconds.
    zero_ms: i64,
    /// The first and the last boot time that a record was written at.
    first_ms: u64,
    last_ms: u64,
    /// Whether the clock agrees with the order of the boots.
    certain: bool,
}

/// The clocks of all boots in the record.
#[derive(Clone, Debug, Default)]
pub(super) struct Walls {
    boots: HashMap<BootId, Boot>,
    order: Vec<BootId>,
}

impl Walls {
    /// Learns from the next record.
    pub(super) fn learn(&mut self, record: &Record) {
        let at = record.at;
        // Boots that the system cannot name have no common clock.
        if at.boot == BootId::UNKNOWN {
            return;
        }
        let boot_ms = i64::try_from(at.boot_ms).unwrap_or(i64::MAX);
        let zero_ms = at.wall.as_millisecond().saturating_sub(boot_ms);
        let boot = self.boots.entry(at.boot).or_insert_with(|| {
            self.order.push(at.boot);
            Boot { zero_ms, first_ms: at.boot_ms, last_ms: at.boot_ms, certain: true }
        });
        boot.zero_ms = zero_ms;
        boot.last_ms = boot.last_ms.max(at.boot_ms);
        if let Entry::ClockStepped { by_ms, source: StepSource::Heartbeat } = record.entry {
            boot.zero_ms = boot.zero_ms.saturating_add(by_ms);
        }
    }

    /// Moves boots whose clock contradicts their order.
    pub(super) fn settle(&mut self) {
        let mut earliest = i64::MIN;
        for id in &self.order {
            let Some(boot) = self.boots.get_mut(id) else { continue };
            let wall = |boot: &Boot, boot_ms: u64| boot.zero_ms.saturating_add_unsigned(boot_ms);
            let begins = wall(boot, boot.first_ms);
            if begins < earliest {
                boot.zero_ms = boot.zero_ms.saturating_add(earliest.saturating_sub(begins));
                boot.certain = false;
            }
            earliest = wall(boot, boot.last_ms);
        }
    }

    /// The corrected wall-clock time of a moment.
    pub(super) fn time(&self, stamp: &Stamp) -> Timestamp {
        let Some(boot) = self.boots.get(&stamp.boot) else { return stamp.wall };
        let moved = boot
            .zero_ms
            .saturating_add_unsigned(stamp.boot_ms)
            .saturating_sub(stamp.wall.as_millisecond());
        // The recorded time is moved, so that it keeps what is finer than a millisecond.
        stamp.wall.saturating_add(SignedDuration::from_millis(moved)).unwrap_or(stamp.wall)
    }

    /// Whether that boot's clock was ever right, as far as the order of the boots tells.
    pub(super) fn is_certain(&self, boot: BootId) -> bool {
        self.boots.get(&boot).is_none_or(|boot| boot.certain)
    }
}
