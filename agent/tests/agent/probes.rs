//! The probes against real kernels: every outcome, in a network that causes it. The network needs root,
//! the probes do not.

mod dns;
mod gateway;
mod link;
mod portal;
mod proof;
mod tcp;

use std::{future::Future, time::Duration};

use ispmon_agent::{clock::Stamp, runtime};
use ispmon_testing::network::TestHost;

/// How long to wait for an expected event.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long to wait before concluding that nothing comes.
const SHORT: Duration = Duration::from_millis(300);

/// Runs a probe on a host of the test network.
fn on<T: Send, F: Future<Output = T>>(host: &TestHost, work: impl FnOnce() -> F + Send) -> T {
    host.enter(|| runtime::run(async { work().await }).expect("a runtime"))
}

fn clock() -> Stamp {
    Stamp::now()
}
