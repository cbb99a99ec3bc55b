//! Corrects wall-clock times.

use jiff::Timestamp;

use crate::clock::{BootId, Stamp};

/// For each boot, the latest known offset between its boot time and the wall clock.
///
/// A device without a battery-backed clock starts in the past and learns the time later; its early
/// stamps carry a wrong wall clock. The time that is shown or sent is boot time plus the offset of
/// the latest stamp of that boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WallClockOffsets {
    /// Boots in the order in which they appeared, each with its offset in milliseconds.
    boots: Vec<(BootId, i64)>,
}

impl WallClockOffsets {
    /// Learns from a later stamp, such as the `at` of the next record.
    pub fn update(&mut self, at: &Stamp) {
        let offset = at.wall.as_millisecond().saturating_sub_unsigned(at.boot_ms);
        match self.boots.iter_mut().rfind(|(boot, _)| *boot == at.boot) {
            Some((_, known)) => *known = offset,
            None => self.boots.push((at.boot, offset)),
        }
    }

    /// The wall-clock time of a stamp by the latest offset; its own `wall` if its boot is unknown.
    pub fn wall_time(&self, at: &Stamp) -> Timestamp {
        // Stamps with an unknown boot id may come from different boots.
        let known = (at.boot != BootId::UNKNOWN)
            .then(|| self.boots.iter().rfind(|(boot, _)| *boot == at.boot))
            .flatten();
        known
            .and_then(|(_, offset)| {
                Timestamp::from_millisecond(offset.checked_add_unsigned(at.boot_ms)?).ok()
            })
            .unwrap_or(at.wall)
    }

    /// Keeps only the latest `most` boots.
    pub(super) fn keep_latest(&mut self, most: usize) {
        let surplus = self.boots.len().saturating_sub(most);
        self.boots.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stamp(boot: u32, boot_ms: u64, wall: &str) -> Stamp {
        let boot = format!("00000000-0000-0000-0000-{boot:012}").parse().expect("a boot id");
        Stamp { boot, boot_ms, wall: wall.parse().expect("a time") }
    }

    #[test]
    fn early_times_of_a_clock_that_started_in_1970_are_corrected() {
        let start = stamp(1, 10_000, "1970-01-01T00:00:10Z");
        let outage = start.later(Duration::from_secs(50));
        let known = stamp(1, 100_000, "2026-11-24T08:01:40Z");
        let mut walls = WallClockOffsets::default();
        assert_eq!(walls.wall_time(&outage), outage.wall);
        for at in [&start, &outage, &known] {
            walls.update(at);
        }
        assert_eq!(walls.wall_time(&outage).to_string(), "2026-11-24T08:01:00Z");
    }

    #[test]
    fn the_offset_of_one_boot_does_not_apply_to_another() {
        let mut walls = WallClockOffsets::default();
        walls.update(&stamp(1, 0, "2026-11-24T08:00:00Z"));
        let other = stamp(2, 5_000, "1970-01-01T00:00:05Z");
        assert_eq!(walls.wall_time(&other), other.wall);
        walls.update(&stamp(2, 9_000, "2026-11-25T00:00:00Z"));
        walls.keep_latest(1);
        assert_eq!(walls.wall_time(&other).to_string(), "2026-11-24T23:59:56Z");
        let forgotten = stamp(1, 60_000, "2000-01-01T00:00:00Z");
        assert_eq!(walls.wall_time(&forgotten), forgotten.wall);
    }
}
