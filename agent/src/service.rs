//! The service: it sends heartbeats, reacts to signals and requests, and announces silence. The
//! [`monitor`](crate::monitor) probes and records in tasks of its own.
//!
//! Every wait also waits for inputs such as signals and requests, so a hanging server or name lookup
//! delays neither a reload nor a stop.

mod inputs;
mod observer;
mod parts;
mod pause;
mod reload;
mod reporter;

use std::{fmt, future, sync::Arc, time::Duration};

use ispmon_wire::AgentState;
use tokio::{
    pin, select,
    sync::{mpsc, oneshot},
    time::{self, Instant, timeout},
};

use crate::{
    clock::{self, Clock, Stamp},
    config::{ConfigError, Loaded, Settings},
    control::{ControlAnswer, ControlReply},
    error_chain::ErrorChain,
    event::{
        Advice, AgentPaused, AgentResumed, AgentStarted, AgentStartedLocally, AgentStopping,
        ConfigReloaded, ConfigUnchanged, LogEvent,
    },
    heartbeat::{Pacing, Sequence},
    logging::Logging,
    monitor::MonitorMessage,
    notify::ServiceManager,
    pause::Pause,
    signals::SignalRequest,
    sleep::Permit,
};
use inputs::{Input, Inputs};
pub use parts::{Foundation, StartError};
use parts::{ServiceParts, monitor_settings};
use pause::CurrentPause;
pub use reload::Load;
use reload::Reloader;
use reporter::Reporter;

/// Limit of the whole stop, counted from the signal. Together with the flush of the log it stays within
/// [`crate::signals::STOP_LIMIT`].
const STOP_BUDGET: Duration = Duration::from_millis(1_700);
/// Limit of the last heartbeat and its repetition together.
const LAST_HEARTBEAT_LIMIT: Duration = Duration::from_millis(1_500);
/// How long a machine that is about to sleep may stay awake: other programs may delay the sleep for 5 s
/// with logind (`InhibitDelayMaxSec`) and for 30 s on macOS. After that the sleep counts as cancelled.
const FALL_ASLEEP_LIMIT: Duration = Duration::from_mins(2);
/// Limit of waiting until the journal has recorded a stop or a pause.
const RECORD_LIMIT: Duration = Duration::from_millis(500);

/// The running agent.
pub struct Service {
    settings: Settings,
    reporter: Option<Reporter>,
    /// The numbers of the heartbeats. They start above the milliseconds since boot: within a boot the cloud
    /// trusts the highest number, so they must exceed those of the previous agent process, which are unknown.
    sequence: Sequence,
    wakefulness: Wakefulness,
    pause: Option<CurrentPause>,
    inputs: Inputs,
    parts: ServiceParts,
}

/// Decides which state the next heartbeat reports, and whether it is delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wakefulness {
    /// The agent runs.
    Awake,
    /// The machine has woken up, or a pause has ended.
    Resumed,
    /// The machine is about to sleep. A heartbeat would cancel the announced silence, so the next one is
    /// sent only if the machine is still awake after [`FALL_ASLEEP_LIMIT`].
    FallingAsleep,
}

/// Why [`Service::serve`] returned.
enum Interruption {
    /// There is a new configuration.
    Change(Box<ConfigChange>),
    /// A user requested a pause until this time and waits for the reply.
    Pause(Stamp, ControlReply),
    /// The pause is over; holds the reply to the user who ended it, `None` if it expired.
    Resume(Option<ControlReply>),
    /// The machine is about to sleep, and does so when the permit is dropped.
    Sleep(Permit),
    /// The machine has woken up.
    Wake,
    /// This signal requested a stop.
    Stop(&'static str),
}

/// A new configuration and the client made from it.
struct ConfigChange {
    settings: Settings,
    reporter: Option<Reporter>,
}

impl Service {
    /// Starts monitoring with the journal and clock of `foundation`; `load` reads the configuration on
    /// each reload.
    ///
    /// # Errors
    /// The HTTP client cannot be created, for example because no root certificates are found.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(
        loaded: Loaded,
        foundation: Foundation,
        signals: mpsc::UnboundedReceiver<SignalRequest>,
        load: Arc<Load>,
        logging: Logging,
        manager: ServiceManager,
    ) -> Result<Self, StartError> {
        let Loaded { settings, warnings, .. } = loaded;
        log_warnings(&warnings);
        let (parts, pause, control, sleep) =
            ServiceParts::start(&settings, foundation, logging, manager).await?;
        let inputs = Inputs { signals, reloader: Reloader::new(load), control, sleep };
        let sequence = Sequence::after(parts.clock.now().boot_ms);
        let reporter = Reporter::new(&settings, &parts, &sequence).map_err(StartError::Client)?;
        let (wakefulness, pause) = (Wakefulness::Awake, pause.map(CurrentPause::new));
        Ok(Self { settings, reporter, sequence, wakefulness, pause, inputs, parts })
    }

