//! Checks everything that could prevent the agent from working, and advises what to do about it.
//!
//! It is purely diagnostic: it changes nothing and sends no heartbeat. A heartbeat from here would report to
//! the cloud that the device is monitored, although perhaps no agent runs, and would end an announced
//! silence; and it would be sent with this user's environment and without the key, which only the service
//! has. The results of the running agent's own heartbeats are in its status.
//!
//! There is one file for each group of checks. Each gathers its facts with the rights of an ordinary user,
//! and then judges them by a pure function. Only whether the service's user may read its files, and whether
//! the service uses the newest key, is checked better by root.

mod agent;
mod check;
mod clock;
mod cloud;
mod configuration;
mod connectivity;
mod journal;
mod logs;

use std::path::{Path, PathBuf};

pub use check::{CheckResult, DoctorCheck, DoctorReport};
use configuration::ServiceKey;
pub use configuration::{Configuration, ServiceRights};

use crate::{
    clock::Stamp,
    config::{SERVICE_KEY_FILE, Settings},
    installation::ServiceCommands,
    status::{FoundStatus, Presence, StatusReadError},
    unit::UnitState,
};

/// Input of all checks.
pub struct DoctorInput {
    /// The configuration as this user can read it.
    pub configuration: Configuration,
    /// What the service's user may not read of it.
    pub rights: ServiceRights,
    /// The service in systemd, if the agent is that service.
    pub unit: Option<UnitState>,
    /// The status of the agent, and whether it runs.
    pub agent: Result<(FoundStatus, Presence), StatusReadError>,
    /// Possible folders of the journal, the likeliest first, for the case that no status names it.
    pub state_dirs: Vec<PathBuf>,
    /// The commands that manage the service.
    pub commands: ServiceCommands,
    /// The current time.
    pub now: Stamp,
}

/// Runs all checks, in their fixed order.
///
/// Takes as long as the slowest of the network probes, which run at the same time: a few seconds if nothing
/// answers.
pub async fn examine(case: &DoctorInput) -> DoctorReport {
    let settings = case.configuration.settings();
    let status = case.agent.as_ref().ok().map(|(found, presence)| (&found.status, *presence));
    let mut report = DoctorReport::default();
    let started =
        status.filter(|(_, presence)| presence.is_running()).map(|(status, _)| status.started.wall);
    let service_key = ServiceKey::gather(
        Path::new(SERVICE_KEY_FILE),
        Path::new(configuration::SERVICE_CREDENTIAL),
        started,
    );
    report.extend(configuration::judge(&case.configuration, &case.rights, service_key));
    report.extend(agent::judge(
        &case.agent,
        case.unit.as_ref(),
        settings,
        case.commands,
        &case.now,
    ));
    let record = journal::JournalFacts::gather(status, &case.state_dirs);
    report.extend(journal::judge(&record));
    report.extend(match settings {
        Some(Settings { probe, heartbeat, .. }) => {
            let past = connectivity::Past { networks: record.networks(), status };
            connectivity::judge(
                &connectivity::ConnectivityFacts::gather(probe, heartbeat, past).await,
            )
        }
        None => vec![DoctorCheck::skip(
            "connectivity",
            "without a valid configuration there are no targets",
        )],
    });
    report.extend(cloud::judge(settings, status, &case.now));
    report.extend(clock::judge(&clock::ClockFacts::gather(), status));
    report.extend(logs::judge(logs::LogFacts::gather()));
    report
}

#[cfg(test)]
mod tests;
