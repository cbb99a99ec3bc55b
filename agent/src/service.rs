//! The service: it sends heartbeats, answers signals and requests, and announces silence. What is
//! watched and recorded is the business of the [`monitor`](crate::monitor), which runs beside it.
//!
//! Whatever it waits for, it waits for requests too, so that neither a server nor a name look-up
//! that hangs delays a reload or the end.

mod observer;
mod parts;
mod pause;
mod reload;

use std::{convert::Infallible, fmt, future, sync::Arc, time::Duration};

use ispmon_wire::AgentState;
use tokio::{
    pin, select,
    sync::{mpsc, oneshot},
    time::{self, Instant, timeout},
};

use crate::{
    clock::{self, Clock, Stamp},
    config::{HeartbeatKind, Loaded, Settings},
    control::{ControlAnswer, ControlReply, ControlRequest},
    error_chain::ErrorChain,
    event::{
        Advice, AgentPaused, AgentResumed, AgentStarted, AgentStartedLocally, AgentStopping,
        ConfigReloaded, ConfigUnchanged, LogEvent, SilenceAnnounced, SilenceNotAnnounced,
        SleepAnnounced, StopAnnounced,
    },
    heartbeat::{self, ClientError, HeartbeatClient, HeartbeatOutcome, Pacing},
    logging::Logging,
    monitor::MonitorMessage,
    notify::ServiceManager,
    signals::SignalRequest,
    sleep::{Permit, SleepEvent},
};
use observer::HeartbeatObserver;
pub use parts::{Foundation, StartError};
use parts::{ServiceParts, monitor_settings};
use pause::{CurrentPause, Ends};
pub use reload::Load;
use reload::Reloader;

/// How long leaving may take in all, from the signal on. With the flush of the log it stays within
/// [`crate::signals::LEAVE_LIMIT`].
const LEAVE_WITHIN: Duration = Duration::from_millis(1_700);
/// How long the last heartbeat may take, and the one that repeats it.
const LAST_HEARTBEAT_LIMIT: Duration = Duration::from_millis(1_500);
/// With less time than this left, the last heartbeat is not repeated.
const SHORTEST_HEARTBEAT_LIMIT: Duration = Duration::from_millis(50);
/// How long a machine that is about to sleep may still be awake: others that delay it have 5 s with
/// logind (`InhibitDelayMaxSec`), and 30 s on macOS. After that it is thought to stay awake.
const FALL_ASLEEP_WITHIN: Duration = Duration::from_mins(2);
/// How long the record may take to note the end.
const RECORD_LIMIT: Duration = Duration::from_millis(500);

/// The state of the running agent.
pub struct Service {
    settings: Settings,
    reporter: Option<Reporter>,
    /// The number of the newest heartbeat of the configurations before this one. The first of an agent
    /// follows the milliseconds since the boot: within a boot the cloud believes the highest number, so
    /// that those of an agent must be above those of the one before, of which nothing is known.
    sequence: u64,
    pause: Option<CurrentPause>,
    running: ServiceParts,
}

/// What reports to the cloud, when there is a URL.
struct Reporter {
    client: Arc<HeartbeatClient>,
    observer: HeartbeatObserver,
}

/// Why the heartbeats of one configuration end.
enum Next {
    /// There is a new configuration.
    Change(Box<ConfigChange>),
    /// A pause begins, and whoever asked for it waits for the answer.
    Pause(Stamp, ControlReply),
    /// The pause is over; so it is answered, if somebody ended it.
    Resume(Option<ControlReply>),
    /// The machine falls asleep when the permit is dropped.
    Sleep(Permit),
    /// The machine has woken up.
    Wake,
    /// The agent leaves.
    Leave(&'static str),
}

/// A new configuration, ready for use.
struct ConfigChange {
    settings: Settings,
    reporter: Option<Reporter>,
}

impl Reporter {
    /// Makes what the settings ask for: nothing at all without a URL. Heartbeats are counted behind
    /// `sequence`.
    fn new(
        settings: &Settings,
        running: &ServiceParts,
        sequence: u64,
    ) -> Result<Option<Self>, ClientError> {
        let Some(url) = settings.heartbeat.url.clone() else { return Ok(None) };
        let resolver = Arc::clone(&running.resolver);
        let client =
            HeartbeatClient::new(&settings.heartbeat, &settings.device, &running.boot, resolver)?
                .counting_from(sequence)
                .with_extras(running.extras())
                .hurried_by(Arc::clone(&running.returned));
        let observer = HeartbeatObserver::new(&settings.device, url);
        Ok(Some(Self { client: Arc::new(client), observer }))
    }
}

impl Service {
    /// Begins to watch on `foundation`; `load` reads the configuration again when a request asks for
    /// it.
    ///
    /// # Errors
    /// The client for heartbeats cannot be made, for instance because no root certificates are found.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(
        loaded: Loaded,
        foundation: Foundation,
        requests: mpsc::UnboundedReceiver<SignalRequest>,
        load: Arc<Load>,
        logging: Logging,
        manager: ServiceManager,
    ) -> Result<Self, StartError> {
        let Loaded { settings, warnings, .. } = loaded;
        advise(&warnings);
        let pause = foundation.pause();
        let running =
            ServiceParts::start(&settings, foundation, requests, load, logging, manager).await?;
        let sequence = running.clock.now().boot_ms;
        let reporter = Reporter::new(&settings, &running, sequence).map_err(StartError::Client)?;
        Ok(Self { settings, reporter, sequence, pause, running })
    }

