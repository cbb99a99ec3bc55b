//! Moments by two clocks: boot time, which never jumps, and the wall clock, which people read.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The operating system's id of one boot. Boot times are comparable within one boot only.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct BootId(Uuid);

impl BootId {
    /// The id of a boot whose id the system does not provide.
    pub const UNKNOWN: Self = Self(Uuid::nil());
    /// The bits that count how often the boot-time clock was set back.
    const TIMES_SET_BACK: u128 = 0xffff;

    /// The id of the same boot after its boot-time clock was set back, which restored containers and
    /// virtual machines do. Boot times before and after are not comparable, so it counts as another
    /// boot.
    #[must_use]
    pub fn set_back(self) -> Self {
        let bits = self.0.as_u128();
        let times = bits.wrapping_add(1) & Self::TIMES_SET_BACK;
        Self(Uuid::from_u128((bits & !Self::TIMES_SET_BACK) | times))
    }

    /// Whether both belong to one boot of the system, however often its clock was set back.
    pub fn is_same_of_system(self, other: Self) -> bool {
        (self.0.as_u128() ^ other.0.as_u128()) <= Self::TIMES_SET_BACK
    }
}

impl FromStr for BootId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.trim().parse().map(Self)
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A moment by both clocks.
///
/// `boot_ms` is authoritative: its differences within one boot are durations. `wall` is the wall clock
/// as known at that moment, which may have been wrong; to display it, use the boot's latest known
/// offset instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The boot that `boot_ms` belongs to.
    pub boot: BootId,
    /// Milliseconds since that boot, sleep included.
    pub boot_ms: u64,
    /// The wall clock, as known at that moment.
    pub wall: Timestamp,
}

impl Stamp {
    /// The current moment; of [`BootId::UNKNOWN`] where the system provides no boot id.
    pub fn now() -> Self {
        let boot = super::boot_id().ok().and_then(|id| id.parse().ok()).unwrap_or_default();
        let boot_ms = u64::try_from(super::boot_time().as_millis()).unwrap_or(u64::MAX);
        Self { boot, boot_ms, wall: super::now() }
    }

    /// The time from `earlier` to this moment, zero when `earlier` is later; `None` across boots,
    /// because no clock measured it.
    pub fn since(&self, earlier: &Self) -> Option<Duration> {
        self.is_same_boot(*earlier)
            .then(|| Duration::from_millis(self.boot_ms.saturating_sub(earlier.boot_ms)))
    }

    /// Whether both moments belong to one boot, so that they are comparable.
    pub fn is_same_boot(self, other: Self) -> bool {
        self.boot == other.boot
    }

    /// Whether this moment is `other` or later; `false` across boots, because they are not comparable.
    pub fn is_at_or_after(self, other: Self) -> bool {
        self.is_same_boot(other) && self.boot_ms >= other.boot_ms
    }

    /// The later of two moments of one boot; this one when they are equal. Meaningless across boots.
    #[must_use]
    pub fn latest(self, other: Self) -> Self {
        if other.boot_ms > self.boot_ms { other } else { self }
    }

    /// The earlier of two moments of one boot; this one when they are equal. Meaningless across boots.
    #[must_use]
    pub fn earliest(self, other: Self) -> Self {
        if other.boot_ms < self.boot_ms { other } else { self }
    }

    /// The time from `earlier` to this moment, zero when `earlier` is later; across boots by the wall clock.
    pub fn since_across_boots(&self, earlier: &Self) -> Duration {
        self.since(earlier).unwrap_or_else(|| {
            Duration::try_from(self.wall.duration_since(earlier.wall)).unwrap_or_default()
        })
    }

    /// The time from `now` until this moment, zero when it has passed; across boots by the wall clock.
    pub fn time_left(&self, now: &Self) -> Duration {
        self.since_across_boots(now)
    }

    /// The moment `by` later, on both clocks.
    #[must_use]
    pub fn later(&self, by: Duration) -> Self {
        let milliseconds = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.moved(self.boot_ms.saturating_add(milliseconds))
    }

    /// The moment `by` earlier, on both clocks, but not before the boot.
    #[must_use]
    pub fn earlier(&self, by: Duration) -> Self {
        let milliseconds = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.moved(self.boot_ms.saturating_sub(milliseconds))
    }

    /// The same moment with its wall clock recomputed from `now`, if both belong to one boot.
    #[must_use]
    pub fn corrected(&self, now: &Self) -> Self {
        if self.is_same_boot(*now) { now.moved(self.boot_ms) } else { *self }
    }

