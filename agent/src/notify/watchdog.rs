//! When a keep-alive is due.

use std::{ffi::OsStr, time::Duration};

/// Schedules the keep-alives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watchdog {
    every: Duration,
    next: Duration,
}

impl Watchdog {
    /// Reads `WATCHDOG_USEC` and `WATCHDOG_PID`. `None` without the first, or when the second names
    /// another process than `own`, which inherited both. A keep-alive is due after half of the time
    /// (`sd_watchdog_enabled(3)`), so that it may be late.
    pub(super) fn new(time: Option<&OsStr>, process: Option<&OsStr>, own: u32) -> Option<Self> {
        let microseconds: u64 = time?.to_str()?.parse().ok()?;
        let is_own = |process: &OsStr| process.to_str()?.parse().ok().filter(|id: &u32| *id == own);
        if process.is_some_and(|process| is_own(process).is_none()) || microseconds == 0 {
            return None;
        }
        Some(Self { every: Duration::from_micros(microseconds) / 2, next: Duration::ZERO })
    }

    /// Whether a keep-alive is due at `now`, a time since boot; if so, schedules the next one.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.next = now + self.every;
        }
        is_due
    }

    /// When the next one is due, as time since boot.
    pub(super) fn next(&self) -> Duration {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watchdog(time: Option<&str>, process: Option<&str>) -> Option<Watchdog> {
        Watchdog::new(time.map(OsStr::new), process.map(OsStr::new), 4711)
    }

    #[test]
    fn two_keep_alives_are_due_per_timeout() {
        let mut watchdog =
            watchdog(Some("60000000"), Some("4711")).expect("the watchdog is enabled");
        let at = |seconds| Duration::from_secs(seconds);
        let due: Vec<_> = (1_000..=1_100).filter(|second| watchdog.is_due(at(*second))).collect();
        assert_eq!(due, [1_000, 1_030, 1_060, 1_090]);
        assert_eq!(watchdog.next(), at(1_120));
    }

    #[test]
    fn a_watchdog_of_another_process_is_ignored() {
        assert!(watchdog(Some("60000000"), None).is_some());
        for (time, process) in [
            (None, Some("4711")),
            (Some("60000000"), Some("1")),
            (Some("60000000"), Some("")),
            (Some("0"), Some("4711")),
            (Some("infinity"), Some("4711")),
            (Some("-1"), None),
        ] {
            assert_eq!(watchdog(time, process), None, "{time:?}, {process:?}");
        }
    }
}
