//! The handler in a thread of the test, with limits set by the test.

use std::{
    fs::File,
    io::{PipeReader, pipe},
    net::Ipv4Addr,
    os::fd::OwnedFd,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use ispmon_function::{FunctionSettings, LineWriter, ServerLimits, StdoutError, serve};
use tokio::{net::TcpListener, runtime, sync::oneshot};

use super::http::Client;

/// A running handler. Dropping it stops the handler.
pub(crate) struct InProcess {
    pub(crate) port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Option<StdoutError>>>,
}

impl InProcess {
    /// Starts the handler; the reader is the other end of its stdout.
    pub(crate) fn start(limits: ServerLimits) -> (Self, PipeReader) {
        let (reader, writer) = pipe().expect("a pipe");
        let (stop, stopped) = oneshot::channel();
        let (port_sender, port) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let lines = LineWriter::to(File::from(OwnedFd::from(writer)), &limits);
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
                let port = listener.local_addr().expect("an address").port();
                port_sender.send(port).expect("the test waits");
                let settings = FunctionSettings { port, expected: None };
                tokio::select! {
                    error = serve(listener, settings, limits, lines.expect("a writer")) => Some(error),
                    _ = stopped => None,
                }
            })
        });
        let port = port.recv().expect("a port");
        (Self { port, stop: Some(stop), thread: Some(thread) }, reader)
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.port)
    }

    /// Waits until the handler has stopped by itself and returns the reason.
    pub(crate) fn wait(mut self) -> StdoutError {
        let thread = self.thread.take().expect("a thread");
        thread.join().expect("no panic").expect("the handler stopped by itself")
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the handler must fail the test, unless the test is already panicking.
            let ended = thread.join();
            assert!(thread::panicking() || ended.is_ok(), "the handler panicked");
        }
    }
}
