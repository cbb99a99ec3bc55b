//! A pause and the heartbeats that announce it.

use ispmon_wire::AgentState;
use rustix::process::Signal;

use super::server::{OK, Server};
use crate::process::Folder;

#[test]
fn a_pause_is_announced_twice_and_then_nothing_is_sent_until_it_ends() {
    let server = Server::start(OK);
    let folder = Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\ninterval = '200ms'\n",
        server.url()
    ));
    let mut agent = folder.run();
    agent.wait_for_log("The first heartbeat reached");
    let paused = folder.command(["pause", "2h"]).output().expect("the command runs");
    assert!(paused.status.success(), "{paused:?}");
    let first = server.heartbeat_that_is(AgentState::Paused).agent.expect("agent");
    let second = server.heartbeat().agent.expect("agent");
    assert_eq!((second.state, second.seq), (AgentState::Paused, first.seq + 1));
    // Both announce the same end; the tolerance is for a busy machine.
    assert!((7_140..=7_200).contains(&first.quiet_s), "{}", first.quiet_s);
    assert!((7_080..=first.quiet_s).contains(&second.quiet_s), "{}", second.quiet_s);
    let resumed = folder.command(["resume"]).output().expect("the command runs");
    assert!(resumed.status.success(), "{resumed:?}");
    let next = server.heartbeat().agent.expect("agent");
    assert_eq!((next.state, next.seq), (AgentState::Resumed, first.seq + 2), "nothing in between");
    agent.signal(Signal::TERM);
    agent.wait_for_exit();
}
