//! The client for the cloud and the logging of its heartbeats; exists only when a URL is set.

use std::{convert::Infallible, sync::Arc, time::Duration};

use ispmon_wire::AgentState;
use tokio::time::Instant;

use super::{observer::HeartbeatObserver, parts::ServiceParts};
use crate::{
    clock,
    config::Settings,
    event::{LogEvent, SilenceAnnounced, SilenceNotAnnounced, SleepAnnounced, StopAnnounced},
    heartbeat::{
        self, ClientError, CloudClient, HeartbeatAttempt, HeartbeatOutcome, Pacing, Sequence,
    },
};

/// An announcement is not repeated with less time left than this.
const SHORTEST_HEARTBEAT_LIMIT: Duration = Duration::from_millis(50);

/// Sends heartbeats and logs their outcomes.
pub(super) struct Reporter {
    client: Arc<CloudClient>,
    observer: HeartbeatObserver,
}

impl Reporter {
    /// Creates the reporter; `None` without a URL.
    ///
    /// # Errors
    /// The HTTP client cannot be created.
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
        Ok(Some(Self { client: Arc::new(client), observer: HeartbeatObserver::new(device, url) }))
    }

    /// The client, which the outbox uses too.
    pub(super) fn client(&self) -> &Arc<CloudClient> {
        &self.client
    }

    /// The client, if it can announce silence: a plain dead-man's switch counts every request as a heartbeat.
    pub(super) fn announcing_client(&self) -> Option<&CloudClient> {
        self.client.can_announce().then_some(&*self.client)
    }

    /// Sends heartbeats forever, the first with `state`.
    pub(super) async fn send_heartbeats(
        &mut self,
        pacing: Pacing,
        state: AgentState,
        parts: &ServiceParts,
    ) -> Infallible {
        let Self { client, observer, .. } = self;
        let observe = |attempt: HeartbeatAttempt<'_>| {
            for event in observer.observe(attempt.outcome, attempt.wait, clock::boot_time()) {
                event.emit();
            }
            parts.results.publish(&attempt);
        };
        heartbeat::run(client, pacing, state, &parts.connectivity_restored, observe).await
    }

    /// Announces a silence of `quiet` within `limit`: twice if time allows, because an accepted announcement
    /// may still be lost in the cloud. The second has a number of its own and the same content, so it does
    /// not matter which of them arrives, or arrives last.
    pub(super) async fn announce(&self, state: AgentState, quiet: Duration, limit: Duration) {
        let started = Instant::now();
        let Some(client) = self.announcing_client() else { return };
        let first = client.send(state, quiet, limit).await;
        if first.is_delivered() {
            // Before the second attempt, which may be interrupted.
            self.log_announcement(state, quiet, &first);
        }
        let rest = limit.saturating_sub(started.elapsed());
        let second = if rest >= SHORTEST_HEARTBEAT_LIMIT {
            Some(client.send(state, quiet, rest).await)
        } else {
            None
        };
        if !first.is_delivered() {
            self.log_announcement(state, quiet, second.as_ref().unwrap_or(&first));
        }
    }

    fn log_announcement(&self, state: AgentState, quiet: Duration, outcome: &HeartbeatOutcome) {
        let device = self.client.device();
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
