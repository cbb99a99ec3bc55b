//! The inputs that interrupt the heartbeats: signals, reloads, users' requests, sleep.

use std::time::Duration;

use tokio::{select, sync::mpsc};

use super::{parts::ControlInput, reload::Reloader};
use crate::{
    config::{ConfigError, Loaded},
    control::{ControlReply, ControlRequest},
    signals::SignalRequest,
    sleep::{Permit, SleepEvent, SleepListener},
};

/// The sources of [`Input`].
pub(super) struct Inputs {
    pub(super) signals: mpsc::UnboundedReceiver<SignalRequest>,
    pub(super) reloader: Reloader,
    pub(super) control: ControlInput,
    pub(super) sleep: SleepListener,
}

/// An input that the service reacts to.
pub(super) enum Input {
    /// This signal requested a stop.
    Stop(&'static str),
    /// Read the configuration again.
    Reload,
    /// The configuration has been read again.
    Loaded(Box<Result<Loaded, ConfigError>>),
    /// A user requests a pause of this length.
    Pause(Duration, ControlReply),
    /// A user requests the end of the pause.
    Resume(ControlReply),
    /// The machine is about to sleep, and does so when the permit is dropped.
    Sleep(Permit),
    /// The machine has woken up.
    Wake,
}

impl Inputs {
    /// Waits for the next input, signals first. Cancel-safe: dropping the future loses no input.
    pub(super) async fn next(&mut self) -> Input {
        select! {
            biased;
            Some(request) = self.signals.recv() => match request {
                SignalRequest::Stop(signal) => Input::Stop(signal),
                SignalRequest::Reload => Input::Reload,
            },
            loaded = self.reloader.next_result() => Input::Loaded(Box::new(loaded)),
            (request, reply) = self.control.next() => match request {
                ControlRequest::Pause { time } => Input::Pause(time, reply),
                ControlRequest::Resume => Input::Resume(reply),
            },
            event = self.sleep.next() => match event {
                SleepEvent::AboutToSleep(permit) => Input::Sleep(permit),
                SleepEvent::Resumed => Input::Wake,
            },
        }
    }
}
