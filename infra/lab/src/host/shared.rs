//! The state that the parts of a running host share.

use std::collections::BTreeMap;

use tokio::sync::watch;

use super::{
    app::App,
    event::{HostEvent, HostObserver},
    identity::Identity,
    keys::Keys,
    port::HandlerPort,
};
use crate::{
    clock::StoryClock,
    telemetry::item::{Severity, TelemetryItem},
};

/// State that the parts of a host share.
pub(super) struct HostShared {
    pub(super) app: App,
    pub(super) keys: Keys,
    pub(super) app_settings: BTreeMap<String, String>,
    pub(super) front_end: bool,
    pub(super) clock: StoryClock,
    pub(super) observer: HostObserver,
    pub(super) identity: Identity,
    pub(super) port: HandlerPort,
    pub(super) state: watch::Sender<HandlerState>,
    pub(super) in_flight: watch::Sender<usize>,
}

/// The state of the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandlerState {
    /// Not ready yet: requests wait.
    Starting,
    /// It responds; each start has its own number.
    Ready(u64),
    /// It exited with 0 and is never restarted: requests fail.
    Gone,
    /// The host has stopped.
    Stopped,
}

impl HostShared {
    /// Passes an event to the observer.
    pub(super) fn emit(&self, event: HostEvent) {
        (self.observer)(event);
    }

    /// Records an item unless the log levels in `host.json` filter it out.
    pub(super) fn record(&self, category: &str, severity: Severity, item: TelemetryItem) {
        if self.app.log_levels.keeps(category, severity) {
            self.emit(HostEvent::Telemetry(Box::new(item)));
        }
    }
}

/// Waits until a switch is on; a closed switch counts as on.
pub(super) async fn wait_for_switch(switch: &mut watch::Receiver<bool>) {
    let _ = switch.wait_for(|on| *on).await;
}
