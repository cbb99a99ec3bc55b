//! The commands that show the journal, on generated journals.

mod outages;
mod page;
mod report;

use std::{path::Path, process::Command};

use tempfile::TempDir;

/// Output and exit code of a command.
struct Printed {
    code: i32,
    out: String,
    err: String,
}

/// Runs a command on the journal in `folder`, in the time zone of Berlin.
fn ispmon(folder: &Path, arguments: &[&str]) -> Printed {
    let home = TempDir::new().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_ispmon-agent"))
        .args(arguments)
        .arg("--state-dir")
        .arg(folder)
        .env_clear()
        .env("TZ", "Europe/Berlin")
        .env("HOME", home.path())
        .current_dir(home.path())
        .output()
        .expect("the agent runs");
    Printed {
        code: output.status.code().expect("the command was not killed"),
        out: String::from_utf8(output.stdout).expect("the command writes text"),
        err: String::from_utf8(output.stderr).expect("the command writes text"),
    }
}

/// The output of a command that must succeed.
fn output_of(folder: &Path, arguments: &[&str]) -> String {
    let printed = ispmon(folder, arguments);
    assert_eq!((printed.code, printed.err.as_str()), (0, ""), "{arguments:?}");
    printed.out.replace(&folder.display().to_string(), "FOLDER")
}
