//! The two clocks of macOS that no safe crate in this tree reads.

#![allow(unsafe_code, reason = "clock_gettime_nsec_np has no safe wrapper in the crates used here")]

use std::time::Duration;

/// The time since the boot, the time that the machine slept included; NTP does not bend it.
pub(super) fn time_with_sleep() -> Duration {
    nanoseconds(libc::CLOCK_MONOTONIC_RAW)
}

/// The same without the time that the machine slept.
pub(super) fn time_awake() -> Duration {
    nanoseconds(libc::CLOCK_UPTIME_RAW)
}

fn nanoseconds(clock: libc::clockid_t) -> Duration {
    // SAFETY: it takes a plain number and returns one, 0 for a clock that it does not know.
    Duration::from_nanos(unsafe { libc::clock_gettime_nsec_np(clock) })
}
