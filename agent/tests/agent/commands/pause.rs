use std::{fs, os::unix::net::UnixListener, thread, time::Duration};

use ispmon_agent::{
    clock::{BootId, Stamp},
    control::{ControlAnswer, ControlRequest, ControlServer},
};

use super::place::{CommandOutput, TestMachine, skipped};

/// How long a test waits for an expected event; only a test that hangs reaches it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Acts as the agent: sends `answer` to the first request while `client` runs.
fn with_agent(
    machine: &TestMachine,
    answer: &ControlAnswer,
    client: impl FnOnce() -> CommandOutput + Send + 'static,
) -> (CommandOutput, ControlRequest) {
    let socket = machine.socket();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut server = ControlServer::bind(&socket).await.expect("the socket is bound");
        let client = thread::spawn(client);
        let (request, reply) =
            tokio::time::timeout(PATIENCE, server.next()).await.expect("a request");
        reply.send(answer);
        (client.join().expect("the program ends"), request)
    })
}

fn in_two_hours() -> Stamp {
    // Thirty seconds more, which are not shown, so that "2 h" stays right while the program runs.
    Stamp::now().later(Duration::from_secs(7_230))
}

#[test]
fn pause_sends_a_request_and_prints_when_the_pause_ends() {
    let machine = TestMachine::new();
    TestMachine::put(&machine.state_dir(), &machine.status());
    for (again, announced, words) in [
        (false, Some(true), "nothing is monitored, and the cloud raises no alarm meanwhile."),
        (false, Some(false), "The cloud could not be notified, so an alarm may come meanwhile."),
        (true, None, "nothing is monitored. It was paused already; now this time counts."),
    ] {
        let until = in_two_hours();
        let mut command = machine.command(&["pause", "2h"]);
        let answer = ControlAnswer::Paused { until, again, announced };
        let (ran, request) = with_agent(&machine, &answer, move || {
            command.stdin(std::process::Stdio::null());
            super::place::run(command)
        });
        assert_eq!(request, ControlRequest::Pause { time: Duration::from_hours(2) });
        assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""));
        assert!(ran.output.starts_with("Paused until "), "{}", ran.output);
        assert!(ran.output.contains(" (2 h): nothing is monitored"), "{}", ran.output);
        assert!(ran.output.contains(words), "{}", ran.output);
        assert!(ran.output.ends_with("To end it sooner: ispmon-agent resume\n"), "{}", ran.output);
    }
}

#[test]
fn resume_succeeds_with_and_without_a_pause() {
    let machine = TestMachine::new();
    // In an earlier boot, because this machine may have been up for less time.
    let wall = Stamp::now().wall - Duration::from_mins(20);
    let paused = Stamp { boot: BootId::UNKNOWN, boot_ms: 0, wall };
    for (answer, words) in [
        (ControlAnswer::Resumed { paused }, "The agent monitors again, after 20 min"),
        (ControlAnswer::NotPaused, "The agent was not paused."),
    ] {
        let command = machine.command(&["resume"]);
        let (ran, request) = with_agent(&machine, &answer, move || super::place::run(command));
        assert_eq!(request, ControlRequest::Resume);
        assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""));
        assert!(ran.output.starts_with(words), "{}", ran.output);
    }
}

#[test]
fn a_refused_pause_fails_with_the_agents_reason() {
    let machine = TestMachine::new();
    let command = machine.command(&["pause", "2h"]);
    let reason = "The journal cannot be written, so the pause would be forgotten.".to_owned();
    let answer = ControlAnswer::Refused { reason: reason.clone() };
    let (ran, _) = with_agent(&machine, &answer, move || super::place::run(command));
    assert_eq!((ran.code, ran.output.as_str()), (Some(1), ""));
    assert_eq!(ran.errors, format!("ispmon-agent: {reason}\n"));
}

#[test]
fn without_an_agent_the_error_says_how_to_start_one() {
    let machine = TestMachine::new();
    // The socket that a crashed agent leaves behind does not count as an agent.
    for leftover in [false, true] {
        if leftover {
            drop(UnixListener::bind(machine.socket()).expect("the socket is bound"));
        }
        for arguments in [&["pause", "2h"][..], &["resume"]] {
            let ran = machine.run(arguments);
            assert_eq!((ran.code, ran.output.as_str()), (Some(1), ""), "{arguments:?}");
            assert!(
                ran.errors.contains("the agent is not running: no agent listens on"),
                "{}",
                ran.errors
            );
            assert!(ran.errors.contains("Start it with: "), "{}", ran.errors);
        }
    }
}

#[test]
fn without_permission_the_error_names_the_users_who_have_it() {
    let machine = TestMachine::new();
    let Some(_) = machine.run_as_nobody(&["--version"]) else {
        return skipped("only root can run a program as another user");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ran = runtime.expect("a runtime").block_on(async {
        let _server = ControlServer::bind(&machine.socket()).await.expect("the socket is bound");
        machine.run_as_nobody(&["pause", "2h"])
    });
    let ran = ran.expect("root can");
    assert_eq!((ran.code, ran.output.as_str()), (Some(1), ""));
    let errors = machine.anonymous(&ran.errors);
    assert!(
        errors.contains("you may not use the control socket [place]/state/control.sock"),
        "{errors}"
    );
    assert!(errors.contains("open to root and to the agent's own user and group"), "{errors}");
    assert!(errors.contains("put sudo before the command"), "{errors}");
}

#[test]
fn a_member_of_the_agents_group_has_permission() {
    const GROUP: u32 = 4_711;
    let machine = TestMachine::new();
    if machine.run_as_nobody(&["--version"]).is_none() {
        return skipped("only root can run a program as another user");
    }
    let socket = machine.socket();
    let program = machine.path().join("ispmon-agent");
    let state_dir = machine.state_dir();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (ran, caller) = runtime.expect("a runtime").block_on(async {
        let mut server = ControlServer::bind(&socket).await.expect("the socket is bound");
        // A packaged agent has this as its own group.
        std::os::unix::fs::chown(&socket, None, Some(GROUP)).expect("root can");
        let client = thread::spawn(move || {
            let mut command = std::process::Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--groups=4711"]);
            command.arg(program).args(["resume", "--state-dir"]).arg(state_dir).env_remove("HOME");
            super::place::run(command)
        });
        let (_, reply) = tokio::time::timeout(PATIENCE, server.next()).await.expect("a request");
        let caller = reply.caller();
        reply.send(&ControlAnswer::NotPaused);
        (client.join().expect("the program ends"), caller)
    });
    assert_eq!((ran.code, ran.output.as_str()), (Some(0), "The agent was not paused.\n"));
    assert_eq!(caller.to_string(), "the user with the id 65534");
    drop(fs::remove_file(socket));
}
