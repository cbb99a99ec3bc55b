//! A machine that goes to sleep, on a real bus on which a stand-in plays logind.

use std::{
    io::{BufRead, BufReader, PipeReader, Read},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use ispmon_wire::State;
use rustix::process::Signal;
use tokio::{runtime::Runtime, time::timeout};
use zbus::{Connection, MessageStream, connection::Builder};

use crate::{
    agent::{Agent, Folder, PATIENCE},
    server::{OK, Server},
};

/// A private bus with a logind on it; dropped, both end.
struct Logind {
    daemon: Child,
    runtime: Runtime,
    connection: Connection,
    calls: MessageStream,
}

impl Logind {
    /// `None` when this machine has no `dbus-daemon`.
    fn start(socket: &Path) -> Option<Self> {
        let address = address(socket);
        let spawned = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address=1", "--address", &address])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut daemon) = spawned else {
            println!("SKIPPED: no dbus-daemon on PATH");
            return None;
        };
        let output = daemon.stdout.take().expect("it is a pipe");
        BufReader::new(output).read_line(&mut String::new()).expect("the bus says that it listens");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (connection, calls) = runtime.block_on(async {
            let connection = Builder::address(address.as_str()).build().await.expect("a bus");
            let calls = MessageStream::from(&connection);
            connection.request_name("org.freedesktop.login1").await.expect("the name is free");
            (connection, calls)
        });
        Some(Self { daemon, runtime, connection, calls })
    }

    /// Waits until somebody asks for a lock and grants it. What is returned ends once that is given back.
    fn grant_lock(&mut self) -> PipeReader {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let writer = OwnedFd::from(writer);
        let granted = async {
            loop {
                let message = next(&mut self.calls).await;
                if message.header().member().is_some_and(|member| member == "Inhibit") {
                    let lock = zbus::Fd::from(&writer);
                    return self.connection.reply(&message.header(), &lock).await;
                }
            }
        };
        let granted = self.runtime.block_on(async { timeout(PATIENCE, granted).await });
        granted.expect("somebody asks").expect("it is answered");
        reader
    }

    fn prepare_for_sleep(&self, begins: bool) {
        let (path, manager) = ("/org/freedesktop/login1", "org.freedesktop.login1.Manager");
        let sent =
            self.connection.emit_signal(None::<&str>, path, manager, "PrepareForSleep", &begins);
        self.runtime.block_on(sent).expect("the signal is sent");
    }
}

impl Drop for Logind {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn address(socket: &Path) -> String {
    format!("unix:path={}", socket.display())
}

async fn next(calls: &mut MessageStream) -> zbus::Message {
    use futures_core::Stream as _;
    let next = std::future::poll_fn(|context| std::pin::Pin::new(&mut *calls).poll_next(context));
    next.await.expect("the bus goes on").expect("a message")
}

#[test]
fn an_announced_sleep_is_not_taken_back_before_the_machine_wakes() {
    let server = Server::start(OK);
    let folder = Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\ninterval = '200ms'\n",
        server.url()
    ));
    let socket = folder.path().join("bus");
    let Some(mut logind) = Logind::start(&socket) else { return };
    let mut command = folder.command(["run"]);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", address(&socket));
    let agent = Agent::spawn(&mut command);
    let mut lock = logind.grant_lock();
    server.heartbeat_that_is(State::Running);
    logind.prepare_for_sleep(true);
    let announced = server.heartbeat_that_is(State::Sleeping);
    let told = announced.agent.expect("it is of an agent");
    assert_eq!(Duration::from_secs(told.quiet_s.into()), Duration::from_hours(12));
    assert_eq!(lock.read(&mut [0]).expect("the pipe is read"), 0, "the machine may sleep now");
    logind.prepare_for_sleep(false);
    let state = server.heartbeat().agent.map(|agent| agent.state);
    assert_eq!(state, Some(State::Resumed), "nothing is sent in between");
    agent.signal(Signal::TERM);
    agent.end();
}
