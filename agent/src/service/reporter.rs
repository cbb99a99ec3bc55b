//! The client for the cloud and the log of its heartbeats: what exists only when a URL is set.

use std::{convert::Infallible, sync::Arc, time::Duration};

use ispmon_wire::AgentState;
use tokio::time::Instant;

use super::{observer::HeartbeatObserver, parts::ServiceParts};
use crate::{
    clock,
    config::{HeartbeatKind, Settings},
    event::{LogEvent, SilenceAnnounced, SilenceNotAnnounced, SleepAnnounced, StopAnnounced},
    heartbeat::{self, Attempt, ClientError, CloudClient, HeartbeatOutcome, Pacing, Sequence},
};

/// With less time than this left, an announcement is not repeated.
const SHORTEST_HEARTBEAT_LIMIT: Duration = Duration::from_millis(50);

/// Sends heartbeats and logs their outcomes.
pub(super) struct Reporter {
    client: Arc<CloudClient>,
    observer: HeartbeatObserver,
    device: String,
    kind: HeartbeatKind,
}

impl Reporter {
    /// Makes what the settings ask for; `None` without a URL.
    ///
    /// # Errors
    /// The client cannot be made.
    pub(super) fn new(
        settings: &Settings,
        parts: &ServiceParts,
        sequence: &Sequence,
    ) -> Result<Option<Self>, ClientError> {
        let Settings { device, heartbeat, .. } = settings;
        let Some(url) = heartbeat.url.clone() else { return Ok(None) };
        let resolver = Arc::clone(&parts.resolver);
        let client = CloudClient::new(heartbeat, device, &parts.boot, resolver)?
            .with_sequence(sequence.clone())
            .with_extras(parts.extras());
        Ok(Some(Self {
            client: Arc::new(client),
            observer: HeartbeatObserver::new(device, url),
            device: device.clone(),
            kind: heartbeat.kind,
        }))
    }

    /// The client, which the outbox uses too.
    pub(super) fn client(&self) -> &Arc<CloudClient> {
        &self.client
    }

    /// The client, if a silence can be announced by it: a plain dead-man's switch takes every request for a sign
    /// of life.
    pub(super) fn announcing_client(&self) -> Option<&CloudClient> {
        (self.kind == HeartbeatKind::Ispmon).then_some(&*self.client)
    }

    /// Sends heartbeats for ever, the first in `state`.
    pub(super) async fn send_heartbeats(
        &mut self,
        pacing: Pacing,
        state: AgentState,
        parts: &ServiceParts,
    ) -> Infallible {
        let Self { client, observer, .. } = self;
        let observe = |attempt: Attempt<'_>| {
            for event in observer.observe(attempt.outcome, attempt.wait, clock::boot_time()) {
                event.emit();
            }
            parts.results.publish(&attempt);
        };
        heartbeat::beat(client, pacing, state, &parts.returned, observe).await
    }

    /// Announces a silence, within `limit`: twice, if it leaves the time for that, because an announcement
    /// that was answered may still be lost in the cloud. The second one has a number of its own and says
    /// the same, so it does not matter which of them arrives, or arrives last.
    pub(super) async fn announce(&self, state: AgentState, quiet: Duration, limit: Duration) {
        let started = Instant::now();
        let Some(client) = self.announcing_client() else { return };
        let first = client.send(state, quiet, limit).await;
        if first.delivered() {
            // Before the second attempt, which may be cut short.
            self.log_announcement(state, quiet, &first);
        }
        let rest = limit.saturating_sub(started.elapsed());
        let second = if rest >= SHORTEST_HEARTBEAT_LIMIT {
            Some(client.send(state, quiet, rest).await)
        } else {
            None
        };
        if !first.delivered() {
            self.log_announcement(state, quiet, second.as_ref().unwrap_or(&first));
        }
    }

    fn log_announcement(&self, state: AgentState, quiet: Duration, outcome: &HeartbeatOutcome) {
        let device = &self.device;
        match outcome {
            HeartbeatOutcome::Delivered { .. } if state == AgentState::Sleeping => {
                SleepAnnounced { device, quiet }.emit();
            }
            HeartbeatOutcome::Delivered { .. } if quiet.is_zero() => StopAnnounced.emit(),
            HeartbeatOutcome::Delivered { .. } => SilenceAnnounced { device, quiet }.emit(),
            _ => SilenceNotAnnounced { outcome }.emit(),
        }
    }
}
