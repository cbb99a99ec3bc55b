//! Incidents and gaps, as in the journal.

use std::fmt;

use jiff::tz::TimeZone;
use tracing::Level;

use super::{EventKind, Fields, LogEvent};
use crate::outage::{Gap, Incident, Transition, sentence};

pub(super) const KINDS: &[&EventKind] = &[OPENED, CHANGED, PROGRESSED, CLOSED, GAP];

const OPENED: &EventKind =
    &EventKind::new("incident_opened", "66bc7a1c87ae42b3a3281cd6312aead8", Level::WARN).explained(
        "An incident has begun: @ISPMON_CAUSE@ (@ISPMON_SCOPE@)",
        "Something that is monitored has failed since @ISPMON_STARTED@, and the journal holds the evidence.\n\n\
         The field ISPMON_SCOPE says what is down: \"internet\", or \"ipv4\" or \"ipv6\" where this address family \
         fails while the other works; \"heartbeat\" and \"quality\" are no downtime.\n\n\
         Who can fix it is in the field ISPMON_PARTY: \"yours\" is the device, its cable, its firewall, the router or \
         a tunnel; \"provider\" is the internet provider; \"other\" is a third party. It is absent where the evidence \
         does not show it.\n\n\
         `ispmon-agent outages` lists all incidents, `ispmon-agent report` sums them up.",
    );

const CHANGED: &EventKind =
    &EventKind::new("incident_changed", "ab5a5ac48df741f090f7df502f543dc7", Level::INFO).explained(
        "An incident goes on with another cause or scope: @ISPMON_CAUSE@",
        "The incident @ISPMON_ID@ is still open, but something else fails now, or one address family has returned, or \
         failed too. Its headline is what lasted longest.",
    );

const PROGRESSED: &EventKind =
    &EventKind::new("incident_progressed", "4ccabe6b97a5445e808bd0fae4af10f2", Level::INFO).explained(
        "An incident is still open: @ISPMON_CAUSE@ (@ISPMON_SCOPE@)",
        "The incident @ISPMON_ID@ began at @ISPMON_STARTED@; @ISPMON_DOWNTIME_S@ seconds of it are downtime so far.\n\n\
         If its cause is \"unstable\", the connection fails and returns again and again. That is one incident until it \
         has worked for 10 minutes, and only the times at which it failed are downtime.\n\n\
         For any other cause, monitoring was interrupted, for example by a stop, a crash, a power cut, a pause or sleep, \
         or because this device could not send probes. The incident is recorded up to the last observation; the first \
         probes or heartbeats after the interruption decide whether it continues.",
    );

const CLOSED: &EventKind =
    &EventKind::new("incident_closed", "6fbd3772193f45db89470a82b521d7d7", Level::INFO).explained(
        "An incident is over: @ISPMON_CAUSE@ (@ISPMON_SCOPE@)",
        "It lasted from @ISPMON_STARTED@ to @ISPMON_ENDED@, @ISPMON_DURATION_S@ seconds, @ISPMON_DOWNTIME_S@ of them \
         without internet. Its id is @ISPMON_ID@. The field ISPMON_ONE_FAMILY_S holds the seconds in which one \
         address family alone was down; they are no downtime of the internet.\n\n\
         The internet provider can be shown one incident with its evidence:\n\n    \
         ispmon-agent report --html --incident @ISPMON_ID@",
    );

const GAP: &EventKind = &EventKind::new("gap", "2bf13f3c68174023a66bf0ce2ec73e98", Level::INFO).explained(
    "The connection was not monitored: @ISPMON_CAUSE@",
    "The agent did not monitor from @ISPMON_STARTED@ to @ISPMON_ENDED@, @ISPMON_DURATION_S@ seconds. That time is \
     neither up nor down, and no availability counts it. Where the agent ran but could not send probes (\"blind\"), the \
     field ISPMON_REASON says what this device lacked.",
);

/// An incident has opened, changed or closed, or an unmonitored period has ended.
pub struct IncidentEvent<'a> {
    /// The change.
    pub transition: &'a Transition,
    /// Whether the journal already holds it.
    pub durable: bool,
    /// The time zone of the shown times.
    pub zone: &'a TimeZone,
}

impl LogEvent for IncidentEvent<'_> {
    fn kind(&self) -> &'static EventKind {
        match self.transition {
            Transition::Opened(_) => OPENED,
            Transition::Changed(_) => CHANGED,
            Transition::Progressed(_) => PROGRESSED,
            Transition::Closed(_) => CLOSED,
            Transition::GapEnded(_) => GAP,
        }
    }

    fn add_fields(&self, fields: &mut Fields) {
        match self.transition {
            Transition::Opened(incident)
            | Transition::Changed(incident)
            | Transition::Progressed(incident)
            | Transition::Closed(incident) => add_incident(fields, incident),
            Transition::GapEnded(gap) => add_gap(fields, gap),
        }
        fields.set("ispmon_durable", self.durable);
    }
}

