//! The whole cloud side as one object: host, telemetry, alert rules and mail.
//!
//! - [`settings`] is its input.
//! - [`event`] is its output.
//!
//! Inside, `folder` creates the app folder with the deployed files and the lab itself as the
//! function, `ingestion` stores the host's telemetry, and `evaluation` runs the rules on schedule
//! and sends the mails.

mod evaluation;
pub mod event;
mod folder;
mod ingestion;
pub mod settings;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use ispmon_function::EXPECTED_VARIABLE;
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
pub use folder::AppFolderError;
use ingestion::IngestedRows;
pub use settings::CloudSettings;

/// Why the cloud cannot start.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// The app folder could not be created.
    #[error(transparent)]
    Folder(#[from] AppFolderError),
    /// The rules of the deployment cannot be evaluated.
    #[error("cannot evaluate the alert rules of the deployment")]
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
    // The last field, so that the folder is removed when nothing runs in it anymore.
    _folder: TempDir,
}

impl Cloud {
    /// Starts all parts. From now on requests are served, and the rules' schedules begin.
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
            app_settings: BTreeMap::from([(EXPECTED_VARIABLE.to_owned(), devices.join(","))]),
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

    /// The address that clients connect to.
    pub const fn address(&self) -> SocketAddr {
        self.host.address()
    }

    /// Returns the next event; never returns when nothing happens. Cancel-safe.
    pub async fn next_event(&mut self) -> CloudEvent {
        match self.events.recv().await {
            Some(event) => event,
            // The host and the evaluation hold senders while they run.
            None => std::future::pending().await,
        }
    }

    /// Stops as the host does: finishes requests in flight, kills the function; then removes the
    /// folder.
    pub async fn stop(mut self) {
        self.evaluation.abort_all();
        self.host.stop().await;
    }
}