    /// The moment of this boot at `boot_ms`.
    fn moved(&self, boot_ms: u64) -> Self {
        let wall_of_boot = self.wall.as_millisecond().saturating_sub_unsigned(self.boot_ms);
        let wall = Timestamp::from_millisecond(wall_of_boot.saturating_add_unsigned(boot_ms))
            .map_or(self.wall, |whole| {
                let rest = i64::from(self.wall.subsec_nanosecond() % 1_000_000);
                whole.saturating_add(SignedDuration::from_nanos(rest)).unwrap_or(whole)
            });
        Self { boot: self.boot, boot_ms, wall }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(boot_ms: u64) -> Stamp {
        let wall = "2026-03-29T00:59:59.250Z".parse().expect("a time");
        Stamp { boot: BootId::UNKNOWN, boot_ms, wall }
    }

    #[test]
    fn setting_the_clock_back_makes_another_boot_of_the_same_system() {
        let id: BootId = "1f0c5a7e-93b4-4d5e-8a60-0c2f5b1dffff".parse().expect("a boot id");
        let next = id.set_back();
        assert_eq!(next.to_string(), "1f0c5a7e-93b4-4d5e-8a60-0c2f5b1d0000");
        assert_ne!(next, id);
        assert_ne!(next.set_back(), next);
        assert!(next.set_back().is_same_of_system(id));
        assert!(!BootId::UNKNOWN.is_same_of_system(id));
    }

    #[test]
    fn both_clocks_move_together() {
        let later = stamp(1_000).later(Duration::from_millis(1_750));
        assert_eq!(later.boot_ms, 2_750);
        assert_eq!(later.wall.to_string(), "2026-03-29T01:00:01Z");
        assert_eq!(later.earlier(Duration::from_millis(1_750)), stamp(1_000));
        assert_eq!(stamp(1_000).earlier(Duration::MAX).boot_ms, 0);
    }

    #[test]
    fn durations_exist_within_one_boot_only() {
        let other = Stamp { boot: BootId(Uuid::from_u128(7)), ..stamp(5_000) };
        assert_eq!(stamp(5_000).since(&stamp(1_000)), Some(Duration::from_secs(4)));
        assert_eq!(stamp(1_000).since(&stamp(5_000)), Some(Duration::ZERO));
        assert_eq!(stamp(5_000).since(&other), None);
    }

    #[test]
    fn moments_of_one_boot_compare_by_boot_time_and_not_by_the_wall_clock() {
        let (early, late) = (stamp(1_000), stamp(5_000));
        assert_eq!((early.latest(late), late.latest(early)), (late, late));
        assert_eq!((early.earliest(late), late.earliest(early)), (early, early));
        assert!(late.is_at_or_after(early) && late.is_at_or_after(late));
        assert!(!early.is_at_or_after(late));
        let moved = Stamp { wall: Timestamp::UNIX_EPOCH, ..late };
        assert!(moved.is_at_or_after(early) && moved.is_at_or_after(late));
        assert_eq!((late.latest(moved), late.earliest(moved)), (late, late), "the same moment");
        let other = Stamp { boot: BootId(Uuid::from_u128(7)), ..late };
        assert!(late.is_same_boot(early) && !late.is_same_boot(other));
        assert!(!other.is_at_or_after(early) && !early.is_at_or_after(other));
    }

    #[test]
    fn the_remaining_time_uses_boot_time_and_across_boots_the_wall_clock() {
        let until = stamp(100_000);
        let wall = |text: &str| text.parse().expect("a time");
        let now = Stamp { wall: wall("2026-03-29T09:00:00Z"), ..stamp(40_000) };
        assert_eq!(until.time_left(&now), Duration::from_mins(1));
        assert_eq!(until.time_left(&stamp(100_000)), Duration::ZERO);
        let other = BootId(Uuid::from_u128(7));
        let now = Stamp { boot: other, boot_ms: 5, wall: wall("2026-03-29T00:58:59.25Z") };
        assert_eq!(until.time_left(&now), Duration::from_mins(1));
        let now = Stamp { wall: wall("2026-03-29T01:00:00Z"), ..now };
        assert_eq!(until.time_left(&now), Duration::ZERO);
    }

    #[test]
    fn a_stamp_survives_json() {
        let json = serde_json::to_string(&stamp(12)).expect("a stamp is JSON");
        assert_eq!(
            json,
            r#"{"boot":"00000000-0000-0000-0000-000000000000","boot_ms":12,"wall":"2026-03-29T00:59:59.25Z"}"#
        );
        assert_eq!(serde_json::from_str::<Stamp>(&json).expect("the JSON is a stamp"), stamp(12));
    }
}
