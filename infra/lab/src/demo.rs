//! The demo: a whole outage in three quarters of a minute, printed and checked.
//!
//! A real agent sends heartbeats to the real function behind the stand-in for the Functions host;
//! the connection between them is cut; the alert mail and a reminder arrive; the connection is
//! restored; the resolved mail arrives. One real second is one minute of story time. Everything
//! happens on loopback and in a temporary folder, which is removed afterwards.
//!
//! - [`story`] checks that every step happens in order and in time; it is a pure state machine.
//! - [`director`] cuts and restores the connection, and reports events to the story.
//! - [`agent`] is the agent's process, [`narrator`] prints.

pub mod agent;
pub mod director;
pub mod narrator;
pub mod story;

use std::{
    env,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use ispmon_agent::error_chain::ErrorChain;
use jiff::SignedDuration;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    clock::{Scale, StoryClock},
    cloud::{Cloud, CloudError, CloudSettings},
    host::keys::Keys,
    internet::{Internet, InternetError},
    signals::StopSignals,
    telemetry::IngestionDelay,
};
use agent::{Agent, AgentError, AgentSettings};
use director::{DemoFailure, Director};
use narrator::Narrator;

/// The device in the demo.
const DEVICE: &str = "dl-home";
/// The ingestion delay of every item, in story time: Azure's average.
///
/// Source: "average latency … less than 10 seconds", Microsoft Learn, "Log data ingestion time in
/// Azure Monitor".
const DELAY: SignedDuration = SignedDuration::from_secs(10);
/// Longer than the demo, so that the agent's clean stop at the end raises no alarm.
const QUIET_AFTER_STOP: Duration = Duration::from_mins(1);
/// Any free port, on loopback only.
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The temporary folder could not be created.
    #[error("cannot make a temporary folder")]
    Folder(#[source] io::Error),
    /// The path of the lab's own executable, which also runs agent and function, is unknown.
    #[error("cannot find the lab's own executable")]
    Executable(#[source] io::Error),
    /// Tokio's runtime could not be built.
    #[error("cannot start the demo's event loop")]
    Runtime(#[source] io::Error),
    /// The cloud did not start.
    #[error("cannot start the cloud")]
    Cloud(#[from] CloudError),
    /// The stand-in for the internet between agent and cloud did not start.
    #[error("cannot start the stand-in for the internet")]
    Internet(#[from] InternetError),
    /// The agent did not start.
    #[error("cannot start the agent")]
    Agent(#[from] AgentError),
    /// A step went wrong.
    #[error(transparent)]
    Failure(#[from] DemoFailure),
}

/// Runs the demo and prints it; the exit code is 0 only if every step happened in order.
pub fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime
        .map_err(DemoError::Runtime)
        .and_then(|runtime| runtime.block_on(run(&mut io::stdout().lock())));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The text of a step may already end in a full stop.
            let sentence = ErrorChain(&error).to_string();
            eprintln!("The demo has failed: {}.", sentence.trim_end_matches('.'));
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo and writes its output to `output`.
///
/// # Errors
/// [`DemoError`] says what could not be started, or which step went wrong.
pub async fn run(output: &mut impl Write) -> Result<(), DemoError> {
    let mut stop = StopSignals::listen().map_err(DemoFailure::Signals)?;
    // Declared first, so that it outlives everything that uses it.
    let home = TempDir::with_prefix("ispmon-demo-").map_err(DemoError::Folder)?;
    let clock = StoryClock::start_on_the_hour(Scale::FASTEST);
    let narrator = Narrator::new(output, clock);
    let mut director = tokio::select! {
        by = stop.next() => return Err(DemoFailure::Interrupted(by).into()),
        director = set_up(&home, clock, narrator) => director?,
    };
    let result = director.run(&mut stop).await;
    tokio::select! {
        _ = stop.next() => {}
        () = director.stop() => {}
    }
    Ok(result?)
}

/// Starts the cloud, the internet and the agent.
async fn set_up<W: Write>(
    home: &TempDir,
    clock: StoryClock,
    mut narrator: Narrator<W>,
) -> Result<Director<W>, DemoError> {
    let executable = env::current_exe().map_err(DemoError::Executable)?;
    let key = Uuid::new_v4().to_string();
    let cloud = Cloud::start(CloudSettings {
        listen: LOOPBACK,
        keys: Keys::host(&key),
        devices: vec![DEVICE.to_owned()],
        mail_folder: home.path().join("mail"),
        executable: executable.clone(),
        delay: IngestionDelay::fixed(DELAY),
        seed: 0,
        clock,
    })
    .await?;
    let internet = Internet::start(cloud.address()).await?;
    let agent = Agent::start(&AgentSettings {
        executable,
        folder: home.path().join("agent"),
        device: DEVICE.to_owned(),
        internet: internet.addresses().clone(),
        key,
        quiet_after_stop: QUIET_AFTER_STOP,
    })?;
    narrator.print_introduction(DEVICE);
    Ok(Director::new(cloud, internet, agent, DEVICE, clock, narrator))
}
