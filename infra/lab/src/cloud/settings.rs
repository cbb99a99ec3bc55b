//! The settings of a cloud.

use std::{net::SocketAddr, path::PathBuf};

use crate::{clock::StoryClock, host::keys::Keys, telemetry::IngestionDelay};

/// The settings of a cloud.
#[derive(Clone, Debug)]
pub struct CloudSettings {
    /// The address that clients connect to; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The accepted keys.
    pub keys: Keys,
    /// The devices that the rules cover, instead of the deployed ones; without commas.
    pub devices: Vec<String>,
    /// The folder for mails; created when it does not exist.
    pub mail_folder: PathBuf,
    /// The executable that runs as the function when it is started under the function's name: the
    /// lab itself.
    pub executable: PathBuf,
    /// The ingestion delay of the telemetry, in story time.
    pub delay: IngestionDelay,
    /// The seed of everything random.
    pub seed: u64,
    /// The clock for story time.
    pub clock: StoryClock,
}
