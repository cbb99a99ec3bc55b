//! Failures that were too short to be incidents: counted, and nothing more.

use std::time::Duration;

use crate::{clock::Stamp, probe::Family};

/// When both families failed, their ends are known this far apart at most: as long as a connect takes
/// until it fails, and a round more.
const SAME_WITHIN: Duration = Duration::from_millis(3_500);

/// Counts blips: one interruption of the line is one, whatever families it touched.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blips {
    count: u64,
    /// The newest that was counted, as long as the other family has not had its part in it.
    newest: Option<(Family, Stamp)>,
}

impl Blips {
    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Notes that a failure of a family turned out to be a blip at `now`.
    pub(super) fn note(&mut self, family: Family, now: Stamp) {
        let is_same = self.newest.is_some_and(|(other, noted)| {
            other != family && now.since(&noted).is_some_and(|since| since <= SAME_WITHIN)
        });
        if is_same {
            self.newest = None;
            return;
        }
        self.count += 1;
        self.newest = Some((family, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootId;

    fn count(blips: &[(Family, u64)]) -> u64 {
        let start = Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall: jiff::Timestamp::UNIX_EPOCH };
        let mut counted = Blips::default();
        for (family, milliseconds) in blips {
            counted.note(*family, start.later(Duration::from_millis(*milliseconds)));
        }
        counted.count()
    }

    #[test]
    fn an_interruption_is_one_blip_whatever_families_it_touched() {
        use Family::{Ipv4, Ipv6};
        assert_eq!(count(&[(Ipv4, 0)]), 1);
        assert_eq!(count(&[(Ipv4, 0), (Ipv6, 0)]), 1);
        assert_eq!(count(&[(Ipv6, 0), (Ipv4, 2_400)]), 1);
        assert_eq!(count(&[(Ipv4, 0), (Ipv6, 10), (Ipv4, 6_000), (Ipv6, 6_010)]), 2);
        assert_eq!(count(&[(Ipv4, 0), (Ipv4, 3_000)]), 2, "one family that blips twice");
        assert_eq!(count(&[(Ipv4, 0), (Ipv6, 10), (Ipv4, 20)]), 2, "each has one part in it");
        assert_eq!(count(&[(Ipv4, 0), (Ipv6, 5_000)]), 2);
    }
}
