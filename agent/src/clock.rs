//! The only module that reads clocks; all other modules take times as values.

#[cfg(target_os = "macos")]
mod macos;
mod stamp;
mod watch;

use std::{
    env,
    ffi::OsStr,
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
#[cfg(not(target_os = "macos"))]
use rustix::time::{ClockId, clock_gettime};

pub use stamp::{BootId, Stamp};
pub use watch::{ClockComparison, ClockEvent, LATEST_DATE, Reading, SOURCE_DATE, StepSource};

/// The longest that reading all clocks may take for the values to count as simultaneous.
const MAX_READ_TIME: Duration = Duration::from_millis(5);

/// The most attempts at a simultaneous reading, which fails when the process is interrupted in between.
const MAX_READ_ATTEMPTS: u32 = 10;

/// The clocks of this machine. Clones share one state, so all parts of the agent agree on the time.
#[derive(Clone, Debug)]
pub struct Clock {
    watch: Arc<Mutex<ClockComparison>>,
}

impl Clock {
    /// Starts to monitor the clocks of this boot. `not_before` is a time that has certainly passed,
    /// such as that of the newest record ([`ClockComparison::new`]).
    pub fn start(boot: BootId, not_before: Timestamp) -> Self {
        let watch = ClockComparison::new(boot, read(), not_before);
        Self { watch: Arc::new(Mutex::new(watch)) }
    }

    /// The current moment. Its wall clock is the best-known one as of the last
    /// [`observe`](Self::observe).
    pub fn now(&self) -> Stamp {
        let boot_ms = boot_ms();
        self.lock().stamp(boot_ms)
    }

    /// Reads all clocks and returns what changed, in order. Call it every few seconds: a suspension is
    /// dated by the readings before and after it.
    pub fn observe(&self) -> Vec<ClockEvent> {
        self.lock().observe(read())
    }

    /// Compares the clock with the `Date` of a heartbeat response ([`ClockComparison::heartbeat_date`]).
    pub fn heartbeat_date(
        &self,
        date: Timestamp,
        sent: Stamp,
        received: Stamp,
    ) -> Option<ClockEvent> {
        self.lock().heartbeat_date(date, sent, received)
    }

    /// Whether the wall clock can be right ([`ClockComparison::is_plausible`]); nothing is handed over
    /// before.
    pub fn is_plausible(&self) -> bool {
        self.lock().is_plausible()
    }

    /// Adds a time that has certainly passed ([`ClockComparison::new`]).
    pub fn not_before(&self, passed: Timestamp) {
        self.lock().not_before(passed);
    }

    /// The correction that heartbeats have added to the system's wall clock, in milliseconds.
    pub fn correction_ms(&self) -> i64 {
        self.lock().correction_ms()
    }

    fn lock(&self) -> MutexGuard<'_, ClockComparison> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads all clocks simultaneously: if the process was interrupted in between, it reads them again.
fn read() -> Reading {
    let mut tries = 0;
    loop {
        let before = boot_time();
        let wall = now();
        let awake = awake_time();
        let took = boot_time().saturating_sub(before);
        tries += 1;
        if took <= MAX_READ_TIME || tries == MAX_READ_ATTEMPTS {
            let boot_ms = milliseconds(before + took / 2);
            return Reading { boot_ms, awake_ms: milliseconds(awake), wall };
        }
    }
}

fn boot_ms() -> u64 {
    milliseconds(boot_time())
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The wall clock. It may be wrong or jump.
#[allow(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The time since the machine booted, sleep included; it never jumps.
///
/// Its differences are the durations that people see. This is `CLOCK_BOOTTIME` on Linux and
/// `CLOCK_MONOTONIC_RAW` on macOS, where that clock advances during sleep (`clock_gettime(3)`).
pub fn boot_time() -> Duration {
    #[cfg(target_os = "macos")]
    return macos::time_with_sleep();
    #[cfg(not(target_os = "macos"))]
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// The time since an arbitrary moment, sleep excluded: `CLOCK_MONOTONIC` on Linux, which the service
/// manager uses too.
pub fn awake_time() -> Duration {
    #[cfg(target_os = "macos")]
    return macos::time_awake();
    #[cfg(not(target_os = "macos"))]
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

/// The operating system's id of this boot, which distinguishes an agent restart from a reboot. It is
/// read once.
///
/// # Errors
/// The file or command that provides it cannot be read.
pub fn boot_id() -> Result<String, BootIdError> {
    static ID: OnceLock<String> = OnceLock::new();
    if let Some(id) = ID.get() {
        return Ok(id.clone());
    }
    let id = read_boot_id().map_err(BootIdError)?;
    Ok(ID.get_or_init(|| id.trim().to_owned()).clone())
}

/// The time zone of this process: read at first use, then refreshed by [`refresh_local_zone`].
static ZONE: Mutex<Option<TimeZone>> = Mutex::new(None);

/// The time zone for times that people see, as last read; UTC when there is none. Only the first call
/// reads files.
pub fn local_zone() -> TimeZone {
    let mut known = ZONE.lock().unwrap_or_else(PoisonError::into_inner);
    known.get_or_insert_with(|| zone().unwrap_or(TimeZone::UTC)).clone()
}

/// Reads the time zone again for the next call of [`local_zone`], because a laptop travels. It blocks
/// on the disk, so do not call it in the event loop.
pub fn refresh_local_zone() {
    let read = zone().unwrap_or(TimeZone::UTC);
    *ZONE.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
}

/// Reads the time zone; `None` when it is not known.
pub fn zone() -> Option<TimeZone> {
    TimeZone::try_system().ok().or_else(|| posix_zone(env::var_os("TZ")?.to_str()?))
}

/// Whether times can be shown in the zone that this value of `TZ` names: a POSIX rule, one of the
/// system's zones, or a file.
pub fn is_known_zone(tz: &OsStr) -> bool {
    let Some(tz) = tz.to_str() else { return false };
    let name = tz.trim_start_matches(':');
    let zone = name.rsplit_once("zoneinfo/").map_or(name, |(_, zone)| zone);
    name.is_empty()
        || TimeZone::posix(name).is_ok()
        || TimeZone::get(zone).is_ok()
        || posix_zone(name).is_some()
        || Path::new(name).is_file()
}

/// The zone of a POSIX rule that names daylight-saving time without its dates, such as `CET-1CEST`:
/// from March to November like the C library (tzset(3)), so that `date` shows the same.
fn posix_zone(tz: &str) -> Option<TimeZone> {
    const DAYLIGHT_SAVING: &str = ",M3.2.0,M11.1.0";
    TimeZone::posix(&format!("{}{DAYLIGHT_SAVING}", tz.trim_start_matches(':'))).ok()
}

/// The boot id cannot be read.
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

// The command exists on every macOS, and running it needs neither unsafe code nor another crate.
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
    fn the_boot_id_does_not_change() {
        let first = boot_id().expect("this system has a boot id");
        assert_eq!(first.len(), 36, "{first:?} is a UUID without white space");
        assert_eq!(first, boot_id().expect("a boot id again"));
    }

    #[test]
    fn a_posix_rule_is_a_zone_with_or_without_its_dates() {
        let shown = |tz: &str, time: &str| {
            let zone = TimeZone::posix(tz).ok().or_else(|| posix_zone(tz)).expect(tz);
            let time: Timestamp = time.parse().expect("a time");
            time.to_zoned_datetime(zone).strftime("%H:%M %Z").to_string()
        };
        let (summer, winter) = ("2026-07-03T10:00:00Z", "2026-01-03T10:00:00Z");
        for tz in ["CET-1CEST", "CET-1CEST,M3.5.0,M10.5.0/3"] {
            assert_eq!(shown(tz, summer), "12:00 CEST", "{tz}");
            assert_eq!(shown(tz, winter), "11:00 CET", "{tz}");
        }
        assert_eq!(shown("<+03>-3", summer), "13:00 +03");
    }

    #[test]
    fn unknown_zones_are_detected() {
        for (tz, known) in [
            ("", true),
            ("UTC", true),
            (":UTC", true),
            ("CET-1CEST", true),
            ("<-03>3", true),
            ("Nowhere/At_All", false),
            ("/nowhere/at/all", false),
            ("CET+", false),
        ] {
            assert_eq!(is_known_zone(tz.as_ref()), known, "{tz}");
        }
    }

    #[test]
    fn boot_time_never_goes_back() {
        let first = boot_time();
        assert!(first > Duration::ZERO);
        assert!(boot_time() >= first);
    }

    #[test]
    fn the_clocks_of_this_machine_are_consistent() {
        let clock = Clock::start(BootId::UNKNOWN, Timestamp::UNIX_EPOCH);
        let before = clock.now();
        assert!(clock.is_plausible(), "{before:?}");
        assert_eq!(clock.clone().observe(), [], "no sleep and no step just now");
        let after = clock.now();
        assert!(after.since(&before).is_some());
        let apart = after.wall.duration_since(now()).unsigned_abs();
        assert!(apart < watch::SMALLEST_STEP, "{apart:?}");
    }
}
