//! Constructors of rows.

use std::time::Duration;

use ispmon_agent::outage::{Cause, Party, Scope};

use super::{Failure, FirstSign};
use crate::play::{
    fault::Fault,
    finding::Expected,
    rows::{Play, Row},
    settings::{Heartbeats, Settings},
};

pub(super) const YOURS: Option<Party> = Some(Party::Yours);
pub(super) const PROVIDER: Option<Party> = Some(Party::Provider);
pub(super) const OTHER: Option<Party> = Some(Party::Other);

/// The defaults.
pub(super) fn defaults(_full: bool) -> Settings {
    Settings::default()
}

/// A probe each second.
pub(super) fn hasty(_full: bool) -> Settings {
    Settings { probe: Duration::from_secs(1), ..Settings::default() }
}

/// A heartbeat every 5 s with a timeout of 8 s, so that the row does not wait long for a failed one.
pub(super) fn frequent_heartbeats(full: bool) -> Settings {
    if full {
        return Settings::default();
    }
    Settings {
        heartbeat: Duration::from_secs(5),
        timeout: Duration::from_secs(8),
        ..Settings::default()
    }
}

/// The same, with a short grace period after the start.
pub(super) fn frequent_heartbeats_soon(full: bool) -> Settings {
    let grace = if full { Duration::from_mins(1) } else { Duration::from_secs(10) };
    Settings { grace, ..frequent_heartbeats(full) }
}

pub(super) const FREQUENT_HEARTBEATS: &str = "heartbeat every 5 s, timeout 8 s";

/// A row whose failure the probes show.
pub(super) fn shown_by_probes(
    name: &'static str,
    title: &'static str,
    fault: Fault,
    cause: Cause,
    party: Option<Party>,
) -> Row {
    let lasts = [Duration::from_secs(20), Duration::from_mins(1)];
    let expected = Expected::new(cause, party, Scope::Internet);
    let failure = Failure {
        habit: None,
        prepare: |_world| Ok(()),
        fault,
        expected,
        witness: FirstSign::Probes,
        ends_with_heartbeat: false,
        settings: defaults,
        adjust: |_settings| {},
        lasts,
    };
    Row { name, title, scaled: "", seconds: [40, 80], play: Play::Failure(failure) }
}

/// A row whose failure heartbeats show.
pub(super) fn shown_by_heartbeats(
    name: &'static str,
    title: &'static str,
    fault: Fault,
    cause: Cause,
    party: Option<Party>,
) -> Row {
    let mut row = shown_by_probes(name, title, fault, cause, party);
    row.scaled = FREQUENT_HEARTBEATS;
    row.seconds = [60, 300];
    row.change(|failure| {
        failure.witness = FirstSign::Heartbeat;
        failure.settings = frequent_heartbeats;
        failure.lasts = [Duration::from_secs(25), Duration::from_secs(150)];
    });
    row
}

/// A row whose failure an agent without heartbeats detects by its checks once a minute.
pub(super) fn shown_once_a_minute(
    name: &'static str,
    title: &'static str,
    fault: Fault,
    cause: Cause,
    party: Option<Party>,
) -> Row {
    let mut row = shown_by_probes(name, title, fault, cause, party).locally();
    row.seconds = [115, 155];
    row.change(|failure| {
        failure.witness = FirstSign::Minute;
        // It may be detected late, and the first guess must not outlast it.
        failure.lasts = [Duration::from_secs(85), Duration::from_mins(2)];
    });
    row
}

/// A row in which only the endpoint fails.
pub(super) fn endpoint(name: &'static str, title: &'static str, fault: Fault, cause: Cause) -> Row {
    let party = cause.party(ispmon_agent::outage::Party::Other);
    let mut row = shown_by_heartbeats(name, title, fault, cause, party);
    row.change(|failure| {
        failure.witness = FirstSign::TwoHeartbeats;
        failure.ends_with_heartbeat = true;
        failure.expected.scope = Scope::Heartbeat;
    });
    row
}

/// Sends heartbeats to a plain dead-man's switch without TLS, every 5 s.
pub(super) fn plain_http(failure: &mut Failure) {
    failure.settings = frequent_heartbeats;
    failure.adjust = |settings| settings.heartbeats = Heartbeats::PlainHttp;
}

impl Row {
    fn change(&mut self, change: impl FnOnce(&mut Failure)) {
        if let Play::Failure(failure) = &mut self.play {
            change(failure);
        }
    }

    /// Sets the duration in seconds, scaled and in full.
    pub(super) fn taking(mut self, seconds: [u32; 2]) -> Self {
        self.seconds = seconds;
        self
    }

    /// Runs the row in full only, because its timing cannot be scaled.
    pub(super) fn only_in_full(mut self, seconds: u32) -> Self {
        self.seconds = [0, seconds];
        self
    }

    /// The same for an agent that sends no heartbeats.
    pub(super) fn locally(mut self) -> Self {
        self.change(|failure| {
            failure.adjust = |settings| settings.heartbeats = Heartbeats::Nowhere;
        });
        self
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Failure)) -> Self {
        self.change(change);
        self
    }
}