    /// Runs until a signal requests a stop, and stops within [`STOP_LIMIT`](crate::signals::STOP_LIMIT) of it.
    pub async fn run(mut self) {
        self.log_start();
        self.parts.manager.ready();
        loop {
            self.parts.set_client(self.reporter.as_ref().map(Reporter::client));
            let next = self.serve().await;
            if self.wakefulness == Wakefulness::Resumed {
                self.wakefulness = Wakefulness::Awake;
            }
            match next {
                Interruption::Change(change) => self.apply_change(*change),
                Interruption::Pause(until, reply) => self.begin_pause(until, reply),
                Interruption::Resume(reply) => self.end_pause(reply),
                Interruption::Sleep(permit) => self.fall_asleep(permit).await,
                Interruption::Wake => self.wake_up(),
                Interruption::Stop(signal) => return self.stop(signal).await,
            }
        }
    }

    fn log_start(&self) {
        let Settings { device, heartbeat, .. } = &self.settings;
        match &heartbeat.url {
            Some(url) => AgentStarted { device, url, interval: heartbeat.interval }.emit(),
            None => AgentStartedLocally { device }.emit(),
        }
    }

    /// Sends heartbeats until an input requires a change of state. While paused it sends only announcements
    /// of the silence, until they are delivered.
    async fn serve(&mut self) -> Interruption {
        let Self { settings, reporter, sequence, wakefulness, pause, inputs, parts } = self;
        let parts = &*parts;
        let pacing = Pacing::new(&settings.heartbeat);
        let current = pause.as_ref().map(|current| current.pause);
        let heartbeats = async {
            if *wakefulness == Wakefulness::FallingAsleep {
                time::sleep(FALL_ASLEEP_LIMIT).await;
            }
            let state = match wakefulness {
                Wakefulness::Awake => AgentState::Running,
                Wakefulness::Resumed | Wakefulness::FallingAsleep => AgentState::Resumed,
            };
            match (pause, reporter) {
                (Some(pause), reporter) => {
                    let client = reporter.as_ref().and_then(Reporter::announcing_client);
                    pause.announce(client, pacing, &parts.clock).await
                }
                (None, Some(reporter)) => reporter.send_heartbeats(pacing, state, parts).await,
                (None, None) => future::pending().await,
            }
        };
        pin!(heartbeats);
        let over = wait_for_pause_end(current, &parts.clock);
        pin!(over);
        loop {
            let input = select! {
                biased;
                input = inputs.next() => input,
                () = parts.manager.keep_alive_is_due() => {
                    parts.manager.send_keep_alive();
                    continue;
                }
                () = &mut over => return Interruption::Resume(None),
                never = &mut heartbeats => match never {},
            };
            match input {
                Input::Stop(signal) => return Interruption::Stop(signal),
                Input::Reload => {
                    parts.manager.reloading();
                    if let Err(error) = inputs.reloader.request() {
                        parts.log_refusal([ErrorChain(&error)]);
                    }
                }
                Input::Loaded(loaded) => {
                    if let Some(change) = reload(*loaded, settings, sequence, parts) {
                        return Interruption::Change(Box::new(change));
                    }
                }
                Input::Pause(time, reply) => {
                    return Interruption::Pause(parts.clock.now().later(time), reply);
                }
                Input::Resume(reply) if current.is_some() => {
                    return Interruption::Resume(Some(reply));
                }
                Input::Resume(reply) => reply.send(&ControlAnswer::NotPaused),
                Input::Sleep(permit) => return Interruption::Sleep(permit),
                Input::Wake => return Interruption::Wake,
            }
        }
    }

    fn apply_change(&mut self, change: ConfigChange) {
        ConfigChange { settings: self.settings, reporter: self.reporter } = change;
        self.announce_pause_again();
        let settings = monitor_settings(&self.settings);
        self.parts.notify_monitor(MonitorMessage::Change(Box::new(settings)));
        self.log_start();
        self.parts.manager.reloaded();
    }

    fn begin_pause(&mut self, until: Stamp, reply: ControlReply) {
        let current = self.pause.as_ref().map(|current| current.pause);
        let again = current.is_some();
        let (caller, zone) = (reply.caller(), clock::local_zone());
        AgentPaused { until: &until, caller: &caller, zone: &zone }.emit();
        let since = current.map_or_else(|| self.parts.clock.now(), |current| current.since);
        let current = CurrentPause::new(Pause::new(since, until));
        let is_announced = current.wait_for_announcement();
        self.pause = Some(current);
        let (noted, is_noted) = oneshot::channel();
        self.parts.notify_monitor(MonitorMessage::Pause { until, noted });
        let can_announce = self.reporter.as_ref().and_then(Reporter::announcing_client).is_some();
        // In a task of its own: waiting before the reply must not delay the service.
        tokio::spawn(async move {
            // Reply after the journal holds the pause, so that it survives a crash, unless the disk hangs.
            let _ = timeout(RECORD_LIMIT, is_noted).await;
            let announced = if can_announce { Some(is_announced.await) } else { None };
            reply.send(&ControlAnswer::Paused { until, again, announced });
        });
    }

    /// Has the pause announced again, because the cloud has since received another message, or none.
    fn announce_pause_again(&self) {
        if let Some(current) = &self.pause {
            current.announce_again();
        }
    }

