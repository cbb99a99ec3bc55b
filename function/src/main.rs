//! The custom handler's binary; the code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ispmon_function::main()
}
