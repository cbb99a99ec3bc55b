//! logind's announcement of sleep, and the lock that delays the sleep.
//!
//! Documented in `org.freedesktop.login1(5)` and at <https://systemd.io/INHIBITOR_LOCKS>: a process
//! that holds the file descriptor returned by `Inhibit` delays the sleep, for `InhibitDelayMaxSec` (5
//! s) at most. The signal `PrepareForSleep(true)` requests to close it, and `PrepareForSleep(false)`
//! follows the sleep. Every user may take such a lock where polkit runs, and root anywhere. Whenever
//! logind appears on the bus, a new lock is taken.

use std::{fmt, future::poll_fn, pin::Pin, time::Duration};

use futures_core::Stream;
use thiserror::Error;
use tokio::{
    select,
    sync::mpsc::UnboundedSender,
    task::JoinHandle,
    time::{sleep, timeout},
};
use zbus::{
    Connection, MatchRule, Message, MessageStream, OwnedFd, connection::Builder, message::Type,
};

use super::{Permit, SleepEvent};
use crate::event::{LogEvent, SleepNotAnnounced};

const SERVICE: &str = "org.freedesktop.login1";
const MANAGER_PATH: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";

/// How long the bus or logind may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How long to wait before connecting to the bus again.
const RETRY: Duration = Duration::from_secs(30);

/// A delay lock; closing it lets the machine sleep.
pub(super) type Hold = OwnedFd;

/// The task that listens for the signal.
#[derive(Debug)]
pub(super) struct Source(JoinHandle<()>);

impl Source {
    pub(super) fn start(sender: UnboundedSender<SleepEvent>) -> Self {
        Self(tokio::spawn(listen(None, sender, RETRY)))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sleep cannot be announced.
#[derive(Debug, Error)]
enum LogindError {
    /// There is no bus, or it rejects this process.
    #[error("the system bus cannot be reached")]
    Bus(#[source] zbus::Error),
    /// The bus refuses to forward the signal.
    #[error("the bus does not forward the signal PrepareForSleep of logind")]
    Signal(#[source] zbus::Error),
    /// The bus does not answer.
    #[error("the system bus does not answer within {} s", ANSWER_LIMIT.as_secs())]
    Silent,
    /// The bus has closed the connection.
    #[error("the connection to the system bus has ended")]
    Ended,
}

/// A lock was not granted; the signals are still received.
#[derive(Debug, Error)]
#[error(
    "logind grants no lock, so the machine does not wait until its sleep is announced; logind needs polkit, \
     which some systems without a desktop lack (Debian: apt install polkitd)"
)]
struct LockError(#[source] zbus::Error);

/// Listens forever, on the bus at `address` or else on the system bus.
///
/// A failure is logged only when it differs from the previous one, so that a machine without a bus logs
/// a single line.
async fn listen(address: Option<String>, sender: UnboundedSender<SleepEvent>, retry: Duration) {
    let mut logged = String::new();
    while !sender.is_closed() {
        let error = match Session::open(address.as_deref()).await {
            Ok(session) => {
                logged.clear();
                session.run(&sender).await
            }
            Err(error) => error,
        };
        log_failure(&mut logged, &error);
        sleep(retry).await;
    }
}

fn log_failure(logged: &mut String, error: &dyn std::error::Error) {
    let reason = fmt::format(format_args!("{}", crate::error_chain::ErrorChain(error)));
    if *logged != reason {
        SleepNotAnnounced { error }.emit();
        *logged = reason;
    }
}

/// A connection to the bus that receives logind's signal.
struct Session {
    connection: Connection,
    signals: MessageStream,
    /// Signals that logind appeared on the bus or left it.
    owners: MessageStream,
    lock: Option<Hold>,
}

impl Session {
    async fn open(address: Option<&str>) -> Result<Self, LogindError> {
        let opening = async {
            let builder = address.map_or_else(Builder::system, Builder::address);
            let connection = builder.build().await.map_err(LogindError::Bus)?;
            let (signals, owners) = subscribe(&connection).await.map_err(LogindError::Signal)?;
            Ok(Self { connection, signals, owners, lock: None })
        };
        timeout(ANSWER_LIMIT, opening).await.unwrap_or(Err(LogindError::Silent))
    }

    /// Forwards events until the connection ends.
    async fn run(mut self, sender: &UnboundedSender<SleepEvent>) -> LogindError {
        self.take_lock().await;
        loop {
            let message = select! {
                message = next(&mut self.signals) => message,
                message = next(&mut self.owners) => message,
            };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => return LogindError::Bus(error),
                None => return LogindError::Ended,
            };
            let body = message.body();
            if let Ok((_, _, new_owner)) = body.deserialize::<(&str, &str, &str)>() {
                if !new_owner.is_empty() {
                    self.lock = None;
                    self.take_lock().await;
                }
            } else if let Ok(begins) = body.deserialize::<bool>() {
                // A send fails only when the receiver is gone; the error then drops the permit.
                if begins {
                    let permit = Permit { hold: self.lock.take() };
                    let _ = sender.send(SleepEvent::AboutToSleep(permit));
                } else {
                    let _ = sender.send(SleepEvent::Resumed);
                    self.take_lock().await;
                }
            }
        }
    }

    async fn take_lock(&mut self) {
        if self.lock.is_some() {
            return;
        }
        let asking = self.connection.call_method(
            Some(SERVICE),
            MANAGER_PATH,
            Some(MANAGER),
            "Inhibit",
            &(
                "sleep",
                "ispmon-agent",
                "Announcing the silence of this device to the cloud",
                "delay",
            ),
        );
        let answer = timeout(ANSWER_LIMIT, asking).await;
        let lock = match answer {
            Ok(Ok(answer)) => answer.body().deserialize::<OwnedFd>(),
            Ok(Err(error)) => Err(error),
            Err(_) => return SleepNotAnnounced { error: &LogindError::Silent }.emit(),
        };
        match lock {
            Ok(lock) => self.lock = Some(lock),
            Err(error) => SleepNotAnnounced { error: &LockError(error) }.emit(),
        }
    }
}

/// Subscribes to `PrepareForSleep` and to logind's appearance on the bus.
async fn subscribe(connection: &Connection) -> zbus::Result<(MessageStream, MessageStream)> {
    let signals = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(SERVICE)
        .path(MANAGER_PATH)
        .interface(MANAGER)
        .member("PrepareForSleep")
        .build()?;
    let owners = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.DBus")
        .interface("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .add_arg(SERVICE)
        .build()?;
    Ok((
        MessageStream::for_match_rule(signals, connection, None).await?,
        MessageStream::for_match_rule(owners, connection, None).await?,
    ))
}

/// The next message; `None` when the connection has ended.
async fn next(stream: &mut MessageStream) -> Option<zbus::Result<Message>> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

#[cfg(test)]
mod tests;
