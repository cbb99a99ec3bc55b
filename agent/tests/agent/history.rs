//! The commands that show the record, on records that were made for it.

mod outages;
mod page;
mod report;

use std::{path::Path, process::Command};

use tempfile::TempDir;

/// What a command printed, and how it ended.
struct Printed {
    code: i32,
    out: String,
    err: String,
}

/// Runs a command on the record in `folder`, in Berlin.
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
        code: output.status.code().expect("it was not killed"),
        out: String::from_utf8(output.stdout).expect("it is text"),
        err: String::from_utf8(output.stderr).expect("it is text"),
    }
}

/// What a command that works printed.
fn shown(folder: &Path, arguments: &[&str]) -> String {
    let printed = ispmon(folder, arguments);
    assert_eq!((printed.code, printed.err.as_str()), (0, ""), "{arguments:?}");
    printed.out.replace(&folder.display().to_string(), "FOLDER")
}
