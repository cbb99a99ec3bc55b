//! The lab's clock; no other module of the lab reads a clock.
//!
//! The alert rules work in minutes. So that a demo does not take that long, *story time* may run up
//! to sixty times as fast as real time: at [`Scale::FASTEST`] one real second is one minute of
//! story time. At [`Scale::REAL`] story time *is* wall-clock time.

#![allow(clippy::disallowed_methods, reason = "this is the module that reads the clocks")]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The longest single sleep while story time is wall-clock time.
///
/// Timers do not count the time that a machine is suspended, and the wall clock may be set, so a
/// long wait reads the clock again this often.
const MAX_SLEEP: Duration = Duration::from_secs(5);

/// How many seconds of story time pass in one real second, 1 to 60.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale(u32);

impl Scale {
    /// Story time is real time.
    pub const REAL: Self = Self(1);
    /// One real second stands for one minute.
    pub const FASTEST: Self = Self(60);

    /// The factor, 1 to 60.
    pub const fn factor(self) -> u32 {
        self.0
    }

    /// Converts a real duration to story time.
    pub fn to_story(self, real: Duration) -> SignedDuration {
        SignedDuration::try_from(real.saturating_mul(self.0)).unwrap_or(SignedDuration::MAX)
    }

    /// Converts a duration of story time to real time; zero for a negative one.
    pub fn to_real(self, story: SignedDuration) -> Duration {
        Duration::try_from(story).unwrap_or(Duration::ZERO) / self.0
    }
}

/// The current monotonic time, for measuring durations, or as the origin of virtual time.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// A clock that starts at an epoch of story time and runs at a scale.
///
/// Copies show the same time. In a tokio runtime with paused time, a clock that is faster than real
/// time stops and advances with the runtime's time.
#[derive(Clone, Copy, Debug)]
pub struct StoryClock {
    scale: Scale,
    epoch: Timestamp,
    started: Instant,
    /// The wall-clock time at the start.
    wall: Timestamp,
}

impl StoryClock {
    /// Starts a clock at the current wall-clock time that runs `scale` times as fast.
    pub fn start(scale: Scale) -> Self {
        Self::start_at(scale, Timestamp::now())
    }

    /// Starts a clock at the last full hour of the wall-clock time.
    ///
    /// So in a demo of less than an hour the minutes since the start are also those in the mails.
    pub fn start_on_the_hour(scale: Scale) -> Self {
        let now = Timestamp::now();
        let hour = now.as_second().rem_euclid(3600);
        Self::start_at(scale, Timestamp::from_second(now.as_second() - hour).unwrap_or(now))
    }

    /// Starts a clock at `epoch`; at [`Scale::REAL`] it starts at the real time instead.
    pub fn start_at(scale: Scale, epoch: Timestamp) -> Self {
        let wall = Timestamp::now();
        let epoch = if scale == Scale::REAL { wall } else { epoch };
        Self { scale, epoch, started: Instant::now(), wall }
    }

    /// The story time now.
    pub fn now(&self) -> Timestamp {
        if self.scale == Scale::REAL { Timestamp::now() } else { self.at(self.real_elapsed()) }
    }

    /// The real time since the start.
    pub fn real_elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The story time at which the clock started.
    pub const fn epoch(&self) -> Timestamp {
        self.epoch
    }

    /// The scale of the clock.
    pub const fn scale(&self) -> Scale {
        self.scale
    }

    /// The story time after `real` has passed since the start, clamped to the last representable
    /// time.
    pub fn at(&self, real: Duration) -> Timestamp {
        self.epoch.saturating_add(self.scale.to_story(real)).unwrap_or(Timestamp::MAX)
    }

