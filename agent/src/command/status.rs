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
    let (found, presence) = match AgentPaths::of(sources).find_with_presence() {
        Ok(found) => found,
        Err(StatusReadError::Absent(_)) if json => {
            let shown = StatusOutput { presence: "absent", file: None, status: None };
            return unless_running(false, print_json(&shown));
        }
        Err(error @ StatusReadError::Absent(_)) => {
            return unless_running(
                false,
                print(|output| {
                    writeln!(output, "The agent is not running: {error}.\n{start_advice}")
                }),
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
        print(|output| output.write_all(text::render(status, &context, start_advice).as_bytes()))
    };
    unless_running(presence.is_running(), printed)
}

/// The exit code lets a script see whether the printed status is current.
fn unless_running(is_running: bool, printed: Exit) -> Exit {
    if is_running { printed } else { Exit::Failure }
}
