//! Reads the configuration again without blocking the service.

use std::{future, io, sync::Arc, thread};

use thiserror::Error;
use tokio::sync::oneshot;

use crate::{
    clock,
    config::{ConfigError, Loaded},
    tls,
};

/// Reads the configuration as at the start: the same files, the same flags.
pub type Load = dyn Fn() -> Result<Loaded, ConfigError> + Send + Sync;

/// The thread that reads the configuration cannot be started.
#[derive(Debug, Error)]
#[error("the thread that reads the configuration cannot be started")]
pub(super) struct ReloadError(#[source] io::Error);

/// Reads the configuration on a thread of its own, because its file may be on a disk that hangs.
///
/// One reading runs at a time. A request during it causes one more afterwards, so that everything
/// written before the last request is read.
pub(super) struct Reloader {
    load: Arc<Load>,
    running: Option<oneshot::Receiver<Result<Loaded, ConfigError>>>,
    is_requested_again: bool,
}

impl Reloader {
    pub(super) fn new(load: Arc<Load>) -> Self {
        Self { load, running: None, is_requested_again: false }
    }

    /// Starts a reading, now or when the running one has finished.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn request(&mut self) -> Result<(), ReloadError> {
        if self.running.is_some() {
            self.is_requested_again = true;
            return Ok(());
        }
        let (sender, receiver) = oneshot::channel();
        let load = Arc::clone(&self.load);
        thread::Builder::new()
            .name("reload".to_owned())
            // Not joined: a stop does not wait for the result.
            .spawn(move || {
                // Root certificates and time zone may have changed too, and reading them may block as well.
                tls::read_roots_again();
                clock::refresh_local_zone();
                drop(sender.send(load()));
            })
            .map_err(ReloadError)?;
        self.running = Some(receiver);
        Ok(())
    }

    /// Waits for the result of a reading, forever when none is running. Cancel-safe.
    pub(super) async fn next_result(&mut self) -> Result<Loaded, ConfigError> {
        loop {
            let Some(running) = &mut self.running else { return future::pending().await };
            let result = running.await;
            self.running = None;
            let superseded = std::mem::take(&mut self.is_requested_again);
            if superseded && self.request().is_ok() {
                continue;
            }
            // A thread that panicked has no result; the panic is in the log.
            if let Ok(result) = result {
                return result;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicU64, Ordering},
            mpsc,
        },
        time::Duration,
    };

    use super::*;
    use crate::config::{self, Sources};

    const PATIENCE: Duration = Duration::from_mins(1);

    fn loaded(device: &str) -> Loaded {
        let sources = Sources {
            config_file: None,
            default_files: Vec::new(),
            homebrew: None,
            flags: config::Flags { device: Some(device.to_owned()), ..Default::default() },
            service_key: "/nonexistent/heartbeat.key".into(),
            environment: std::collections::BTreeMap::new(),
            folder: "/nonexistent".into(),
            user: 0,
            reader: config::Reader::Service,
            host_name: "host".to_owned(),
        };
        config::load(&sources).expect("it is valid")
    }

    #[tokio::test]
    async fn a_request_during_a_reading_causes_one_more_and_only_its_result_counts() {
        let (started_sender, started) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let readings = AtomicU64::new(0);
        let mut reloader = Reloader::new(Arc::new(move || {
            let number = readings.fetch_add(1, Ordering::Relaxed) + 1;
            let _ = started_sender.send(number);
            let _ = gate.lock().map(|gate| gate.recv_timeout(PATIENCE));
            Ok(loaded(&format!("device-{number}")))
        }));
        reloader.request().expect("a thread");
        assert_eq!(started.recv_timeout(PATIENCE), Ok(1));
        for _ in 0..3 {
            reloader.request().expect("nothing to do yet");
        }
        go.send(()).expect("the first reading waits");
        go.send(()).expect("the second one will");
        let settings = reloader.next_result().await.expect("it is valid").settings;
        assert_eq!(settings.device, "device-2");
        assert_eq!(started.recv_timeout(PATIENCE), Ok(2));
        assert!(reloader.running.is_none());
        assert_eq!(started.try_recv(), Err(mpsc::TryRecvError::Empty));
    }
}
