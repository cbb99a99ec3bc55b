//! Construction of the journal, clock, monitor, outbox and control socket that the service uses.

use std::{
    ffi::OsStr,
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    clock::{self, BootId, Clock},
    config::{Settings, Sources},
    control,
    error_chain::ErrorChain,
    event::{Advice, BootIdUnknown, ControlUnavailable, LogEvent, OldConfigKept, ReloadRefused},
    heartbeat::{ClientError, CloudClient, HeartbeatAttempt, HeartbeatExtras, ReadExtras},
    installation::Prefix,
    journal::{self, Journal, JournalError, Recovered},
    logging::Logging,
    monitor::{self, Monitor, MonitorMessage, MonitorSettings, SharedTally},
    notify::ServiceManager,
    outbox::{self, Outbox},
    pause::Pause,
    resolver::Resolver,
    sleep::SleepListener,
    state_dir,
    status::{Publisher, place},
};

/// Why the agent cannot run.
#[derive(Debug, Error)]
pub enum StartError {
    /// There is no folder for the journal.
    #[error("there is no folder for the journal: set `state_dir`, or HOME to your own folder")]
    NoFolder,
    /// The journal cannot be opened.
    #[error("the agent cannot keep its journal")]
    Journal(#[from] JournalError),
    /// The HTTP client for heartbeats cannot be created.
    #[error(transparent)]
    Client(ClientError),
}

/// The opened journal and the clock, which monitoring requires.
#[derive(Debug)]
pub struct Foundation {
    boot: String,
    clock: Clock,
    journal: Journal,
    recovered: Recovered,
    state_dir: PathBuf,
    status_dir: PathBuf,
}

impl Foundation {
    /// Opens the journal in the folder that settings and environment select, and reports this to the
    /// service manager. Blocks for at most [`journal::OPEN_LIMIT`].
    ///
    /// # Errors
    /// There is no folder for it, it cannot be opened, or another agent uses it.
    pub fn open(
        settings: &Settings,
        sources: &Sources,
        manager: &ServiceManager,
    ) -> Result<Self, StartError> {
        let (setting, environment) = (settings.state_dir.as_deref(), &sources.environment);
        let homebrew = sources.homebrew.as_ref().map(Prefix::state_dir);
        let state_dir = state_dir::for_agent(setting, environment, homebrew, sources.user == 0)
            .ok_or(StartError::NoFolder)?;
        manager.opening(&state_dir, journal::OPEN_LIMIT);
        let runtime = environment.get(OsStr::new("RUNTIME_DIRECTORY"));
        let status_dir = place::folder(runtime.and_then(|value| value.to_str()), &state_dir);
        let mut boot = clock::boot_id().unwrap_or_else(|error| {
            BootIdUnknown { error: &error }.emit();
            String::new()
        });
        let id = boot.parse().unwrap_or(BootId::UNKNOWN);
        let mut clock = Clock::start(id, jiff::Timestamp::MIN);
        let (journal, recovered) = Journal::open(&state_dir, &settings.device, clock.now())?;
        if let Some(id) = recovered.boot {
            // The boot clock was set back: its times cannot be compared with the journal's.
            boot = id.to_string();
            clock = Clock::start(id, jiff::Timestamp::MIN);
        }
        // The last run's end is in the past, so the wall clock must not show an earlier time.
        let newest = recovered.last_run.map(|last| last.ended.wall);
        if let Some(newest) = newest.filter(|newest| *newest <= clock::LATEST_DATE) {
            clock.not_before(newest);
        }
        Ok(Self { boot, clock, journal, recovered, state_dir, status_dir })
    }
}

/// Handles to everything that the service shares with the monitor, the outbox and the heartbeat client.
pub(super) struct ServiceParts {
    pub(super) boot: String,
    pub(super) clock: Clock,
    pub(super) resolver: Arc<Resolver>,
    pub(super) logging: Logging,
    pub(super) manager: ServiceManager,
    /// Notified by the monitor when connectivity has returned.
    pub(super) connectivity_restored: Arc<Notify>,
    pub(super) results: HeartbeatResults,
    state_dir: StateDir,
    journal: Journal,
    tally: SharedTally,
    clients: watch::Sender<Option<Arc<CloudClient>>>,
}

/// The folder of the journal, which stays the same until the agent stops.
struct StateDir {
    folder: PathBuf,
    /// The setting `state_dir` at the start.
    setting: Option<PathBuf>,
}

/// The control socket, if it could be opened.
pub(super) struct ControlInput(Option<control::ControlServer>);

/// Sends the outcome of each heartbeat to the monitor and to the outbox.
pub(super) struct HeartbeatResults {
    messages: mpsc::UnboundedSender<MonitorMessage>,
    delivered: watch::Sender<bool>,
}

impl ServiceParts {
    /// Starts monitor, outbox, control socket and sleep listener. Returns also the pause that continues.
    pub(super) async fn start(
        settings: &Settings,
        foundation: Foundation,
        logging: Logging,
        manager: ServiceManager,
    ) -> Result<(Self, Option<Pause>, ControlInput, SleepListener), StartError> {
        let Foundation { boot, clock, journal, recovered, state_dir, status_dir } = foundation;
        let (messages, received) = mpsc::unbounded_channel();
        let (clients, client) = watch::channel(None);
        let (delivered, delivered_seen) = watch::channel(false);
        let (returned, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let resolver = Arc::new(Resolver::new());
        let outbox = Outbox::new(outbox::OutboxDeps {
            folder: state_dir.clone(),
            journal: journal.clone(),
            clock_offsets: recovered.clock_offsets.clone(),
            clock: clock.clone(),
            client,
            delivered: delivered_seen,
            closed: Arc::clone(&closed),
            monitor: messages.clone(),
        });
        let publisher = publisher(&status_dir);
        let in_use = StateDir { folder: state_dir.clone(), setting: settings.state_dir.clone() };
        // Before the status shows a running agent: a user who sees that may pause it at once.
        let control = ControlInput::open(&status_dir).await;
        let deps = monitor::MonitorDeps {
            clock: clock.clone(),
            resolver: Arc::clone(&resolver),
            journal: journal.clone(),
            recovered,
            publisher,
            manager: manager.clone(),
            state_dir,
            connectivity_restored: Arc::clone(&returned),
            hand_over_due: closed,
        };
        let monitor = Monitor::start(monitor_settings(settings), deps);
        let (tally, pause) = (monitor.tally(), monitor.pause());
        tokio::spawn(monitor.run(received));
        tokio::spawn(outbox.run());
        let parts = Self {
            boot,
            clock,
            resolver,
            logging,
            manager,
            connectivity_restored: returned,
            results: HeartbeatResults { messages, delivered },
            state_dir: in_use,
            journal,
            tally,
            clients,
        };
        Ok((parts, pause, control, SleepListener::start()))
    }

    /// Returns the function that reads the journal's head and the link quality for each heartbeat.
    pub(super) fn extras(&self) -> Arc<ReadExtras> {
        let (journal, tally) = (self.journal.clone(), self.tally.clone());
        Arc::new(move || HeartbeatExtras {
            journal: journal.state().head.clone(),
            link: tally.take_link_quality(),
        })
    }

    /// Whether the setting `state_dir` names the folder in use.
    pub(super) fn uses_state_dir(&self, setting: Option<&Path>) -> bool {
        let StateDir { folder, setting: at_start } = &self.state_dir;
        setting == at_start.as_deref() || setting == Some(folder)
    }

    /// Logs why a new configuration is refused, and reports the refusal to the service manager.
    pub(super) fn log_refusal(&self, problems: impl IntoIterator<Item = impl fmt::Display>) {
        for problem in problems {
            ReloadRefused { problem: &problem }.emit();
        }
        OldConfigKept.emit();
        self.manager.reload_refused(&self.clock.now());
    }

    /// Sets the client that the outbox uses.
    pub(super) fn set_client(&self, client: Option<&Arc<CloudClient>>) {
        self.clients.send_replace(client.cloned());
    }

    /// Sends the monitor a message.
    pub(super) fn notify_monitor(&self, message: MonitorMessage) {
        self.results.send(message);
    }
}

impl HeartbeatResults {
    /// Sends one outcome.
    pub(super) fn publish(
        &self,
        &HeartbeatAttempt { started, outcome, .. }: &HeartbeatAttempt<'_>,
    ) {
        // The monitor first: the response may correct the clock, which a hand-over uses.
        self.send(MonitorMessage::Heartbeat { started, outcome: outcome.clone() });
        self.delivered.send_replace(outcome.is_delivered());
    }