    fn end_pause(&mut self, reply: Option<ControlReply>) {
        self.set_resumed();
        let Some(CurrentPause { pause, .. }) = self.pause.take() else { return };
        let caller = reply.as_ref().map(ControlReply::caller);
        AgentResumed { caller: caller.as_ref().map(|caller| caller as &dyn fmt::Display) }.emit();
        self.parts.notify_monitor(MonitorMessage::Resume);
        if let Some(reply) = reply {
            reply.send(&ControlAnswer::Resumed { paused: pause.since });
        }
    }

    /// Announces the machine's sleep to the cloud, then lets it sleep.
    async fn fall_asleep(&mut self, permit: Permit) {
        self.parts.notify_monitor(MonitorMessage::Sleep);
        let quiet = self.settings.heartbeat.quiet_after_sleep.max(self.pause_time_left());
        self.announce(AgentState::Sleeping, quiet, LAST_HEARTBEAT_LIMIT).await;
        permit.release();
        self.wakefulness = Wakefulness::FallingAsleep;
    }

    fn wake_up(&mut self) {
        self.announce_pause_again();
        self.parts.notify_monitor(MonitorMessage::Wake);
        self.wakefulness = Wakefulness::Resumed;
    }

    /// Makes the next heartbeat report a resumption, unless the machine is about to sleep.
    fn set_resumed(&mut self) {
        if self.wakefulness != Wakefulness::FallingAsleep {
            self.wakefulness = Wakefulness::Resumed;
        }
    }

    /// Records the stop and announces the silence to the cloud.
    ///
    /// It is announced even if this process has delivered no heartbeat: it may have started a moment ago,
    /// and the cloud counts the silence from the last heartbeat of the process before it.
    async fn stop(self, signal: &'static str) {
        let started = Instant::now();
        AgentStopping { signal }.emit();
        self.parts.manager.stopping(signal);
        let (done, noted) = oneshot::channel();
        self.parts.notify_monitor(MonitorMessage::Stop { reason: signal, done });
        // A hanging disk must not prevent the announcement.
        let _ = timeout(RECORD_LIMIT, noted).await;
        let quiet = self.settings.heartbeat.quiet_after_stop;
        let quiet = quiet.max(self.pause_time_left());
        let limit = STOP_BUDGET.saturating_sub(started.elapsed()).min(LAST_HEARTBEAT_LIMIT);
        self.announce(AgentState::Stopping, quiet, limit).await;
    }

    /// The time left of a pause, whose announced silence remains valid; zero without a pause.
    fn pause_time_left(&self) -> Duration {
        let now = self.parts.clock.now();
        self.pause.as_ref().map(|current| current.pause.time_left(&now)).unwrap_or_default()
    }

    async fn announce(&self, state: AgentState, quiet: Duration, limit: Duration) {
        if let Some(reporter) = &self.reporter {
            reporter.announce(state, quiet, limit).await;
        }
    }
}

/// Handles the result of reading the configuration again. Returns a change if device, heartbeat or probe
/// settings differ. Otherwise heartbeats keep their schedule, and `settings` becomes the new configuration
/// unless that is refused.
fn reload(
    loaded: Result<Loaded, ConfigError>,
    settings: &mut Settings,
    sequence: &Sequence,
    parts: &ServiceParts,
) -> Option<ConfigChange> {
    let Loaded { settings: new, warnings, .. } = match loaded {
        Ok(loaded) if loaded.settings == *settings => {
            ConfigUnchanged.emit();
            log_warnings(&loaded.warnings);
            parts.manager.reloaded();
            return None;
        }
        Ok(loaded) => loaded,
        Err(error) => {
            parts.log_refusal(error.problems());
            return None;
        }
    };
    let reporter = match Reporter::new(&new, parts, sequence) {
        Ok(reporter) => reporter,
        Err(error) => {
            parts.log_refusal([ErrorChain(&error)]);
            return None;
        }
    };
    parts.logging.set_level(new.log.level);
    ConfigReloaded.emit();
    log_warnings(&warnings);
    if !parts.uses_state_dir(new.state_dir.as_deref()) {
        Advice { advice: &"The new `state_dir` is used from the next start on." }.emit();
    }
    let restart_settings = |settings: &Settings| {
        let Settings { device, heartbeat, probe, .. } = settings;
        (device.clone(), heartbeat.clone(), probe.clone())
    };
    if restart_settings(&new) != restart_settings(settings) {
        return Some(ConfigChange { settings: new, reporter });
    }
    *settings = new;
    parts.manager.reloaded();
    None
}

/// Waits until a pause is over, forever without one.
async fn wait_for_pause_end(pause: Option<Pause>, clock: &Clock) {
    let Some(pause) = pause else { return future::pending().await };
    while let rest = pause.time_left(&clock.now())
        && !rest.is_zero()
    {
        // This timer does not count time asleep, so check the clock every 5 s.
        time::sleep(rest.min(Duration::from_secs(5))).await;
    }
}

fn log_warnings(warnings: &[String]) {
    for advice in warnings {
        Advice { advice }.emit();
    }
}
