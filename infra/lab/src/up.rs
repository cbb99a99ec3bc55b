//! `ispmon-lab up`: the cloud side in real time, for the real agent, curl or another client.
//!
//! - [`key`] chooses the function key that clients need.
//! - [`guide`] prints commands to try, [`report`] prints the events.

pub mod guide;
pub mod key;
pub mod report;

use std::{
    collections::HashSet,
    env,
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use ispmon_wire::comparison_key;

use crate::{
    clock::{Scale, StoryClock},
    cloud::{Cloud, CloudError, CloudEvent, CloudSettings},
    exit,
    host::keys::Keys,
    signals::StopSignals,
    telemetry::IngestionDelay,
};
use guide::Guide;
use key::{Key, LabKeyError};

/// The device that the rules cover by default.
const DEVICE: &str = "dl-home";

/// The most devices in a rule, as in the templates.
const MOST_DEVICES: usize = 200;

/// Arguments of `up`.
#[derive(Clone, Debug, clap::Args)]
pub struct UpArguments {
    /// The address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7071")]
    listen: SocketAddr,

    /// The folder that mails are written to
    #[arg(long, value_name = "FOLDER", default_value = "mails")]
    mail_dir: PathBuf,

    /// A device that the rules monitor; may be given several times [default: dl-home]
    #[arg(long = "device", value_name = "NAME", value_parser = device)]
    devices: Vec<String>,

    /// The function key; other users can see it in the list of processes
    #[arg(long, value_name = "KEY", value_parser = key::check, conflicts_with = "key_file")]
    key: Option<String>,

    /// A file that holds the function key
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// Seconds until the rules see a heartbeat, or `azure` for delays as there
    #[arg(long, value_name = "DELAY", default_value = "azure")]
    ingestion_delay: IngestionDelay,
}

/// Why `up` fails.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// More devices than a rule can hold.
    #[error("{0} devices are more than a rule holds; name at most {MOST_DEVICES}")]
    Devices(usize),
    /// There is no usable key.
    #[error(transparent)]
    Key(#[from] LabKeyError),
    /// The path of the lab's own executable, which is also the function, is unknown.
    #[error("cannot find this program itself, to start the function from it")]
    Executable(#[source] io::Error),
    /// The cloud cannot start.
    #[error("cannot start the cloud")]
    Cloud(#[from] CloudError),
    /// Tokio's runtime could not be built.
    #[error("cannot prepare to run")]
    Runtime(#[source] io::Error),
    /// The output could not be printed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// The host gave up.
    #[error("the Functions host has stopped: {0}")]
    HostStopped(String),
}

/// Runs until SIGINT, SIGTERM or SIGHUP, and prints the events; errors go to standard error.
pub fn main(arguments: &UpArguments) -> ExitCode {
    exit::code(run(arguments))
}

fn run(arguments: &UpArguments) -> Result<(), UpError> {
    let key = Key::choose(arguments.key.as_deref(), arguments.key_file.as_deref())?;
    let executable = env::current_exe().map_err(UpError::Executable)?;
    let devices = expected_devices(&arguments.devices)?;
    let settings = CloudSettings {
        listen: arguments.listen,
        keys: Keys::host(key.expose()),
        devices: devices.clone(),
        mail_folder: arguments.mail_dir.clone(),
        executable,
        delay: arguments.ingestion_delay,
        seed: fastrand::u64(..),
        clock: StoryClock::start(Scale::REAL),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(UpError::Runtime)?;
    runtime.block_on(async {
        let mut stop = StopSignals::listen().map_err(UpError::Runtime)?;
        let clock = settings.clock;
        let mut cloud = Cloud::start(settings).await?;
        let guide = Guide {
            address: cloud.address(),
            key: &key,
            devices: &devices,
            mail_folder: &arguments.mail_dir,
        };
        print(guide)?;
        let ended = loop {
            tokio::select! {
                biased;
                _ = stop.next() => break Ok(()),
                event = cloud.next_event() => {
                    if let Some(text) = report::line(clock.now(), &event, &devices)
                        && let Err(error) = print(text)
                    {
                        break Err(error);
                    }
                    if let CloudEvent::HostStopped { reason } = event {
                        break Err(UpError::HostStopped(reason));
                    }
                }
            }
        };
        cloud.stop().await;
        ended
    })
}

/// Returns the devices that the rules cover, without duplicates, which may differ in case.
fn expected_devices(given: &[String]) -> Result<Vec<String>, UpError> {
    let mut known = HashSet::new();
    let mut devices: Vec<_> =
        given.iter().filter(|name| known.insert(comparison_key(name))).cloned().collect();
    if devices.is_empty() {
        devices.push(DEVICE.to_owned());
    }
    if devices.len() > MOST_DEVICES {
        return Err(UpError::Devices(devices.len()));
    }
    Ok(devices)
}

/// Prints a line and flushes it, so that a pipe gets it at once.
fn print(text: impl std::fmt::Display) -> Result<(), UpError> {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}").and_then(|()| output.flush()).map_err(UpError::Output)
}

/// Parses a device name that can be part of a list in the app settings.
fn device(given: &str) -> Result<String, String> {
    let name = given.trim();
    if name.is_empty() || name.contains(',') || name.chars().any(char::is_control) {
        return Err("a device name is not empty and contains no comma".to_owned());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_device_given_twice_in_different_case_counts_once() {
        assert_eq!(expected_devices(&[]).expect("the default"), ["dl-home"]);
        let given = names(&["a", "Office", "A", "a", "office"]);
        assert_eq!(expected_devices(&given).expect("two devices"), ["a", "Office"]);
    }

    #[test]
    fn more_devices_than_a_rule_holds_are_refused() {
        let given: Vec<_> = (0..201).map(|number| number.to_string()).collect();
        assert_eq!(expected_devices(&given[..200]).expect("200 devices").len(), 200);
        let error = expected_devices(&given).expect_err("too many");
        insta::assert_snapshot!(error, @"201 devices are more than a rule holds; name at most 200");
    }
}
