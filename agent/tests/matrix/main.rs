//! The fault matrix: the real agent in real networks, with every fault that it must distinguish.
//!
//! ```sh
//! cargo test -p ispmon-agent --test matrix -- --rows all          # as root; about 8 minutes
//! cargo test -p ispmon-agent --test matrix -- --rows all --full   # nothing scaled; 75 minutes
//! cargo test -p ispmon-agent --test matrix -- --rows isp,portal   # these rows alone
//! cargo test -p ispmon-agent --test matrix -- --rows all --once   # failed rows are not run again
//! cargo test -p ispmon-agent --test matrix -- --list
//! cargo test --release -p ispmon-agent --test matrix -- --figures # resource usage in the steady state
//! ```
//!
//! Each row has a house of its own, made of network namespaces (`house.rs`), with servers in them
//! (`servers.rs`). The agent is the real program, unprivileged, with its defaults wherever the table
//! does not say otherwise. The row injects a fault (`fault.rs`), verifies from the device by a plain
//! connect that it works as intended, and later compares the agent's journal with the times of the
//! fault and its repair, by the same boot-time clock. Rows mostly wait, so many run at once.
//!
//! Nothing needs cleaning up, however this program ends: unnamed namespaces are removed with their last
//! process, and the agents die with the threads that started them.
//!
//! Without `--rows` or `--figures` the program reports that it was skipped, because it needs root and
//! time; `.ci/run` runs all rows.

// Network namespaces exist only on Linux.
#[cfg(target_os = "linux")]
#[path = "play.rs"]
mod play;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    play::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("SKIPPED: the fault matrix needs network namespaces, which only Linux has");
}
