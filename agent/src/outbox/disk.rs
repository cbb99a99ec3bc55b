//! The thread that does the outbox's disk access, because a disk can hang.

use std::{sync::mpsc, thread};

use tokio::sync::oneshot;

type DiskWork = Box<dyn FnOnce() + Send>;

/// A thread that runs tasks one after the other and is never joined.
///
/// It lives as long as the agent: the C library keeps a heap per thread, and short-lived threads
/// would leave several behind.
#[derive(Debug, Default)]
pub(super) struct Disk {
    thread: Option<mpsc::Sender<DiskWork>>,
}

impl Disk {
    /// Runs `work` on the thread; `None` when the thread cannot be started.
    pub(super) async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        // The caller may have been dropped by then.
        let work: DiskWork = Box::new(move || drop(sender.send(work())));
        self.thread()?.send(work).ok()?;
        receiver.await.ok()
    }

    fn thread(&mut self) -> Option<&mpsc::Sender<DiskWork>> {
        if self.thread.is_none() {
            let (sender, receiver) = mpsc::channel::<DiskWork>();
            let work = move || receiver.into_iter().for_each(|work| work());
            thread::Builder::new().name("outbox".to_owned()).spawn(work).ok()?;
            self.thread = Some(sender);
        }
        self.thread.as_ref()
    }
}
