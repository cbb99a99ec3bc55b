//! The program `ispmon-lab`; the code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ispmon_lab::main(std::env::args_os())
}
