//! A cloud for one device, in which a minute of the story takes one second.

use std::{path::PathBuf, time::Duration};

use ispmon_lab::{
    clock::StoryClock,
    cloud::{Cloud, CloudSettings},
    host::keys::Keys,
    telemetry::IngestionDelay,
};
use tempfile::TempDir;

/// The device that the rules expect.
pub(crate) const DEVICE: &str = "dl-home";
/// The function key of the cloud.
pub(crate) const KEY: &str = "the-key-of-dl-home";
/// Each test takes less than a minute; after this time it has hung.
pub(crate) const HANG: Duration = Duration::from_mins(2);

/// The lab, which is the function and the agent too.
pub(crate) fn lab() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_ispmon-lab"))
}

/// Starts the cloud; its mails are written to the folder `mail` in `home`.
pub(crate) async fn start_cloud(home: &TempDir, clock: StoryClock) -> Cloud {
    Cloud::start(CloudSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        keys: Keys::host(KEY),
        devices: vec![DEVICE.to_owned()],
        mail_folder: home.path().join("mail"),
        executable: lab(),
        delay: IngestionDelay::NONE,
        seed: 0,
        clock,
    })
    .await
    .expect("the cloud starts")
}
