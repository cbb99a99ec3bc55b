//! Prints the product's figures next to their targets: `cargo bench -p ispmon-lab --bench figures`.
//!
//! It builds the release binaries of agent and function, starts them as separate processes on
//! loopback, and reads their figures from the operating system. It asserts nothing: speed and
//! memory depend on the machine, so the figures are for people to compare.

mod agent;
mod function;
mod load;
mod process;

use std::{env, path::PathBuf, process::Command};

fn main() {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some(load::BARE_SERVER) {
        return load::serve_bare();
    }
    let binaries = build();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        function::print(&binaries.join("ispmon-function")).await;
        agent::print(&binaries.join("ispmon-agent")).await;
    });
}

/// Builds the release binaries and returns their folder.
fn build() -> PathBuf {
    let cargo = env::var_os("CARGO").expect("cargo runs this benchmark and sets CARGO");
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "-p", "ispmon-agent", "-p", "ispmon-function"])
        .status()
        .expect("cargo starts");
    assert!(built.success(), "the release binaries do not build");
    // The benchmark itself is in `<target>/release/deps`.
    let own = env::current_exe().expect("the path of this benchmark");
    own.ancestors().nth(2).expect("the folder of release binaries").to_path_buf()
}
