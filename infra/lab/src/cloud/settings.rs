//! What a cloud is told.

use std::{net::SocketAddr, path::PathBuf};

use crate::{clock::StoryClock, host::keys::Keys, telemetry::IngestionDelay};

/// What a cloud is told.
#[derive(Clone, Debug)]
pub struct CloudSettings {
    /// Where clients connect; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Who may call.
    pub keys: Keys,
    /// The devices that the rules watch, in place of those of the deployment; without commas.
    pub devices: Vec<String>,
    /// Where mails are written; made when it does not exist.
    pub mail_folder: PathBuf,
    /// The program that is the function when it is started under the function's name: the lab itself.
    pub executable: PathBuf,
    /// How long telemetry takes until queries see it, in story time.
    pub delay: IngestionDelay,
    /// Decides everything random.
    pub seed: u64,
    /// The story's time.
    pub clock: StoryClock,
}