    /// Converts a time of this machine's wall clock, which may be before the start, to story time.
    pub fn at_wall(&self, wall: Timestamp) -> Timestamp {
        if self.scale == Scale::REAL {
            return wall;
        }
        // Fails only for a nonsensical input: the two times are close together.
        let since = wall.duration_since(self.wall).checked_mul(self.scale.0.cast_signed());
        let story = self.epoch.saturating_add(since.unwrap_or(SignedDuration::MAX));
        story.unwrap_or(Timestamp::MAX)
    }

    /// The real time from the start until story time reaches `story`; zero for a time before the
    /// start.
    pub fn real_until(&self, story: Timestamp) -> Duration {
        self.scale.to_real(story.duration_since(self.epoch))
    }

    /// Sleeps until story time reaches `story`; returns at once when it already has.
    pub async fn sleep_until(&self, story: Timestamp) {
        loop {
            let remaining = self.scale.to_real(story.duration_since(self.now()));
            if remaining.is_zero() {
                return;
            }
            let nap = if self.scale == Scale::REAL { remaining.min(MAX_SLEEP) } else { remaining };
            tokio::time::sleep(nap).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().expect("a valid time")
    }

    #[tokio::test(start_paused = true)]
    async fn a_real_second_is_a_story_minute_at_the_fastest_scale() {
        let clock = StoryClock::start_at(Scale::FASTEST, epoch());
        tokio::time::advance(Duration::from_millis(7_500)).await;
        assert_eq!(clock.now().to_string(), "2026-03-01T12:07:30Z");
        assert_eq!(clock.now().duration_since(clock.epoch()), SignedDuration::from_secs(450));
        assert_eq!(clock.real_elapsed(), Duration::from_millis(7_500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleep_ends_when_story_time_is_reached_and_not_before() {
        let clock = StoryClock::start_at(Scale::FASTEST, epoch());
        let five_minutes = epoch() + SignedDuration::from_mins(5);
        clock.sleep_until(five_minutes).await;
        assert!(clock.now() >= five_minutes);
        // Tokio's timers have a resolution of one millisecond.
        assert!(clock.real_elapsed() <= Duration::from_millis(5_002), "{:?}", clock.real_elapsed());
        let before = clock.real_elapsed();
        clock.sleep_until(epoch()).await;
        assert_eq!(clock.real_elapsed(), before);
    }

    #[tokio::test(start_paused = true)]
    async fn real_and_story_time_convert_both_ways() {
        let clock = StoryClock::start_at(Scale(30), epoch());
        let at = clock.at(Duration::from_secs(4));
        assert_eq!(at, epoch() + SignedDuration::from_mins(2));
        assert_eq!(clock.real_until(at), Duration::from_secs(4));
        assert_eq!(clock.real_until(epoch() - SignedDuration::from_mins(1)), Duration::ZERO);
    }

    #[test]
    fn wall_clock_times_are_converted_to_story_time() {
        let clock = StoryClock::start_at(Scale::FASTEST, epoch());
        let second = SignedDuration::from_secs(1);
        assert_eq!(clock.at_wall(clock.wall), epoch());
        assert_eq!(clock.at_wall(clock.wall + second), epoch() + SignedDuration::from_mins(1));
        assert_eq!(clock.at_wall(clock.wall - second), epoch() - SignedDuration::from_mins(1));
        assert_eq!(clock.at_wall(Timestamp::MAX), Timestamp::MAX);
        assert_eq!(clock.at_wall(Timestamp::MIN), Timestamp::MIN);
        assert_eq!(StoryClock::start(Scale::REAL).at_wall(epoch()), epoch());
    }

    #[test]
    fn a_clock_can_start_on_the_hour() {
        let epoch = StoryClock::start_on_the_hour(Scale::FASTEST).epoch();
        assert_eq!((epoch.as_second() % 3600, epoch.subsec_nanosecond()), (0, 0));
    }

    #[test]
    fn a_clock_at_real_scale_ignores_the_epoch() {
        let clock = StoryClock::start_at(Scale::REAL, epoch());
        assert!(clock.epoch() > epoch());
        assert!(clock.now() >= clock.epoch());
    }
}
