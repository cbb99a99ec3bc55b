//! Blips: failures that were too short to be incidents. They are only counted.

use std::time::Duration;

use crate::{clock::Stamp, probe::Family};

/// If one interruption hits both families, their ends are detected at most this far apart: the time
/// until a connect fails, and one more round.
const SAME_WITHIN: Duration = Duration::from_millis(3_500);

/// Counts blips. One interruption of the connection is one blip, whichever families it hits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blips {
    count: u64,
    /// The newest counted blip, until the other family's part of it has been matched.
    newest: Option<(Family, Stamp)>,
}

impl Blips {
    /// The number of blips so far.
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
    fn an_interruption_of_both_families_is_one_blip() {
        use Family::{Ipv4, Ipv6};
        assert_eq!(count(&[(Ipv4, 0)]), 1);
        assert_eq!(count(&[(Ipv4, 0), (Ipv6, 0)]), 1);
        assert_eq!(count(&[(Ipv6, 0), (Ipv4, 2_400)]), 1);
        assert_eq!(count(&[(Ipv4, 0), (Ipv6, 10), (Ipv4, 6_000), (Ipv6, 6_010)]), 2);
        assert_eq!(count(&[(Ipv4, 0), (Ipv4, 3_000)]), 2, "one family that blips twice");
        assert_eq!(count(&[(Ipv4, 0), (Ipv6, 10), (Ipv4, 20)]), 2, "one part of it per family");
        assert_eq!(count(&[(Ipv4, 0), (Ipv6, 5_000)]), 2);
    }
}
