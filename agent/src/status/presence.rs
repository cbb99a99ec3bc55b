//! Whether the agent that wrote a status file still runs.

use std::time::Duration;

use super::{ConnectivityStatus, Status};
use crate::clock::Stamp;

/// Whether the agent that wrote a status still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It runs, and the status is fresh.
    Running,
    /// Its process is there, but has written nothing for this long, although it should have.
    Hanging(Duration),
    /// It has stopped in order.
    Stopped,
    /// Its process is gone without having said so: it crashed, or was killed.
    Gone,
    /// The machine has been started again since, and the agent has not.
    Rebooted,
}

impl Presence {
    /// How much later than promised a status may come: a machine under load, a slow disk.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Judges a status at `now`, while `is_alive` says which processes there are.
    ///
    /// 1. Another boot: the process is gone with it, whatever has its number now.
    /// 2. The status says that the agent stops: it has.
    /// 3. No process of its number: gone.
    /// 4. Nothing written for longer than promised: it hangs, or its number belongs to another
    ///    process now. Time that the machine slept is not held against it for long: it writes when it
    ///    wakes.
    pub fn of(status: &Status, now: &Stamp, is_alive: impl FnOnce(u32) -> bool) -> Self {
        // An agent that was started after the clock of its boot was set back names the boot anew.
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

    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Hanging(_) => "hanging",
            Self::Stopped => "stopped",
            Self::Gone => "gone",
            Self::Rebooted => "rebooted",
        }
    }

    /// Until when what a status says has been seen: until `now` while its writer runs, which writes each
    /// change at once, else until it was written. Whoever says how long an open incident has lasted
    /// counts until then.
    pub fn seen_until(self, status: &Status, now: Stamp) -> Stamp {
        if self.is_running() { now } else { status.written }
    }

    /// Whether there is an agent that what the status says can be taken from.
    pub fn is_running(self) -> bool {
        self == Self::Running
    }
}

/// Whether there is a process of this number, whoever's it is.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // Somebody else's process may not be signalled, which shows that it is there.
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::text::tests::status;

    #[test]
    fn a_status_is_as_good_as_its_writer_is_alive() {
        let status = status();
        let soon = status.written.later(Duration::from_secs(30));
        assert_eq!(Presence::of(&status, &soon, |pid| pid == status.pid), Presence::Running);
        assert_eq!(Presence::of(&status, &soon, |_| false), Presence::Gone);
    }

    #[test]
    fn a_writer_that_says_nothing_for_longer_than_it_promised_hangs() {
        let status = status();
        let promised = status.written.later(status.fresh_for() + Presence::PATIENCE);
        assert_eq!(Presence::of(&status, &promised, |_| true), Presence::Running);
        let late = promised.later(Duration::from_millis(1));
        let age = status.fresh_for() + Presence::PATIENCE + Duration::from_millis(1);
        assert_eq!(Presence::of(&status, &late, |_| true), Presence::Hanging(age));
    }

    #[test]
    fn after_a_boot_the_number_of_the_process_says_nothing() {
        let status = status();
        let boot = "2c5c1f7e-4a43-4b29-9c4b-6a3f0a9f0001".parse().expect("a boot id");
        let now = Stamp { boot, ..status.written };
        assert_eq!(Presence::of(&status, &now, |_| true), Presence::Rebooted);
    }

    #[test]
    fn who_said_goodbye_has_stopped_even_while_the_process_still_ends() {
        let status = Status { condition: ConnectivityStatus::Stopped, ..status() };
        assert_eq!(Presence::of(&status, &status.written, |_| true), Presence::Stopped);
    }

    #[test]
    fn this_process_is_alive_and_the_impossible_one_is_not() {
        assert!(is_alive(std::process::id()));
        assert!(is_alive(1), "the first process, which is root's");
        assert!(!is_alive(0));
        assert!(!is_alive(u32::MAX));
    }
}
