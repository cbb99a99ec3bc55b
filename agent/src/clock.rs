//! The only place that reads clocks; everything else takes times as values.

#[cfg(target_os = "macos")]
mod macos;
mod stamp;
mod watch;

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
#[cfg(not(target_os = "macos"))]
use rustix::time::{ClockId, clock_gettime};

pub use stamp::{BootId, Stamp};
pub use watch::{
    ClockEvent, ClockWatch, DARK_WAKE, DATE_TOLERANCE, LATEST_DATE, Reading, SHORTEST_SUSPENSION,
    SMALLEST_STEP, SOURCE_DATE, StepSource,
};

/// How long reading all clocks may take for the reading to be of one moment.
const ONE_MOMENT: Duration = Duration::from_millis(5);

/// How often clocks are read again when it took longer, because the process was interrupted.
const READINGS: u32 = 10;

/// The clocks of this machine, for everyone in the agent who needs to know what time it is; its clones
/// show the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    watch: Arc<Mutex<ClockWatch>>,
}

impl Clock {
    /// Begins to watch the clocks of this boot; `not_before` is a time that has certainly passed, such as
    /// that of the newest record ([`ClockWatch::new`]).
    pub fn start(boot: BootId, not_before: Timestamp) -> Self {
        let watch = ClockWatch::new(boot, read(), not_before);
        Self { watch: Arc::new(Mutex::new(watch)) }
    }

    /// This moment. Its wall clock is the best-known one as of the newest look.
    pub fn now(&self) -> Stamp {
        let boot_ms = boot_ms();
        self.lock().stamp(boot_ms)
    }

    /// Looks at all clocks; what they tell is in order. Meant for every second: a suspension is dated by
    /// the looks before and after it.
    pub fn observe(&self) -> Vec<ClockEvent> {
        self.lock().observe(read())
    }

    /// Takes the `date` of an answer to a heartbeat ([`ClockWatch::heartbeat_date`]).
    pub fn heartbeat_date(
        &self,
        date: Timestamp,
        sent: Stamp,
        received: Stamp,
    ) -> Option<ClockEvent> {
        self.lock().heartbeat_date(date, sent, received)
    }

    /// Whether the wall clock can be right ([`ClockWatch::is_plausible`]); nothing is handed over before.
    pub fn is_plausible(&self) -> bool {
        self.lock().is_plausible()
    }

    /// Learns of a time that has certainly passed ([`ClockWatch::new`]).
    pub fn not_before(&self, passed: Timestamp) {
        self.lock().not_before(passed);
    }

    /// What heartbeats have added to the system's wall clock, in milliseconds.
    pub fn correction_ms(&self) -> i64 {
        self.lock().correction_ms()
    }

    fn lock(&self) -> MutexGuard<'_, ClockWatch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads all clocks at the same moment: when something came between, they are read again.
fn read() -> Reading {
    let mut tries = 0;
    loop {
        let before = boot_time();
        let wall = now();
        let awake = awake_time();
        let took = boot_time().saturating_sub(before);
        tries += 1;
        if took <= ONE_MOMENT || tries == READINGS {
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

/// The wall clock. It may be wrong, and it may jump.
#[allow(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The time since the machine booted, including the time that it slept; it never jumps.
///
/// Differences of it are durations to show to people. Linux calls this clock `CLOCK_BOOTTIME`, macOS
/// `CLOCK_MONOTONIC_RAW`, which there goes on while the machine sleeps (`clock_gettime(3)`).
pub fn boot_time() -> Duration {
    #[cfg(target_os = "macos")]
    return macos::time_with_sleep();
    #[cfg(not(target_os = "macos"))]
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// The time since some moment in the past, without the time that the machine slept.
fn awake_time() -> Duration {
    #[cfg(target_os = "macos")]
    return macos::time_awake();
    #[cfg(not(target_os = "macos"))]
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

/// The operating system's id of this boot: it tells a restarted agent from a restarted machine. It is
/// read once.
///
/// # Errors
/// The file or command that knows it cannot be read.
pub fn boot_id() -> Result<String, BootIdError> {
    static ID: OnceLock<String> = OnceLock::new();
    if let Some(id) = ID.get() {
        return Ok(id.clone());
    }
    let id = read_boot_id().map_err(BootIdError)?;
    Ok(ID.get_or_init(|| id.trim().to_owned()).clone())
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

    #[test]
    fn the_clocks_of_this_machine_agree_with_themselves() {
        let clock = Clock::start(BootId::UNKNOWN, Timestamp::UNIX_EPOCH);
        let before = clock.now();
        assert!(clock.is_plausible(), "{before:?}");
        assert_eq!(clock.clone().observe(), [], "it neither slept nor was set a moment ago");
        let after = clock.now();
        assert!(after.since(&before).is_some());
        let apart = after.wall.duration_since(now()).unsigned_abs();
        assert!(apart < SMALLEST_STEP, "{apart:?}");
    }
}
