//! The thread that touches the disk for the outbox, because a disk can hang.

use std::{sync::mpsc, thread};

use tokio::sync::oneshot;

type DiskWork = Box<dyn FnOnce() + Send>;

/// A thread that works off one piece after the other, and that nobody waits for at the end.
///
/// It is one and the same for as long as the agent runs: the C library keeps a heap for each thread,
/// and short-lived ones leave several behind.
#[derive(Debug, Default)]
pub(super) struct Disk {
    thread: Option<mpsc::Sender<DiskWork>>,
}

impl Disk {
    /// Does something there; `None` when there is no thread to be had.
    pub(super) async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        // Whoever asked may be gone by then.
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
