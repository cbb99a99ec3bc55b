//! Keeps the handler running, as the Functions host does.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, BufReader},
    sync::watch,
    task::JoinSet,
    time::Instant,
};

use super::{
    console::{self, LastErrorLines, OutputLines, OutputStream},
    event::{HandlerEnd, HostEvent},
    handler::HandlerProcess,
    restart::{Consequence, Ending, Errors},
    shared::{HandlerState, HostShared, wait_for_switch},
};
use crate::telemetry::item::Severity;

/// How long the host waits for the remaining output of an exited handler: a child process of it may
/// keep the pipes open.
const REST_OF_OUTPUT: Duration = Duration::from_secs(1);

/// Runs handlers until the host gives up or `kill` becomes true; on return the last one is dead.
pub(super) async fn supervise(shared: Arc<HostShared>, mut kill: watch::Receiver<bool>) {
    let mut errors = Errors::default();
    let mut number = 0;
    loop {
        number += 1;
        shared.state.send_replace(HandlerState::Starting);
        let mut run = match HandlerRun::start(&shared) {
            Ok(run) => run,
            Err(source) => {
                let executable = shared.app.executable.clone();
                shared.emit(HostEvent::CannotStart { executable, reason: source.to_string() });
                break;
            }
        };
        let ending = tokio::select! {
            ending = run.live(&shared, number) => ending,
            () = wait_for_switch(&mut kill) => {
                run.handler.kill().await;
                run.finish().await;
                break;
            }
        };
        shared.state.send_replace(HandlerState::Starting);
        let last_words = run.finish().await;
        let consequence = errors.consequence(ending, Instant::now());
        shared.emit(HostEvent::HandlerEnded(HandlerEnd { ending, consequence, last_words }));
        match consequence {
            Consequence::Restart => {}
            Consequence::Stop => break,
            Consequence::Nothing => {
                shared.state.send_replace(HandlerState::Gone);
                wait_for_switch(&mut kill).await;
                break;
            }
        }
    }
    shared.state.send_replace(HandlerState::Stopped);
}

/// One handler and the readers of its outputs.
struct HandlerRun {
    handler: HandlerProcess,
    readers: JoinSet<LastErrorLines>,
    started: Instant,
}

impl HandlerRun {
    fn start(shared: &Arc<HostShared>) -> std::io::Result<Self> {
        let started = Instant::now();
        let mut handler =
            HandlerProcess::start(&shared.app, &shared.app_settings, shared.port.number())?;
        let mut readers = JoinSet::new();
        if let Some((stdout, stderr)) = handler.outputs() {
            readers.spawn(read(stdout, OutputStream::Stdout, Arc::clone(shared)));
            readers.spawn(read(stderr, OutputStream::Stderr, Arc::clone(shared)));
        }
        shared.emit(HostEvent::HandlerStarted { process: handler.id().unwrap_or_default() });
        Ok(Self { handler, readers, started })
    }

    async fn live(&mut self, shared: &HostShared, number: u64) -> Ending {
        if let Err(ending) = self.handler.ready(shared.app.initialization_timeout).await {
            return ending;
        }
        shared.emit(HostEvent::HandlerReady { took: self.started.elapsed() });
        shared.state.send_replace(HandlerState::Ready(number));
        self.handler.ended().await
    }

    /// Reads the remaining output and returns the last lines of stderr.
    async fn finish(mut self) -> Vec<String> {
        let mut last_words = LastErrorLines::default();
        let rest = async {
            while let Some(read) = self.readers.join_next().await {
                if let Ok(words) = read {
                    last_words.extend(words);
                }
            }
        };
        // Output that comes later is lost.
        let _ = tokio::time::timeout(REST_OF_OUTPUT, rest).await;
        last_words.take()
    }
}

async fn read(
    from: impl AsyncRead + Unpin,
    output: OutputStream,
    shared: Arc<HostShared>,
) -> LastErrorLines {
    let mut lines = OutputLines::new(BufReader::new(from));
    let mut last_words = LastErrorLines::default();
    while let Some(line) = lines.next().await {
        if output == OutputStream::Stderr && console::severity(output, &line) == Severity::Error {
            last_words.push(&line);
        }
        let trace = console::trace(output, &line, shared.clock.now(), &shared.identity);
        if let Some(trace) = trace {
            shared.record(console::CATEGORY, console::severity(output, &line), trace);
        }
    }
    last_words
}
