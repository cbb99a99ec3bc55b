//! `ispmon-agent doctor`: checks for everything that can keep the agent from working.

use std::io::Write;

use super::{fail_because, print, print_json, running::AgentPaths};
use crate::{
    clock::Stamp,
    config::Sources,
    doctor::{Configuration, DoctorInput, ServiceRights, examine},
    exit::Exit,
    installation::ServiceCommands,
    runtime,
};

/// Runs all checks and prints the results; succeeds when none failed.
pub fn doctor(sources: &Sources, json: bool) -> Exit {
    let places = AgentPaths::of(sources);
    let configuration = Configuration::read(sources);
    let agent = places.find_with_presence();
    let unit = AgentPaths::unit(sources, &agent);
    let case = DoctorInput {
        rights: ServiceRights::gather(sources, &configuration, unit.as_ref()),
        configuration,
        state_dirs: places.state_dirs(&agent),
        agent,
        unit,
        commands: ServiceCommands::of(sources.homebrew.as_ref()),
        now: Stamp::now(),
    };
    let report = match runtime::run(examine(&case)) {
        Ok(report) => report,
        Err(error) => return fail_because(&error),
    };
    let printed =
        if json { print_json(&report) } else { print(|output| write!(output, "{report}")) };
    if report.is_healthy() { printed } else { Exit::Failure }
}
