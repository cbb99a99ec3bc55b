//! The only place that reads clocks; everything else takes times as values.

mod stamp;

use std::{fmt, io, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use rustix::time::{ClockId, clock_gettime};

pub use stamp::{BootId, Stamp};

/// The wall clock. It may be wrong, and it may jump.
#[allow(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The time since the machine booted, including the time that it slept; it never jumps.
///
/// Differences of it are durations to show to people. Linux calls this clock `CLOCK_BOOTTIME`; on
/// macOS it is `CLOCK_MONOTONIC`, which there goes on while the machine sleeps (`clock_gettime(3)`).
pub fn boot_time() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    Duration::try_from(clock_gettime(CLOCK)).unwrap_or_default()
}

/// The operating system's id of this boot: it tells a restarted agent from a restarted machine.
///
/// # Errors
/// The file or command that knows it cannot be read.
pub fn boot_id() -> Result<String, BootIdError> {
    read_boot_id().map(|id| id.trim().to_owned()).map_err(BootIdError)
}

/// The system's time zone, for times that are shown to people; UTC when there is none.
pub fn local_zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// Why the boot id is not known.
#[derive(Debug, thiserror::Error)]
pub struct BootIdError(#[source] io::Error);

impl fmt::Display for BootIdError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the id of this boot cannot be read from {BOOT_ID_SOURCE}")
    }
}

#[cfg(not(target_os = "macos"))]
const BOOT_ID_SOURCE: &str = "/proc/sys/kernel/random/boot_id";

#[cfg(not(target_os = "macos"))]
fn read_boot_id() -> io::Result<String> {
    std::fs::read_to_string(BOOT_ID_SOURCE)
}

#[cfg(target_os = "macos")]
const BOOT_ID_SOURCE: &str = "sysctl kern.bootsessionuuid";

// The command is always there, and asking it needs neither unsafe code nor another crate.
#[cfg(target_os = "macos")]
fn read_boot_id() -> io::Result<String> {
    let output = std::process::Command::new("/usr/sbin/sysctl")
        .args(["-n", "kern.bootsessionuuid"])
        .stdin(std::process::Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("sysctl ended with {}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_id_is_the_same_at_every_look() {
        let first = boot_id().expect("this system has a boot id");
        assert_eq!(first.len(), 36, "{first:?} is a UUID without white space");
        assert_eq!(first, boot_id().expect("it has one still"));
    }

    #[test]
    fn the_boot_clock_never_goes_back() {
        let first = boot_time();
        assert!(first > Duration::ZERO);
        assert!(boot_time() >= first);
    }
}
