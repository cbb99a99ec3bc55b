//! The service: one task that owns everything, sends heartbeats and answers signals.
//!
//! Whatever it waits for, it waits for requests too, so that neither a server nor a name look-up
//! that hangs delays a reload or the end.

mod observer;
mod reload;

use std::{convert::Infallible, fmt, future, sync::Arc, time::Duration};

use ispmon_wire::State;
use tokio::{pin, select, sync::mpsc::UnboundedReceiver};

use crate::{
    clock,
    config::{HeartbeatKind, Loaded, Settings},
    event::{Chain, Event},
    heartbeat::{self, ClientError, HeartbeatClient, Outcome, Pacing},
    logging::Logging,
    signals::Request,
};
use observer::Observer;
pub use reload::Load;
use reload::Reloader;

/// How long the last heartbeat may take. With the flush of the log it stays within
/// [`crate::signals::LEAVE_LIMIT`].
const LAST_HEARTBEAT_LIMIT: Duration = Duration::from_millis(1_500);

/// The state of the running agent.
pub struct Service {
    settings: Settings,
    reporter: Option<Reporter>,
    boot: String,
    /// The number of the newest heartbeat of the configurations before this one.
    sequence: u64,
    requests: UnboundedReceiver<Request>,
    reloader: Reloader,
    logging: Logging,
}

/// What reports to the cloud, when there is a URL.
struct Reporter {
    client: HeartbeatClient,
    observer: Observer,
}

/// Why the heartbeats of one configuration end.
enum Next {
    Change(Box<Change>),
    Leave(&'static str),
}

/// A new configuration, ready for use.
struct Change {
    settings: Settings,
    reporter: Option<Reporter>,
}

impl Reporter {
    /// Makes what the settings ask for: nothing at all without a URL. Heartbeats are counted behind
    /// `sequence`.
    fn new(settings: &Settings, boot: &str, sequence: u64) -> Result<Option<Self>, ClientError> {
        let Some(url) = settings.heartbeat.url.clone() else { return Ok(None) };
        let client = HeartbeatClient::new(&settings.heartbeat, &settings.device, boot)?;
        let client = client.counting_from(sequence);
        Ok(Some(Self { client, observer: Observer::new(&settings.device, url) }))
    }
}

impl Service {
    /// Prepares the service; `load` reads the configuration again when a request asks for it.
    ///
    /// # Errors
    /// The client for heartbeats cannot be made, for instance because no root certificates are found.
    pub fn new(
        loaded: Loaded,
        requests: UnboundedReceiver<Request>,
        load: Arc<Load>,
        logging: Logging,
    ) -> Result<Self, ClientError> {
        let boot = clock::boot_id().unwrap_or_else(|error| {
            Event::BootUnknown { error: &error }.emit();
            String::new()
        });
        let Loaded { settings, warnings, .. } = loaded;
        advise(&warnings);
        let reporter = Reporter::new(&settings, &boot, 0)?;
        let reloader = Reloader::new(load);
        Ok(Self { settings, reporter, boot, sequence: 0, requests, reloader, logging })
    }

    /// Runs until a request says to leave, and leaves within
    /// [`LEAVE_LIMIT`](crate::signals::LEAVE_LIMIT) of it.
    pub async fn run(mut self) {
        self.say_start();
        loop {
            match self.serve().await {
                Next::Change(change) => {
                    self.remember_sequence();
                    Change { settings: self.settings, reporter: self.reporter } = *change;
                    self.say_start();
                }
                Next::Leave(signal) => {
                    Event::Stopping { signal }.emit();
                    return self.announce_silence().await;
                }
            }
        }
    }

    fn say_start(&self) {
        let Settings { device, heartbeat, .. } = &self.settings;
        match &heartbeat.url {
            Some(url) => Event::Started { device, url, interval: heartbeat.interval }.emit(),
            None => Event::StartedLocally { device }.emit(),
        }
    }