    fn send(&self, message: MonitorMessage) {
        // The monitor ends only when the agent does.
        let _ = self.messages.send(message);
    }
}

impl ControlInput {
    /// Opens the socket. If that fails, the agent runs but cannot be paused.
    async fn open(folder: &Path) -> Self {
        let path = folder.join(place::SOCKET_NAME);
        match control::ControlServer::bind(&path).await {
            Ok(server) => Self(Some(server)),
            Err(error) => {
                ControlUnavailable { error: &error }.emit();
                Self(None)
            }
        }
    }

    /// Waits for the next request, forever without a socket.
    pub(super) async fn next(&mut self) -> (control::ControlRequest, control::ControlReply) {
        match &mut self.0 {
            Some(server) => server.next().await,
            None => std::future::pending().await,
        }
    }
}

fn publisher(folder: &Path) -> Option<Publisher> {
    // A failure is logged when the first status cannot be written.
    let _ = fs::create_dir_all(folder);
    Publisher::start(folder)
        .inspect_err(|error| {
            let advice = format!("There is no status: {}.", ErrorChain(error));
            Advice { advice: &advice }.emit();
        })
        .ok()
}

/// The part of the settings that the monitor uses.
pub(super) fn monitor_settings(settings: &Settings) -> MonitorSettings {
    let Settings { device, heartbeat, probe, .. } = settings;
    MonitorSettings {
        device: device.clone(),
        probe: probe.clone(),
        heartbeat: heartbeat
            .url
            .as_ref()
            .map(|url| (url.to_string(), url.expose().host_str().map(str::to_owned))),
        interval: heartbeat.interval,
    }
}
