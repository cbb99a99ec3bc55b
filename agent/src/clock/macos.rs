//! The two clocks of macOS that no safe crate in this tree reads.

#![allow(unsafe_code, reason = "rustix does not know these clocks of macOS")]

use std::{mem::MaybeUninit, time::Duration};

/// The time since the boot, the time that the machine slept included; NTP does not bend it.
pub(super) fn time_with_sleep() -> Duration {
    read(libc::CLOCK_MONOTONIC_RAW)
}

/// The same without the time that the machine slept.
pub(super) fn time_awake() -> Duration {
    read(libc::CLOCK_UPTIME_RAW)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer leads to room for the one `timespec` that the call may write.
    if unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) } != 0 {
        return Duration::ZERO;
    }
    // SAFETY: the call has succeeded, so that it has written the whole of it.
    let time = unsafe { time.assume_init() };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}
