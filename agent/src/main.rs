//! The program `ispmon-agent`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ispmon_agent::main(std::env::args_os())
}
