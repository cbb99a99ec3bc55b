//! Whether the agent that wrote a status file still runs.

use std::time::Duration;

use super::{ConnectivityStatus, Status};
use crate::clock::Stamp;

/// Whether the agent that wrote a status still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It runs, and the status is fresh.
    Running,
    /// Its process exists but has written nothing for this long, which is longer than promised.
    Hanging(Duration),
    /// It has stopped cleanly.
    Stopped,
    /// Its process is gone without a clean stop: it crashed or was killed.
    Gone,
    /// The machine has rebooted since, and the agent was not started again.
    Rebooted,
}

impl Presence {
    /// How much later than promised a status may come, because of load or a slow disk.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Judges a status at `now`; `is_alive` returns whether a process id exists.
    ///
    /// 1. Another boot: the process is gone, even if its id is in use again.
    /// 2. The status reports the clean stop: stopped.
    /// 3. No process with its id: gone.
    /// 4. Nothing written for longer than promised: it hangs, or its id belongs to another process now.
    ///    Sleep of the machine does not count for long, because the agent writes when it wakes.
    pub fn of(status: &Status, now: &Stamp, is_alive: impl FnOnce(u32) -> bool) -> Self {
        // An agent that starts after the clock of its boot was set back uses a new boot id.
        let is_this_boot = now.boot.is_same_of_system(status.written.boot);
        let now = if is_this_boot { Stamp { boot: status.written.boot, ..*now } } else { *now };
        let Some(age) = now.since(&status.written) else { return Self::Rebooted };
        if status.condition == ConnectivityStatus::Stopped {
            return Self::Stopped;
        }
        if !is_alive(status.pid) {
            return Self::Gone;
        }
        if age > status.fresh_for() + Self::PATIENCE { Self::Hanging(age) } else { Self::Running }
    }

    /// Judges a status by this machine's clock and processes.
    pub fn now(status: &Status) -> Self {
        Self::of(status, &Stamp::now(), is_alive)
    }

    /// The value in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Hanging(_) => "hanging",
            Self::Stopped => "stopped",
            Self::Gone => "gone",
            Self::Rebooted => "rebooted",
        }
    }

    /// The end of the period that a status covers: `now` while its writer runs, which writes each
    /// change at once, else the time it was written. An open incident has lasted until then.
    pub fn seen_until(self, status: &Status, now: Stamp) -> Stamp {
        if self.is_running() { now } else { status.written }
    }

    /// Whether the process that wrote the status has ended.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Stopped | Self::Gone | Self::Rebooted)
    }

    /// Whether the agent runs, so that the status is current.
    pub fn is_running(self) -> bool {
        self == Self::Running
    }
}

/// Whether a process with this id exists, of any user.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // Another user's process may not be signalled, but that error shows that it exists.
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::text::tests::status;

    #[test]
    fn a_status_is_current_while_its_writer_lives() {
        let status = status();
        let soon = status.written.later(Duration::from_secs(30));
        assert_eq!(Presence::of(&status, &soon, |pid| pid == status.pid), Presence::Running);
        assert_eq!(Presence::of(&status, &soon, |_| false), Presence::Gone);
    }

    #[test]
    fn a_writer_that_is_later_than_promised_hangs() {
        let status = status();
        let promised = status.written.later(status.fresh_for() + Presence::PATIENCE);
        assert_eq!(Presence::of(&status, &promised, |_| true), Presence::Running);
        let late = promised.later(Duration::from_millis(1));
        let age = status.fresh_for() + Presence::PATIENCE + Duration::from_millis(1);
        assert_eq!(Presence::of(&status, &late, |_| true), Presence::Hanging(age));
    }

    #[test]
    fn after_a_reboot_the_process_id_does_not_count() {
        let status = status();
        let boot = "2c5c1f7e-4a43-4b29-9c4b-6a3f0a9f0001".parse().expect("a boot id");
        let now = Stamp { boot, ..status.written };
        assert_eq!(Presence::of(&status, &now, |_| true), Presence::Rebooted);
    }

    #[test]
    fn an_agent_that_stopped_cleanly_has_stopped_even_while_its_process_still_ends() {
        let status = Status { condition: ConnectivityStatus::Stopped, ..status() };
        assert_eq!(Presence::of(&status, &status.written, |_| true), Presence::Stopped);
    }

    #[test]
    fn this_process_is_alive_and_an_impossible_one_is_not() {
        assert!(is_alive(std::process::id()));
        assert!(is_alive(1), "the first process, which is root's");
        assert!(!is_alive(0));
        assert!(!is_alive(u32::MAX));
    }
}
