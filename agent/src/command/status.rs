//! `ispmon-agent status`: the current state of the agent and the connection.

use std::io::Write;

use serde::Serialize;

use super::{fail_because, print, print_json, running::AgentPaths, zone};
use crate::{
    clock::Stamp,
    config::Sources,
    exit::Exit,
    installation::ServiceCommands,
    status::{
        FoundStatus, Status, StatusReadError, place,
        text::{self, DisplayContext},
    },
    unit::UnitDiagnosis,
};

/// The output of `--json`.
#[derive(Serialize)]
struct StatusOutput<'a> {
    /// `running`, `hanging`, `stopped`, `gone`, `rebooted`, or `absent` without a status file.
    presence: &'a str,
    /// The path of the status file.
    file: Option<String>,
    /// Its content.
    status: Option<&'a Status>,
}

/// Prints the status; succeeds when the agent runs.
pub fn status(sources: &Sources, json: bool) -> Exit {
    let start_advice = ServiceCommands::of(sources.homebrew.as_ref()).start_advice();
    let agent = AgentPaths::of(sources).find_with_presence();
    let is_ended = agent.as_ref().is_ok_and(|(_, presence)| presence.is_ended());
    let is_absent = matches!(agent, Err(StatusReadError::Absent(_)));
    let unit =
        if (is_ended || is_absent) && !json { AgentPaths::unit(sources, &agent) } else { None };
    let diagnosis = unit.and_then(|unit| unit.diagnosis());
    let (found, presence) = match agent {
        Ok(found) => found,
        Err(StatusReadError::Absent(_)) if json => {
            let shown = StatusOutput { presence: "absent", file: None, status: None };
            return unless_running(false, print_json(&shown));
        }
        Err(error @ StatusReadError::Absent(_)) => {
            let (reason, advice) = match &diagnosis {
                Some(UnitDiagnosis { finding, advice }) => (finding.clone(), advice.as_str()),
                None => (error.to_string(), start_advice),
            };
            return unless_running(
                false,
                print(|output| writeln!(output, "The agent is not running: {reason}.\n{advice}")),
            );
        }
        Err(error) => return fail_because(&error),
    };
    let FoundStatus { folder, status } = &found;
    let printed = if json {
        let file = folder.join(place::FILE_NAME).display().to_string();
        let shown =
            StatusOutput { presence: presence.as_str(), file: Some(file), status: Some(status) };
        print_json(&shown)
    } else {
        let context = DisplayContext { now: Stamp::now(), zone: &zone(), presence };
        let text = text::render(status, &context, diagnosis.as_ref(), start_advice);
        print(|output| output.write_all(text.as_bytes()))
    };
    unless_running(presence.is_running(), printed)
}

/// The exit code lets a script see whether the printed status is current.
fn unless_running(is_running: bool, printed: Exit) -> Exit {
    if is_running { printed } else { Exit::Failure }
}
