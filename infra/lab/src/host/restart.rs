//! Decides what the host does when its handler exits.
//!
//! Source: Azure Functions host, `WorkerProcess.cs` and `HttpFunctionInvocationDispatcher.cs`;
//! measured with Functions host 4.1037.

use std::{fmt, os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

use tokio::time::Instant;

/// The number of errors at which the host gives up.
const ERRORS: u32 = 3;
/// The error count is reset when the next error comes later than this.
const RESET_AFTER: Duration = Duration::from_mins(30);
/// The exit code with which a handler requests a restart.
const RESTART_CODE: i32 = 200;

/// How a handler ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with a code.
    Code(i32),
    /// A signal killed it.
    Signal(i32),
    /// It did not respond in time and was killed.
    NeverReady,
}

/// The host's reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The handler is restarted at once.
    Restart,
    /// None: the host still reports Running, and every request fails.
    Nothing,
    /// The host stops.
    Stop,
}

/// The error count.
#[derive(Debug, Default)]
pub struct Errors {
    count: u32,
    last: Option<Instant>,
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exited with code {code}"),
            Self::Signal(signal) => write!(formatter, "was ended by signal {signal}"),
            Self::NeverReady => formatter.write_str("did not answer in time and was killed"),
        }
    }
}

impl Errors {
    /// Returns the reaction to an ending at `now`.
    ///
    /// Exit code 0 is never an error and never restarted (azure-functions-host issue 6301), 200 is
    /// a restart that does not count; everything else counts, and the third error stops the host
    /// unless more than 30 minutes have passed since the previous one.
    pub fn consequence(&mut self, ending: Ending, now: Instant) -> Consequence {
        match ending {
            Ending::Code(0) => return Consequence::Nothing,
            Ending::Code(RESTART_CODE) => return Consequence::Restart,
            Ending::Code(_) | Ending::Signal(_) | Ending::NeverReady => {}
        }
        if self.last.is_some_and(|last| now.saturating_duration_since(last) > RESET_AFTER) {
            self.count = 0;
        }
        self.last = Some(now);
        self.count += 1;
        if self.count >= ERRORS { Consequence::Stop } else { Consequence::Restart }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies endings, each the given number of minutes after the previous one.
    fn play(endings: &[(u64, Ending)]) -> Vec<Consequence> {
        let mut errors = Errors::default();
        let mut now = Instant::now();
        let mut next = |(minutes, ending): &(u64, Ending)| {
            now += Duration::from_mins(*minutes);
            errors.consequence(*ending, now)
        };
        endings.iter().map(&mut next).collect()
    }

    #[test]
    fn the_third_error_stops_the_host() {
        use Consequence::{Restart, Stop};
        assert_eq!(
            play(&[(0, Ending::Code(1)), (30, Ending::Signal(9)), (30, Ending::NeverReady)]),
            [Restart, Restart, Stop]
        );
    }

    #[test]
    fn errors_are_forgotten_when_the_next_one_comes_late() {
        let crash = Ending::Code(1);
        let consequences = play(&[(0, crash), (1, crash), (31, crash), (1, crash), (1, crash)]);
        assert_eq!(consequences[..4], [Consequence::Restart; 4]);
        assert_eq!(consequences[4], Consequence::Stop);
    }

    #[test]
    fn exit_200_is_a_restart_that_does_not_count() {
        let consequences = play(&[(0, Ending::Code(RESTART_CODE)); 10]);
        assert_eq!(consequences, [Consequence::Restart; 10]);
    }

    #[test]
    fn exit_0_has_no_consequence() {
        assert_eq!(play(&[(0, Ending::Code(0))]), [Consequence::Nothing]);
    }
}
