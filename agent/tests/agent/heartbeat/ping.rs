//! Runs `ispmon-agent ping` with a configuration and an environment.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Output};

use crate::process::Folder;

/// Exit code and output of a run.
#[derive(Debug)]
pub(crate) struct PingOutput {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// Pings `url` as the device `dl-home` with the key `k3y`.
pub(crate) fn ping(url: &str, environment: &[(&str, &str)]) -> PingOutput {
    let folder = Folder::with(&format!(
        "device = \"dl-home\"\n[heartbeat]\nurl = \"{url}\"\nkey_file = \"./key\"\ntimeout = \"60s\"\n"
    ));
    let key = folder.path().join("key");
    fs::write(&key, "k3y\n").expect("the key is written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("the key is private");
    ping_in(&folder, environment)
}

/// Pings with the folder's configuration.
pub(crate) fn ping_in(folder: &Folder, environment: &[(&str, &str)]) -> PingOutput {
    let mut command = folder.command(["ping"]);
    let Output { status, stdout, stderr } =
        command.envs(environment.iter().copied()).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("the program writes text");
    PingOutput { code: status.code(), output: text(stdout), errors: text(stderr) }
}