    /// Runs until a request says to leave, and leaves within
    /// [`LEAVE_LIMIT`](crate::signals::LEAVE_LIMIT) of it.
    pub async fn run(mut self) {
        self.say_start();
        self.running.manager.ready();
        let mut state = AgentState::Running;
        let mut is_to_sleep = false;
        loop {
            self.running.use_client(self.reporter.as_ref().map(|reporter| &reporter.client));
            let next = self.serve(state, is_to_sleep).await;
            self.remember_sequence();
            state = AgentState::Running;
            match next {
                Next::Change(change) => {
                    ConfigChange { settings: self.settings, reporter: self.reporter } = *change;
                    self.announce_pause_again();
                    self.running
                        .tell(MonitorMessage::Change(Box::new(monitor_settings(&self.settings))));
                    self.say_start();
                    self.running.manager.reloaded();
                }
                Next::Pause(until, reply) => self.begin_pause(until, reply),
                Next::Resume(reply) => {
                    self.end_pause(reply);
                    state = AgentState::Resumed;
                }
                Next::Sleep(permit) => {
                    self.sleep(permit).await;
                    (is_to_sleep, state) = (true, AgentState::Resumed);
                }
                Next::Wake => {
                    is_to_sleep = false;
                    self.announce_pause_again();
                    self.running.tell(MonitorMessage::Wake);
                    state = AgentState::Resumed;
                }
                Next::Leave(signal) => return self.leave(signal).await,
            }
        }
    }

    fn say_start(&self) {
        let Settings { device, heartbeat, .. } = &self.settings;
        match &heartbeat.url {
            Some(url) => AgentStarted { device, url, interval: heartbeat.interval }.emit(),
            None => AgentStartedLocally { device }.emit(),
        }
    }

