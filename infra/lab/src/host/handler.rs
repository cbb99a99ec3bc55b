//! The handler's process.

use std::{collections::BTreeMap, io, process::Stdio, time::Duration};

use tokio::{
    process::{Child, ChildStderr, ChildStdout, Command},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::{
    app::App,
    exchange::{self, ExchangeError},
    restart::Ending,
};

/// The interval of the host's readiness probes.
///
/// Source: Azure Functions host, `HttpWorkerService.IsWorkerReady`.
const POLL: Duration = Duration::from_millis(25);

/// A running handler; it is killed when this is dropped.
#[derive(Debug)]
pub struct HandlerProcess {
    child: Child,
    port: u16,
}

impl HandlerProcess {
    /// Starts the handler with exactly the environment that the Functions host passes to it.
    pub fn start(app: &App, settings: &BTreeMap<String, String>, port: u16) -> io::Result<Self> {
        let worker = Uuid::new_v4().to_string();
        let number = port.to_string();
        let child = Command::new(&app.executable)
            .args(&app.arguments)
            .current_dir(&app.working_directory)
            .env_clear()
            .envs(settings)
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", &number)
            .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &worker)
            .env("FUNCTIONS_HTTPWORKER_PORT", &number)
            .env("FUNCTIONS_HTTPWORKER_ID", &worker)
            .env("FUNCTIONS_APP_ROOT_PATH", &app.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal must reach only the host, which stops its handler itself.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child, port })
    }

    /// The process id, unless it has exited.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Takes stdout and stderr of the handler; `None` the second time.
    pub fn outputs(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        Some((self.child.stdout.take()?, self.child.stderr.take()?))
    }

    /// Waits until the handler responds to `GET /` with any status; the error says how it ended
    /// before that.
    pub async fn ready(&mut self, limit: Duration) -> Result<(), Ending> {
        let deadline = Instant::now() + limit;
        let port = self.port;
        tokio::select! {
            biased;
            ending = self.ended() => Err(ending),
            () = answers(port) => Ok(()),
            () = sleep_until(deadline) => {
                self.kill().await;
                Err(Ending::NeverReady)
            }
        }
    }

    /// Waits until the handler exits.
    pub async fn ended(&mut self) -> Ending {
        match self.child.wait().await {
            Ok(status) => status.into(),
            // The wait failed, so the process no longer exists.
            Err(_) => Ending::Signal(0),
        }
    }

    /// Kills the handler with SIGKILL, as the host does.
    pub async fn kill(&mut self) {
        // An error means that it has exited already.
        let _ = self.child.kill().await;
    }
}

async fn answers(port: u16) {
    loop {
        let asked = Instant::now();
        match exchange::probe_root(port).await {
            Ok(()) => return,
            Err(ExchangeError::Connect { .. } | ExchangeError::Answer { .. }) => {
                sleep_until(asked + POLL).await;
            }
        }
    }
}
