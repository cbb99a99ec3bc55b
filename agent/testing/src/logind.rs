//! A fake logind on a real `dbus-daemon`.

use std::{
    future::poll_fn,
    io::{BufRead, BufReader, PipeReader},
    os::fd::OwnedFd,
    path::Path,
    pin::Pin,
    process::{Child, Command, Stdio},
};

use futures_core::Stream as _;
use zbus::{Connection, Fd, Message, MessageStream, connection::Builder};

/// A private D-Bus daemon, stopped on drop.
pub struct Bus {
    daemon: Child,
    /// The address of the bus, such as `unix:path=/tmp/x/bus`.
    pub address: String,
}

impl Bus {
    /// Starts a bus whose socket is in `folder`. Returns `None` and prints a note if this machine has no
    /// `dbus-daemon`.
    pub fn start(folder: &Path) -> Option<Self> {
        let address = format!("unix:path={}", folder.join("bus").display());
        let _ = std::fs::remove_file(folder.join("bus"));
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
        let mut line = String::new();
        let output = daemon.stdout.take().expect("stdout is piped");
        BufReader::new(output).read_line(&mut line).expect("the daemon prints its address");
        Some(Self { daemon, address })
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Grants inhibitor locks and announces sleep, like logind.
pub struct Logind {
    /// The connection that owns logind's name.
    pub connection: Connection,
    calls: MessageStream,
}

impl Logind {
    /// Claims logind's name on the bus.
    pub async fn start(bus: &Bus) -> Self {
        let builder = Builder::address(bus.address.as_str());
        let connection = builder.build().await.expect("the bus accepts connections");
        let calls = MessageStream::from(&connection);
        connection.request_name("org.freedesktop.login1").await.expect("the name is free");
        Self { connection, calls }
    }

    /// Waits until a client requests a lock and grants it. The returned pipe is at its end once the client
    /// closes the lock.
    pub async fn grant_lock(&mut self) -> PipeReader {
        let call = self.next_inhibit().await;
        let body: (String, String, String, String) =
            call.body().deserialize().expect("four strings");
        assert_eq!((body.0.as_str(), body.3.as_str()), ("sleep", "delay"));
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let writer = OwnedFd::from(writer);
        self.connection.reply(&call.header(), &Fd::from(&writer)).await.expect("the reply is sent");
        reader
    }

    /// Waits for the next call of `Inhibit` and does not reply.
    pub async fn next_inhibit(&mut self) -> Message {
        loop {
            let calls = &mut self.calls;
            let message = poll_fn(|context| Pin::new(&mut *calls).poll_next(context)).await;
            let message = message.expect("the bus stays open").expect("a message");
            if message.header().member().is_some_and(|member| member == "Inhibit") {
                return message;
            }
        }
    }

    /// Announces that the machine is about to sleep (`true`) or has woken up (`false`).
    pub async fn emit_prepare_for_sleep(&self, begins: bool) {
        let sent = self.connection.emit_signal(
            None::<&str>,
            "/org/freedesktop/login1",
            "org.freedesktop.login1.Manager",
            "PrepareForSleep",
            &begins,
        );
        sent.await.expect("the signal is sent");
    }
}
