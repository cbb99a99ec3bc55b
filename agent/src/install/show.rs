//! Prints a plan: every file with its content, and every command.

use std::io::{self, Write};

use super::plan::{Content, InstallStep, OnFailure, Plan};

/// Writes a plan out in full, except for secrets.
///
/// # Errors
/// The output cannot be written.
pub fn show(plan: &Plan, output: &mut impl Write) -> io::Result<()> {
    for path in &plan.unchanged {
        writeln!(output, "as it should be: {path}")?;
    }
    for step in &plan.steps {
        match step {
            InstallStep::OnRollback(_) => {}
            InstallStep::Folder { mode, owner, .. } => {
                writeln!(output, "{step} ({mode:04o} {owner})")?;
            }
            InstallStep::File { mode, owner, content, .. } => {
                write!(output, "{step} ({mode:04o} {owner})")?;
                write_content(content, output)?;
            }
            InstallStep::Run { failure: OnFailure::Ignore, .. } => {
                writeln!(output, "{step} (if there is anything to do)")?;
            }
            _ => writeln!(output, "{step}")?,
        }
    }
    if plan.is_empty() {
        writeln!(output, "nothing to do")?;
    }
    output.flush()
}

fn write_content(content: &Content, output: &mut impl Write) -> io::Result<()> {
    match content {
        Content::Text(text) => {
            writeln!(output, ":")?;
            for line in text.lines() {
                let space = if line.is_empty() { "" } else { "    " };
                writeln!(output, "{space}{line}")?;
            }
            Ok(())
        }
        Content::Secret(text) if text.is_empty() => writeln!(output, ": empty"),
        Content::Secret(_) => writeln!(output, ": secret, so not shown"),
        Content::Program { from, bytes } => {
            writeln!(output, ": a copy of {}, {bytes} bytes", from.display())
        }
    }
}