    /// Sends heartbeats, the first in `state`, until something happens that ends them. While paused it
    /// sends one that announces the silence, until that is delivered. A machine that is to sleep sends
    /// none, as that would take the announced silence back, unless it does not sleep in the end.
    async fn serve(&mut self, state: AgentState, is_to_sleep: bool) -> Next {
        let Self { settings, reporter, sequence, pause, running } = self;
        let (client, observer) = match reporter {
            Some(Reporter { client, observer }) => (Some(&*client), Some(observer)),
            None => (None, None),
        };
        let pacing = Pacing::new(&settings.heartbeat);
        let ends = pause.as_ref().map(|pause| pause.ends);
        let told = settings.heartbeat.kind == HeartbeatKind::Ispmon;
        let clock = &running.clock;
        let beats = async {
            if is_to_sleep {
                time::sleep(FALL_ASLEEP_WITHIN).await;
            }
            match pause {
                // A dead-man's switch knows nothing but signs of life, and this would be one more.
                Some(pause) => pause.announce(client.filter(|_| told), pacing, clock).await,
                None => beat(client, observer, pacing, state, &running.beats).await,
            }
        };
        pin!(beats);
        let over = pause_over(ends, clock);
        pin!(over);
        loop {
            let loaded = select! {
                biased;
                Some(request) = running.requests.recv() => match request {
                    SignalRequest::Stop(signal) => return Next::Leave(signal),
                    SignalRequest::Reload => {
                        running.manager.reloading();
                        if let Err(error) = running.reloader.request() {
                            running.keep_old([ErrorChain(&error)]);
                        }
                        continue;
                    }
                },
                () = running.manager.life_is_due() => {
                    running.manager.confirm();
                    continue;
                }
                loaded = running.reloader.finished() => loaded,
                (request, reply) = running.control.next() => match request {
                    ControlRequest::Pause { time } => {
                        return Next::Pause(clock.now().later(time), reply);
                    }
                    ControlRequest::Resume if ends.is_some() => return Next::Resume(Some(reply)),
                    ControlRequest::Resume => {
                        reply.send(&ControlAnswer::NotPaused);
                        continue;
                    }
                },
                event = running.sleep.next() => match event {
                    SleepEvent::AboutToSleep(permit) => return Next::Sleep(permit),
                    SleepEvent::Resumed => return Next::Wake,
                },
                () = &mut over => return Next::Resume(None),
                never = &mut beats => match never {},
            };
            let Loaded { settings: new, warnings, .. } = match loaded {
                Ok(loaded) if loaded.settings == *settings => {
                    ConfigUnchanged.emit();
                    running.manager.reloaded();
                    continue;
                }
                Ok(loaded) => loaded,
                Err(error) => {
                    running.keep_old(error.problems());
                    continue;
                }
            };
            let sequence = client.map_or(*sequence, |client| client.sequence());
            let reporter = match Reporter::new(&new, running, sequence) {
                Ok(reporter) => reporter,
                Err(error) => {
                    running.keep_old([ErrorChain(&error)]);
                    continue;
                }
            };
            running.logging.set_level(new.log.level);
            ConfigReloaded.emit();
            advise(&warnings);
            if !running.uses_state_dir(new.state_dir.as_deref()) {
                Advice { advice: &"The new `state_dir` is used from the next start on." }.emit();
            }
            let concern = |settings: &Settings| {
                let Settings { device, heartbeat, probe, .. } = settings;
                (device.clone(), heartbeat.clone(), probe.clone())
            };
            if concern(&new) != concern(settings) {
                return Next::Change(Box::new(ConfigChange { settings: new, reporter }));
            }
            // Only the log is concerned, so heartbeats keep their rhythm.
            *settings = new;
            running.manager.reloaded();
        }
    }

    fn remember_sequence(&mut self) {
        if let Some(reporter) = &self.reporter {
            self.sequence = reporter.client.sequence();
        }
    }

    fn begin_pause(&mut self, until: Stamp, reply: ControlReply) {
        let since = self.pause.as_ref().map(|pause| pause.since);
        let again = since.is_some();
        let (caller, zone) = (reply.caller(), clock::local_zone());
        AgentPaused { until: &until, caller: &caller, zone: &zone }.emit();
        let since = since.unwrap_or_else(|| self.running.clock.now());
        let pause = CurrentPause::begin(since, until);
        let told = pause.told();
        self.pause = Some(pause);
        let (noted, is_noted) = oneshot::channel();
        self.running.tell(MonitorMessage::Pause { until, noted });
        let is_told =
            self.reporter.is_some() && self.settings.heartbeat.kind == HeartbeatKind::Ispmon;
        // Whoever waits for the answer keeps nobody else waiting.
        tokio::spawn(async move {
            // What is answered outlives a crash, unless the disk hangs.
            let _ = timeout(RECORD_LIMIT, is_noted).await;
            let announced = if is_told { Some(told.await) } else { None };
            reply.send(&ControlAnswer::Paused { until, again, announced });
        });
    }

    /// Something else was told since, or nobody has been told yet.
    fn announce_pause_again(&self) {
        if let Some(pause) = &self.pause {
            pause.announce_again();
        }
    }

    fn end_pause(&mut self, reply: Option<ControlReply>) {
        let Some(pause) = self.pause.take() else { return };
        let caller = reply.as_ref().map(ControlReply::caller);
        AgentResumed { caller: caller.as_ref().map(|caller| caller as &dyn fmt::Display) }.emit();
        self.running.tell(MonitorMessage::Resume);
        if let Some(reply) = reply {
            reply.send(&ControlAnswer::Resumed { paused: pause.since });
        }
    }

