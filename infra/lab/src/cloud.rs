//! The whole cloud side as one running thing: host, telemetry, alert rules and mail.
//!
//! - [`settings`] is what it is told.
//! - [`event`] is what it tells.
//!
//! Inside, `folder` makes the app folder with what gets deployed and the lab itself as the function,
//! `ingestion` takes the host's telemetry in, and `evaluation` sends the mails when it is time.

mod evaluation;
pub mod event;
mod folder;
mod ingestion;
pub mod settings;

use std::{collections::BTreeMap, io, net::SocketAddr, path::PathBuf, sync::Arc};

use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    host::{Host, HostError, HostSettings},
    mail::{MailError, MailFolder},
    rules::{self, Rule, RuleEngine, RulesError},
    telemetry::Store,
};
use evaluation::Evaluation;
pub use event::{CloudEvent, HandedOver, HeartbeatRow};
use ingestion::IngestedRows;
pub use settings::CloudSettings;

/// The app setting that tells the function which devices are watched.
const EXPECTED_DEVICES: &str = "EXPECTED_DEVICES";

/// Why the cloud cannot start.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// The app folder cannot be made.
    #[error("cannot make the folder of the function app `{}`", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The rules of the deployment cannot be played.
    #[error("cannot play the alert rules of the deployment")]
    Rules(#[from] RulesError),
    /// The mail folder cannot be used.
    #[error("cannot keep mails")]
    Mail(#[from] MailError),
    /// The host cannot start.
    #[error("cannot start the stand-in for the Functions host")]
    Host(#[from] HostError),
}

/// A running cloud; dropping it kills the function and removes its folder.
#[derive(Debug)]
pub struct Cloud {
    host: Host,
    events: mpsc::UnboundedReceiver<CloudEvent>,
    evaluation: JoinSet<()>,
    // Last, so that it is removed when nothing runs in it any more.
    _folder: TempDir,
}

impl Cloud {
    /// Starts everything; requests are taken from now on, and the rules count from now.
    pub async fn start(settings: CloudSettings) -> Result<Self, CloudError> {
        let CloudSettings { listen, keys, devices, mail_folder, executable, delay, seed, clock } =
            settings;
        let rules: Vec<Rule> =
            rules::deployed()?.iter().map(|rule| rule.with_devices(&devices)).collect();
        let mails = MailFolder::open(mail_folder)?;
        let folder = folder::create(&executable)?;
        let (sender, events) = mpsc::unbounded_channel();
        let store = Store::new(clock, delay, seed);
        let ingestion = Arc::new(IngestedRows::new(store, clock, sender));
        let taking_in = Arc::clone(&ingestion);
        let host = Host::start(HostSettings {
            app: folder.path().to_path_buf(),
            listen,
            keys,
            app_settings: BTreeMap::from([(EXPECTED_DEVICES.to_owned(), devices.join(","))]),
            front_end: true,
            clock,
            observer: Arc::new(move |event| taking_in.take(event)),
        })
        .await?;
        let engine = RuleEngine::new(rules, clock.now());
        let mut evaluation = JoinSet::new();
        evaluation.spawn(Evaluation::new(clock, engine, mails, ingestion).run());
        Ok(Self { host, events, evaluation, _folder: folder })
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.host.address()
    }

    /// The next event; waits for ever when nothing happens. Nothing is lost when the wait is given up.
    pub async fn next_event(&mut self) -> CloudEvent {
        match self.events.recv().await {
            Some(event) => event,
            // The host and the evaluation hold senders as long as they run.
            None => std::future::pending().await,
        }
    }

    /// Stops as the host does: finishes what is in flight, kills the function; the folder goes.
    pub async fn stop(mut self) {
        self.evaluation.abort_all();
        self.host.stop().await;
    }
}
