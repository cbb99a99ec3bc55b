//! The machine's sleep, heard of before it begins, so that the cloud can be told of the silence.
//!
//! On Linux logind tells over D-Bus, and waits for whoever holds a *delay lock*; on macOS the power
//! management of IOKit tells, and waits for an acknowledgement. Both wait for some seconds at most (5 s
//! by logind's default, 30 s on macOS), so that whoever takes a [`Permit`] should drop it soon.
//!
//! A system without either is watched in vain and without complaint: the machine then falls asleep
//! unannounced, and the clocks tell afterwards ([`crate::clock::ClockEvent::Suspended`]).

#[cfg(target_os = "linux")]
mod logind;
#[cfg(target_os = "macos")]
mod macos;

use tokio::sync::mpsc;

#[cfg(target_os = "linux")]
use logind as platform;
#[cfg(target_os = "macos")]
use macos as platform;

/// What the machine is about to do, or has done.
#[derive(Debug)]
pub enum SleepEvent {
    /// It falls asleep as soon as the permit is dropped.
    AboutToSleep(Permit),
    /// It has woken up.
    Resumed,
}

/// Keeps the machine awake for the moment that the announcement takes; dropped, it lets it sleep.
#[derive(Debug)]
#[must_use = "dropped at once, it lets the machine sleep before anything is announced"]
pub struct Permit {
    /// `None` where the system told of the sleep, but does not wait for anybody.
    hold: Option<platform::Hold>,
}

impl Permit {
    /// Lets the machine sleep.
    pub fn release(self) {
        drop(self.hold);
    }

    /// Whether the machine waits for this permit.
    pub fn holds(&self) -> bool {
        self.hold.is_some()
    }
}

/// Hears of the machine's sleep for as long as it lives.
#[derive(Debug)]
pub struct Watcher {
    events: mpsc::UnboundedReceiver<SleepEvent>,
    _source: platform::Source,
}

impl Watcher {
    /// Begins to listen, on the current tokio runtime on Linux, on a thread of its own on macOS. Returns at
    /// once; whatever fails is tried again in the background, or told at level `debug`.
    ///
    /// # Panics
    /// It is called outside of a tokio runtime (Linux).
    pub fn start() -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        Self { events, _source: platform::Source::start(sender) }
    }

    /// Waits for the next event, for ever where there will be none. Nothing is lost when the wait is given
    /// up.
    pub async fn next(&mut self) -> SleepEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}
