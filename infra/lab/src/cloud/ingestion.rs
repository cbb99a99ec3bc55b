//! Processes the host's events: stores telemetry, and forwards the rest to the cloud's receiver.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc::UnboundedSender};

use super::event::{CloudEvent, HandedOver, HeartbeatRow};
use crate::{
    clock::StoryClock,
    host::{event::HostEvent, restart::Consequence},
    query::Trace,
    telemetry::{
        Store,
        item::{Data, TelemetryItem},
    },
};

/// All ingested rows.
#[derive(Debug)]
pub(super) struct IngestedRows {
    arrived: Mutex<Arrived>,
    arrivals: Notify,
    clock: StoryClock,
    events: UnboundedSender<CloudEvent>,
}

#[derive(Debug)]
struct Arrived {
    store: Store,
    /// Heartbeats that are not visible yet, by the time at which they become visible and a sequence
    /// number.
    invisible: BTreeMap<(Timestamp, u64), HeartbeatRow>,
    number: u64,
    /// Why the host will stop, if known.
    reason: Option<String>,
}

impl IngestedRows {
    /// Stores telemetry in `store` and sends events to `events`.
    pub(super) fn new(
        store: Store,
        clock: StoryClock,
        events: UnboundedSender<CloudEvent>,
    ) -> Self {
        let arrived = Arrived { store, invisible: BTreeMap::new(), number: 0, reason: None };
        Self { arrived: Mutex::new(arrived), arrivals: Notify::new(), clock, events }
    }

    /// Processes one event of the host.
    pub(super) fn take(&self, event: HostEvent) {
        match event {
            HostEvent::Telemetry(item) => self.ingest(*item),
            HostEvent::HandlerStarted { .. } => {}
            HostEvent::HandlerReady { took } => self.send_event(CloudEvent::FunctionReady { took }),
            HostEvent::CannotStart { executable, reason } => {
                let path = executable.display();
                self.lock().reason =
                    Some(format!("the function `{path}` cannot be started: {reason}"));
            }
            HostEvent::HandlerEnded(end) => {
                if end.consequence == Consequence::Stop {
                    self.lock().reason =
                        Some(format!("the function failed for the third time: it {}", end.ending));
                }
                self.send_event(CloudEvent::FunctionEnded(end));
            }
            HostEvent::Invoked(invocation) => self.send_event(CloudEvent::Invoked(invocation)),
            HostEvent::Rejected(rejection) => self.send_event(CloudEvent::Rejected(rejection)),
            HostEvent::Stopped => {
                let reason = self.lock().reason.take();
                let reason = reason.unwrap_or_else(|| "it was asked to".to_owned());
                self.send_event(CloudEvent::HostStopped { reason });
            }
        }
    }

    /// Sends an event; a closed channel is not an error.
    pub(super) fn send_event(&self, event: CloudEvent) {
        // The receiver is gone while the cloud is stopping.
        let _ = self.events.send(event);
    }

    /// The rows that a query sees at `now`.
    pub(super) fn traces_at(&self, now: Timestamp) -> Vec<Trace> {
        self.lock().store.traces_at(now)
    }

    /// Sends an event for each heartbeat that has become visible, and returns when the next one
    /// will.
    pub(super) fn announce(&self, now: Timestamp) -> Option<Timestamp> {
        let mut arrived = self.lock();
        while let Some(first) = arrived.invisible.first_entry() {
            let visible = first.key().0;
            if visible > now {
                return Some(visible);
            }
            self.send_event(CloudEvent::HeartbeatVisible(first.remove()));
        }
        None
    }

    /// Waits until another item has been ingested.
    pub(super) async fn arrival(&self) {
        self.arrivals.notified().await;
    }

    fn ingest(&self, item: TelemetryItem) {
        let time = item.time;
        let line = match &item.data {
            Data::MessageData(message) => Some((message.severity, message.message.clone())),
            Data::RequestData(_) => None,
        };
        let mut arrived = self.lock();
        let visible = arrived.store.ingest(item);
        let Some((severity, text)) = line else { return };
        if let Some(heartbeat) = HeartbeatRow::read(&text, time, self.clock.scale()) {
            arrived.number += 1;
            let number = arrived.number;
            arrived.invisible.insert((visible, number), heartbeat.clone());
            drop(arrived);
            self.send_event(CloudEvent::HeartbeatWritten(heartbeat));
            self.arrivals.notify_one();
        } else if let Some(outage) = HandedOver::read(&text, &self.clock) {
            self.send_event(CloudEvent::OutageWritten(outage));
        } else {
            self.send_event(CloudEvent::Line { severity, text });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
