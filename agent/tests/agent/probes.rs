//! The probes against real kernels: every answer that they can give, from a network that gives cause
//! for it. Needs root for the network, not for the probes.

mod dns;
mod gateway;
mod link;
mod portal;
mod proof;
mod tcp;

use std::{future::Future, time::Duration};

use ispmon_agent::{clock::Stamp, runtime};
use ispmon_testing::network::TestHost;

/// How long something may take that must happen.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long nothing is waited for where nothing will come.
const SHORT: Duration = Duration::from_millis(300);

/// Runs a probe on a computer of the test network.
fn on<T: Send, F: Future<Output = T>>(host: &TestHost, work: impl FnOnce() -> F + Send) -> T {
    host.enter(|| runtime::run(async { work().await }).expect("a runtime"))
}

fn clock() -> Stamp {
    Stamp::now()
}
