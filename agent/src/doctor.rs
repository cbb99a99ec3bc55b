//! Looks for everything that would keep the agent from its work, and says what to do about it.
//!
//! It is purely diagnostic: nothing is changed and no heartbeat is sent. A heartbeat from here would
//! tell the cloud that the device is monitored, although perhaps no agent runs, and would end a silence
//! that was announced; and it would go out with this user's environment and without the key, which is
//! the service's. What the running agent's own heartbeats come to stands in its status.
//!
//! One file for each group of checks. Each asks what it needs to know, as an ordinary user, and then
//! judges the facts by a pure function.

mod agent;
mod check;
mod clock;
mod cloud;
mod configuration;
mod line;
mod logs;
mod record;

use std::path::{Path, PathBuf};

pub use check::{CheckResult, DoctorCheck, DoctorReport};
pub use configuration::Configuration;
use configuration::ServiceKey;

use crate::{
    clock::Stamp,
    config::{SERVICE_KEY_FILE, Settings},
    installation::ServiceCommands,
    status::{FoundStatus, Presence, StatusReadError},
};

/// What is known before the first look.
pub struct Case {
    /// The configuration as this user finds it.
    pub configuration: Configuration,
    /// The status of the agent, and whether it runs.
    pub agent: Result<(FoundStatus, Presence), StatusReadError>,
    /// Where the record may be, the likeliest first, when no agent says where it is.
    pub state_dirs: Vec<PathBuf>,
    /// The commands by which the service is managed.
    pub commands: ServiceCommands,
    /// This moment.
    pub now: Stamp,
}

/// Makes all checks, in their fixed order.
///
/// Takes as long as the slowest of the questions to the network, which are asked at the same time: a
/// few seconds when nobody answers.
pub async fn examine(case: &Case) -> DoctorReport {
    let settings = case.configuration.settings();
    let status = case.agent.as_ref().ok().map(|(found, presence)| (&found.status, *presence));
    let mut report = DoctorReport::default();
    let started =
        status.filter(|(_, presence)| presence.is_running()).map(|(status, _)| status.started.wall);
    let service_key = ServiceKey::gather(Path::new(SERVICE_KEY_FILE), started);
    report.extend(configuration::judge(&case.configuration, service_key));
    report.extend(agent::judge(&case.agent, settings, case.commands, &case.now));
    let record = record::JournalFacts::gather(status, &case.state_dirs);
    report.extend(record::judge(&record));
    report.extend(match settings {
        Some(Settings { probe, heartbeat, .. }) => {
            let past = line::Past { networks: record.networks(), status };
            line::judge(&line::ConnectivityFacts::gather(probe, heartbeat, past).await)
        }
        None => vec![DoctorCheck::skip("line", "the configuration does not say whom to ask")],
    });
    report.extend(cloud::judge(settings, status, &case.now));
    report.extend(clock::judge(&clock::ClockFacts::gather(), status));
    report.extend(logs::judge(logs::LogFacts::gather()));
    report
}

#[cfg(test)]
mod tests;
