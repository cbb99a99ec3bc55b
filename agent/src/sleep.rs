//! Notices of the machine's sleep before it begins, so that the agent can announce the silence to the
//! cloud.
//!
//! On Linux, logind sends them over D-Bus and waits while a process holds a *delay lock*; on macOS,
//! IOKit's power management sends them and waits for an acknowledgement. Both wait only for some
//! seconds (5 s by logind's default, 30 s on macOS), so drop a [`Permit`] soon.
//!
//! On a system without either there is no notice and no error: the machine sleeps unannounced, and the
//! clocks detect it afterwards ([`crate::clock::ClockEvent::Suspended`]).

#[cfg(target_os = "linux")]
mod logind;
#[cfg(target_os = "macos")]
mod macos;

use tokio::sync::mpsc;

#[cfg(target_os = "linux")]
use logind as platform;
#[cfg(target_os = "macos")]
use macos as platform;

/// The machine is about to sleep, or has woken.
#[derive(Debug)]
pub enum SleepEvent {
    /// The machine sleeps as soon as the permit is dropped.
    AboutToSleep(Permit),
    /// The machine has woken.
    Resumed,
}

/// Keeps the machine awake while the silence is announced; dropping it lets the machine sleep.
#[derive(Debug)]
#[must_use = "dropped at once, it lets the machine sleep before anything is announced"]
pub struct Permit {
    /// `None` where the system announces the sleep but does not wait.
    hold: Option<platform::Hold>,
}

impl Permit {
    /// Lets the machine sleep.
    pub fn release(self) {
        drop(self.hold);
    }

    /// Whether the system waits for this permit.
    pub fn holds(&self) -> bool {
        self.hold.is_some()
    }
}

/// Receives the sleep events of the machine until it is dropped.
#[derive(Debug)]
pub struct SleepListener {
    events: mpsc::UnboundedReceiver<SleepEvent>,
    _source: platform::Source,
}

impl SleepListener {
    /// Starts to listen, on the current tokio runtime on Linux, on a thread of its own on macOS.
    /// Returns at once; failures are retried in the background or logged at level `debug`.
    ///
    /// # Panics
    /// When called outside of a tokio runtime (Linux).
    pub fn start() -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        Self { events, _source: platform::Source::start(sender) }
    }

    /// Waits for the next event; forever where there are none. Cancel-safe.
    pub async fn next(&mut self) -> SleepEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}
