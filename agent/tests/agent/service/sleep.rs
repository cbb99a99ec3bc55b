//! A machine that goes to sleep: a fake logind on a real D-Bus.

use std::{io::Read, time::Duration};

use ispmon_testing::logind::{Bus, Logind};
use ispmon_wire::AgentState;
use rustix::process::Signal;
use tokio::time::timeout;

use super::server::{OK, Server};
use crate::process::{Agent, Folder, PATIENCE};

#[test]
fn an_announced_sleep_is_not_revoked_before_the_machine_wakes() {
    let server = Server::start(OK);
    let folder = Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\ninterval = '200ms'\n",
        server.url()
    ));
    let Some(bus) = Bus::start(folder.path()) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut logind = runtime.block_on(Logind::start(&bus));
    let mut command = folder.command(["run"]);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address);
    let agent = Agent::spawn(&mut command);
    let lock = runtime.block_on(async { timeout(PATIENCE, logind.grant_lock()).await });
    let mut lock = lock.expect("the agent requests a lock");
    server.heartbeat_that_is(AgentState::Running);
    runtime.block_on(logind.emit_prepare_for_sleep(true));
    let announced = server.heartbeat_that_is(AgentState::Sleeping);
    let first = announced.agent.expect("the heartbeat has the agent's state");
    assert_eq!(Duration::from_secs(first.quiet_s.into()), Duration::from_hours(12));
    let again = server.heartbeat().agent.expect("the heartbeat has the agent's state");
    assert_eq!((again.state, again.quiet_s), (first.state, first.quiet_s), "it is announced twice");
    assert_eq!(again.seq, first.seq + 1);
    assert_eq!(lock.read(&mut [0]).expect("the pipe is read"), 0, "the machine may sleep now");
    runtime.block_on(logind.emit_prepare_for_sleep(false));
    let state = server.heartbeat().agent.map(|agent| agent.state);
    assert_eq!(state, Some(AgentState::Resumed), "nothing is sent in between");
    agent.signal(Signal::TERM);
    agent.wait_for_exit();
}
