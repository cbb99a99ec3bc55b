//! `ispmon-agent journal verify`: checks that the journal was not changed after it was written.

use std::{
    io::{self, Write},
    path::Path,
};

use jiff::tz::TimeZone;

use super::{fail, fail_because, print, running::AgentPaths, zone};
use crate::{
    config::Sources,
    error_chain::ErrorChain,
    exit::Exit,
    journal::{JournalReadError, Verified, verify},
    status::place::list,
};

/// Verifies the journal; fails when it is damaged or missing.
pub fn verify_journal(sources: &Sources) -> Exit {
    let places = AgentPaths::of(sources);
    let folders = places.state_dirs(&places.find_with_presence());
    for folder in &folders {
        match verify(folder) {
            Ok(verified) => {
                let zone = zone();
                let printed = print(|output| write(output, folder, &verified, &zone));
                return if verified.problems == 0 { printed } else { Exit::Failure };
            }
            Err(JournalReadError::Absent { .. }) => {}
            Err(error) => return fail_because(&error),
        }
    }
    fail(format_args!(
        "there is no journal in {}; if the agent keeps it elsewhere, name the folder with --state-dir.",
        list(&folders)
    ))
}

/// Writes the result.
fn write(
    output: &mut impl Write,
    folder: &Path,
    verified: &Verified,
    zone: &TimeZone,
) -> io::Result<()> {
    writeln!(output, "Journal in {}", folder.display())?;
    let Verified { records, span, head, .. } = verified;
    match span {
        Some((first, last)) => {
            let shown = |stamp| {
                let time = verified.walls.wall_time(stamp).to_zoned_datetime(zone.clone());
                time.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
            };
            writeln!(output, "{records} records, {} to {}", shown(first), shown(last))?;
        }
        None => writeln!(output, "No records")?,
    }
    if let Some(head) = head {
        writeln!(output, "The newest is record {} with the hash {}", head.seq, head.head)?;
    }
    if let Some(reason) = &verified.newest_reason {
        writeln!(output, "The newest chain started because {reason}")?;
    }
    for sentence in verified.unknown.sentences() {
        writeln!(output, "{sentence}")?;
    }
    if verified.problems == 0 {
        writeln!(output, "Every record is as it was written.")?;
    }
    let named = verified.first_problem.iter().chain(&verified.further_problems);
    let mut unnamed = verified.problems;
    for problem in named {
        unnamed = unnamed.saturating_sub(1);
        match problem {
            JournalReadError::Damaged(damage) => writeln!(output, "DAMAGED: {damage}")?,
            problem => writeln!(output, "DAMAGED: {}", ErrorChain(problem))?,
        }
    }
    if unnamed > 0 {
        writeln!(output, "{unnamed} more problems are not listed.")?;
    }
    output.flush()
}