    /// Tells the cloud of the machine's sleep, then lets it sleep.
    async fn sleep(&self, permit: Permit) {
        self.running.tell(MonitorMessage::Sleep);
        let quiet = self.settings.heartbeat.quiet_after_sleep.max(self.rest_of_pause());
        self.announce(AgentState::Sleeping, quiet, LAST_HEARTBEAT_LIMIT).await;
        permit.release();
    }

    /// Notes the end in the record, tells the cloud that the coming silence is intended, and ends.
    ///
    /// It is tried whatever became of the heartbeats before: an agent that was started a moment ago
    /// may have delivered none, but the one before it did, and the alarm counts from there.
    async fn leave(self, signal: &'static str) {
        let begun = Instant::now();
        AgentStopping { signal }.emit();
        self.running.manager.stopping(signal);
        let (done, noted) = oneshot::channel();
        self.running.tell(MonitorMessage::Stop { reason: signal, done });
        // A hanging disk must not keep the cloud from being told.
        let _ = timeout(RECORD_LIMIT, noted).await;
        let quiet = self.settings.heartbeat.quiet_after_stop;
        let quiet = quiet.max(self.rest_of_pause());
        let limit = LEAVE_WITHIN.saturating_sub(begun.elapsed()).min(LAST_HEARTBEAT_LIMIT);
        self.announce(AgentState::Stopping, quiet, limit).await;
    }

    /// How much is left of a pause: what was announced for it still holds.
    fn rest_of_pause(&self) -> Duration {
        let pause = self.pause.as_ref();
        pause.map(|pause| pause.rest(&self.running.clock.now())).unwrap_or_default()
    }

    /// Announces a silence, within `limit`: twice, if it leaves the time for that, because an announcement
    /// that was answered may still be lost in the cloud. The second one has a number of its own and says
    /// the same, so that it does not matter which of them arrives, or arrives last.
    async fn announce(&self, state: AgentState, quiet: Duration, limit: Duration) {
        let begun = Instant::now();
        let Some(Reporter { client, .. }) = &self.reporter else { return };
        if self.settings.heartbeat.kind == HeartbeatKind::Plain {
            // A dead-man's switch knows nothing but signs of life, and this would be one more.
            return;
        }
        let first = client.send(state, quiet, limit).await;
        if first.delivered() {
            // Whatever becomes of the second one.
            self.say_announced(state, quiet, &first);
        }
        let rest = limit.saturating_sub(begun.elapsed());
        let second = if rest >= SHORTEST_HEARTBEAT_LIMIT {
            Some(client.send(state, quiet, rest).await)
        } else {
            None
        };
        if !first.delivered() {
            self.say_announced(state, quiet, second.as_ref().unwrap_or(&first));
        }
    }

    fn say_announced(&self, state: AgentState, quiet: Duration, outcome: &HeartbeatOutcome) {
        let device = &self.settings.device;
        match outcome {
            HeartbeatOutcome::Delivered { .. } if state == AgentState::Sleeping => {
                SleepAnnounced { device, quiet }.emit();
            }
            HeartbeatOutcome::Delivered { .. } if quiet.is_zero() => StopAnnounced.emit(),
            HeartbeatOutcome::Delivered { .. } => SilenceAnnounced { device, quiet }.emit(),
            _ => SilenceNotAnnounced { outcome }.emit(),
        }
    }
}

/// Waits until a pause is over, for ever without one.
async fn pause_over(ends: Option<Ends>, clock: &Clock) {
    let Some(ends) = ends else { return future::pending().await };
    while let rest = ends.rest(&clock.now())
        && !rest.is_zero()
    {
        // The machine may sleep meanwhile, which this timer does not count.
        time::sleep(rest.min(Duration::from_secs(5))).await;
    }
}

/// Sends heartbeats for ever, or none at all without a client.
async fn beat(
    client: Option<&Arc<HeartbeatClient>>,
    observer: Option<&mut HeartbeatObserver>,
    pacing: Pacing,
    state: AgentState,
    beats: &parts::Beats,
) -> Infallible {
    let (Some(client), Some(observer)) = (client, observer) else { return future::pending().await };
    let observe = |outcome: &HeartbeatOutcome, wait| {
        for event in observer.observe(outcome, wait, clock::boot_time()) {
            event.emit();
        }
        beats.tell(outcome, wait);
    };
    heartbeat::beat(client, pacing, state, observe).await
}

fn advise(warnings: &[String]) {
    for advice in warnings {
        Advice { advice }.emit();
    }
}
