//! The program `ispmon-lab`; the code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ispmon_lab::role::dispatch(std::env::args_os())
}