impl fmt::Display for IncidentEvent<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&sentence::sentence(self.transition, self.zone))?;
        if self.durable { Ok(()) } else { formatter.write_str(" (Not yet in the journal.)") }
    }
}

fn add_incident(fields: &mut Fields, incident: &Incident) {
    fields.set("ispmon_id", incident.id);
    fields.set("ispmon_scope", incident.scope);
    fields.set("ispmon_cause", incident.cause);
    fields.set_optional("ispmon_party", incident.party);
    fields.set("ispmon_started", incident.started.wall);
    fields.set("ispmon_downtime_s", incident.downtime().as_secs());
    let one_family = incident.one_family_downtime().as_secs();
    fields.set_optional("ispmon_one_family_s", Some(one_family).filter(|seconds| *seconds > 0));
    fields.set("ispmon_failures", incident.failures);
    if let Some(ended) = incident.ended {
        fields.set("ispmon_ended", ended.wall);
        fields.set("ispmon_duration_s", ended.since_across_boots(&incident.started).as_secs());
    }
}

fn add_gap(fields: &mut Fields, gap: &Gap) {
    fields.set("ispmon_id", gap.id);
    fields.set("ispmon_cause", gap.cause);
    fields.set("ispmon_started", gap.started.wall);
    fields.set("ispmon_ended", gap.ended.wall);
    fields.set("ispmon_duration_s", gap.ended.since_across_boots(&gap.started).as_secs());
    fields.set_optional("ispmon_reason", gap.reason.as_deref());
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        clock::{BootId, Stamp},
        outage::{Cause, GapCause, IncidentId, Party, Scope},
    };

    fn stamp(boot: BootId, boot_ms: u64, wall: &str) -> Stamp {
        Stamp { boot, boot_ms, wall: wall.parse().expect("a time") }
    }

    fn shown(transition: &Transition) -> String {
        let event = IncidentEvent { transition, durable: true, zone: &TimeZone::UTC };
        let fields = event.fields();
        let shown = fields.iter().map(|(name, value)| format!("{name}={value}"));
        shown.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_closed_incident_has_fields_for_cause_party_times_and_durations() {
        let incident = Incident {
            id: IncidentId(Uuid::from_u128(7)),
            scope: Scope::Internet,
            cause: Cause::Isp,
            party: Some(Party::Provider),
            started: stamp(BootId::UNKNOWN, 10_000, "2027-01-01T02:10:07Z"),
            last_ok: None,
            // The wall clock was set in between, which must not change a duration.
            ended: Some(stamp(BootId::UNKNOWN, 1_213_000, "2027-01-01T05:30:10Z")),
            downtime_ms: 1_203_000,
            one_family_ms: 720_400,
            failures: 1,
            segments: Vec::new(),
            evidence: Vec::new(),
        };
        insta::assert_snapshot!(shown(&Transition::Closed(incident)), @"
        message_id=6fbd3772193f45db89470a82b521d7d7
        ispmon_event=incident_closed
        ispmon_id=00000000-0000-0000-0000-000000000007
        ispmon_scope=internet
        ispmon_cause=isp
        ispmon_party=provider
        ispmon_started=2027-01-01T02:10:07Z
        ispmon_downtime_s=1203
        ispmon_one_family_s=720
        ispmon_failures=1
        ispmon_ended=2027-01-01T05:30:10Z
        ispmon_duration_s=1203
        ispmon_durable=true
        ");
    }

    #[test]
    fn a_gap_across_a_restart_is_measured_by_the_wall_clock() {
        let other = "7e6b4b8c-6f0e-4f5e-9d1e-0c6f1c1f2a3b".parse().expect("an id");
        let gap = Gap {
            id: IncidentId(Uuid::from_u128(7)),
            cause: GapCause::Blind,
            started: stamp(BootId::UNKNOWN, 9_000_000, "2027-01-01T02:00:00Z"),
            ended: stamp(other, 20_000, "2027-01-01T02:30:00Z"),
            uncertain_s: 60,
            reason: Some("no_descriptors".to_owned()),
        };
        insta::assert_snapshot!(shown(&Transition::GapEnded(gap)), @"
        message_id=2bf13f3c68174023a66bf0ce2ec73e98
        ispmon_event=gap
        ispmon_id=00000000-0000-0000-0000-000000000007
        ispmon_cause=blind
        ispmon_started=2027-01-01T02:00:00Z
        ispmon_ended=2027-01-01T02:30:00Z
        ispmon_duration_s=1800
        ispmon_reason=no_descriptors
        ispmon_durable=true
        ");
    }
}