    /// Sends heartbeats until there is a new configuration for them or a request to leave.
    async fn serve(&mut self) -> Next {
        let Self { settings, reporter, boot, sequence, requests, reloader, logging } = self;
        let (client, observer) = match reporter {
            Some(Reporter { client, observer }) => (Some(&*client), Some(observer)),
            None => (None, None),
        };
        let beats = beat(client, observer, Pacing::new(&settings.heartbeat));
        pin!(beats);
        loop {
            let loaded = select! {
                biased;
                Some(request) = requests.recv() => match request {
                    Request::Stop(signal) => return Next::Leave(signal),
                    Request::Reload => {
                        if let Err(error) = reloader.request() {
                            keep_old([Chain(&error)]);
                        }
                        continue;
                    }
                },
                loaded = reloader.finished() => loaded,
                never = &mut beats => match never {},
            };
            let Loaded { settings: new, warnings, .. } = match loaded {
                Ok(loaded) if loaded.settings == *settings => {
                    Event::ReloadedUnchanged.emit();
                    continue;
                }
                Ok(loaded) => loaded,
                Err(error) => {
                    keep_old(error.problems());
                    continue;
                }
            };
            let sequence = client.map_or(*sequence, HeartbeatClient::sequence);
            let reporter = match Reporter::new(&new, boot, sequence) {
                Ok(reporter) => reporter,
                Err(error) => {
                    keep_old([Chain(&error)]);
                    continue;
                }
            };
            logging.set_level(new.log.level);
            Event::Reloaded.emit();
            advise(&warnings);
            if (&new.device, &new.heartbeat) != (&settings.device, &settings.heartbeat) {
                return Next::Change(Box::new(Change { settings: new, reporter }));
            }
            // Only the log is concerned, so heartbeats keep their rhythm.
            *settings = new;
        }
    }

    fn remember_sequence(&mut self) {
        if let Some(reporter) = &self.reporter {
            self.sequence = reporter.client.sequence();
        }
    }

    /// Tells the cloud that the coming silence is intended.
    ///
    /// It is tried whatever became of the heartbeats before: an agent that was started a moment ago
    /// may have delivered none, but the one before it did, and the alarm counts from there.
    async fn announce_silence(&self) {
        let Some(reporter) = &self.reporter else { return };
        let Settings { device, heartbeat, .. } = &self.settings;
        if heartbeat.kind == HeartbeatKind::Plain {
            // A dead-man's switch knows nothing but signs of life, and this would be one more.
            return;
        }
        let quiet = heartbeat.quiet_after_stop;
        let outcome = reporter.client.send(State::Stopping, quiet, LAST_HEARTBEAT_LIMIT).await;
        match outcome {
            Outcome::Delivered { .. } if quiet.is_zero() => Event::StopAnnounced.emit(),
            Outcome::Delivered { .. } => Event::SilenceAnnounced { device, quiet }.emit(),
            _ => Event::SilenceNotAnnounced { outcome: &outcome }.emit(),
        }
    }
}

/// Sends heartbeats for ever, or none at all without a client.
async fn beat(
    client: Option<&HeartbeatClient>,
    observer: Option<&mut Observer>,
    pacing: Pacing,
) -> Infallible {
    let (Some(client), Some(observer)) = (client, observer) else { return future::pending().await };
    let observe = |outcome: &Outcome, wait| {
        for event in observer.observe(outcome, wait, clock::boot_time()) {
            event.emit();
        }
    };
    heartbeat::beat(client, pacing, observe).await
}

fn advise(warnings: &[String]) {
    for advice in warnings {
        Event::Advice { advice }.emit();
    }
}

fn keep_old(problems: impl IntoIterator<Item = impl fmt::Display>) {
    for problem in problems {
        Event::ReloadRefused { problem: &problem }.emit();
    }
    Event::ReloadKeptOld.emit();
}
