//! The two clocks of macOS that no safe crate among the dependencies reads.

#![allow(unsafe_code, reason = "rustix does not support these clocks of macOS")]

use std::{mem::MaybeUninit, time::Duration};

/// The time since boot, sleep included; NTP does not slew it.
pub(super) fn time_with_sleep() -> Duration {
    read(libc::CLOCK_MONOTONIC_RAW)
}

/// The time since boot, sleep excluded.
pub(super) fn time_awake() -> Duration {
    read(libc::CLOCK_UPTIME_RAW)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is valid for writes of one `timespec`.
    if unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) } != 0 {
        return Duration::ZERO;
    }
    // SAFETY: the call succeeded, so it has initialised the whole `timespec`.
    let time = unsafe { time.assume_init() };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}
