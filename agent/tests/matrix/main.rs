//! The fault matrix: the real agent in real networks that break in every way that it must tell apart.
//!
//! ```sh
//! cargo test -p ispmon-agent --test matrix -- --rows all          # as root; about 8 minutes
//! cargo test -p ispmon-agent --test matrix -- --rows all --full   # nothing scaled; 75 minutes
//! cargo test -p ispmon-agent --test matrix -- --rows isp,portal   # these rows alone
//! cargo test -p ispmon-agent --test matrix -- --rows all --once   # what fails is not played again
//! cargo test -p ispmon-agent --test matrix -- --list
//! cargo test --release -p ispmon-agent --test matrix -- --figures # what the agent costs while all is well
//! ```
//!
//! Each row has a house of its own, made of network namespaces (`house.rs`), with servers that listen in
//! them (`servers.rs`). The agent is the program itself, with its defaults wherever the table does not say
//! otherwise, without privileges. The row breaks something (`fault.rs`), proves with a plain connect from
//! the device that it is broken as intended, and later reads the agent's record: what it says is compared
//! with what was done, by the same boot-time clock. Rows mostly wait, so many are played at once.
//!
//! Nothing has to be cleaned up, however this program ends: namespaces without a name end with their last
//! process, and the agents end with the threads that started them.
//!
//! Without `--rows` or `--figures` the program says that it was skipped, because it needs root and time;
//! `.ci/run` asks for all rows.

// Everything here is made of namespaces, which only Linux has.
#[cfg(target_os = "linux")]
#[path = "play.rs"]
mod play;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    play::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("SKIPPED: the fault matrix is made of network namespaces, which only Linux has");
}
