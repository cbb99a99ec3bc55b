//! What programs read of an event, beside the sentence for people.
//!
//! tracing knows the names of fields when the program is built, so that one list of all names serves every
//! event; those that an event does not have are absent from it.

use std::{fmt, time::Duration};

use tracing::Level;

use super::Event;
use crate::{
    clock::Stamp,
    outage::{Gap, Incident, Transition},
};

/// Calls a macro with the name of every field.
macro_rules! with_names {
    ($call:ident!($($arguments:tt)*)) => {
        $call! {
            $($arguments)*
            message_id
            ispmon_event
            ispmon_time
            ispmon_device
            ispmon_id
            ispmon_scope
            ispmon_cause
            ispmon_party
            ispmon_started
            ispmon_ended
            ispmon_duration_s
            ispmon_downtime_s
            ispmon_one_family_s
            ispmon_failures
            ispmon_reason
            ispmon_durable
            ispmon_quiet_s
            ispmon_count
            ispmon_by_ms
            ispmon_source
        }
    };
}

macro_rules! strings {
    ($($name:ident)*) => { &[$(stringify!($name),)*] };
}

macro_rules! log_at {
    ($level:expr, $fields:ident, $text:ident, $($name:ident)*) => {
        tracing::event!($level, $($name = $fields.get(stringify!($name)),)* "{}", $text)
    };
}

/// What programs read: names in lower case and their values. journald shows the names in upper case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(&'static str, String)>);

impl Fields {
    /// Every name that there is.
    pub const NAMES: &[&str] = with_names!(strings!());

    /// The one of [`NAMES`](Self::NAMES) that is `name`; `None` for what tells people something.
    pub(crate) fn known(name: &str) -> Option<&'static str> {
        Self::NAMES.iter().copied().find(|known| *known == name)
    }

    /// The value of the field of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    #[allow(clippy::needless_pass_by_value, reason = "callers hand over numbers and names alike")]
    /// Adds a field, which must be one of [`NAMES`](Self::NAMES) to be logged.
    pub(crate) fn set(&mut self, name: &'static str, value: impl ToString) {
        self.0.push((name, value.to_string()));
    }

    fn set_known(&mut self, name: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    fn set_incident(&mut self, incident: &Incident) {
        self.set("ispmon_id", incident.id);
        self.set("ispmon_scope", incident.scope);
        self.set("ispmon_cause", incident.cause);
        self.set_known("ispmon_party", incident.party);
        self.set("ispmon_started", incident.started.wall);
        self.set("ispmon_downtime_s", incident.downtime().as_secs());
        let one_family = incident.one_family_downtime().as_secs();
        self.set_known("ispmon_one_family_s", Some(one_family).filter(|seconds| *seconds > 0));
        self.set("ispmon_failures", incident.failures);
        if let Some(ended) = incident.ended {
            self.set("ispmon_ended", ended.wall);
            self.set("ispmon_duration_s", duration(&incident.started, &ended).as_secs());
        }
    }

    fn set_gap(&mut self, gap: &Gap) {
        self.set("ispmon_id", gap.id);
        self.set("ispmon_cause", gap.cause);
        self.set("ispmon_started", gap.started.wall);
        self.set("ispmon_ended", gap.ended.wall);
        self.set("ispmon_duration_s", duration(&gap.started, &gap.ended).as_secs());
        self.set_known("ispmon_reason", gap.reason.as_deref());
    }
}

/// From one moment to another; across a restart of the machine only the wall clock tells.
fn duration(from: &Stamp, to: &Stamp) -> Duration {
    to.since(from).unwrap_or_else(|| {
        Duration::try_from(to.wall.duration_since(from.wall)).unwrap_or_default()
    })
}

impl Event<'_> {
    /// What programs read of it.
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::default();
        fields.set("message_id", self.kind().message_id());
        fields.set("ispmon_event", self.kind().as_str());
        match self {
            Self::Outage { transition, durable, .. } => {
                match transition {
                    Transition::Opened(incident)
                    | Transition::Changed(incident)
                    | Transition::Progressed(incident)
                    | Transition::Closed(incident) => fields.set_incident(incident),
                    Transition::GapEnded(gap) => fields.set_gap(gap),
                }
                fields.set("ispmon_durable", durable);
            }
            Self::ClockStepped { by_ms, source } => {
                fields.set("ispmon_by_ms", by_ms);
                fields.set("ispmon_source", format!("{source:?}").to_ascii_lowercase());
            }
            Self::Started { device, .. }
            | Self::StartedLocally { device }
            | Self::NotExpected { device }
            | Self::ExpectedAfterAll { device } => fields.set("ispmon_device", device),
            Self::SilenceAnnounced { device, quiet } | Self::SleepAnnounced { device, quiet } => {
                fields.set("ispmon_device", device);
                fields.set("ispmon_quiet_s", quiet.as_secs());
            }
            Self::FailedAgain { failures: count, .. }
            | Self::DeliveredAgain { failures: count, .. }
            | Self::HandedOver { count }
            | Self::HandedOverAgain { count }
            | Self::LinesDropped { count } => fields.set("ispmon_count", count),
            Self::PassedOver { id, .. } => fields.set("ispmon_id", id),
            Self::JournalProblem { waiting, .. } => fields.set("ispmon_count", waiting),
            _ => {}
        }
        fields
    }
}

/// The target of all that [`log`] hands to tracing.
#[cfg(target_os = "linux")]
pub(crate) const TARGET: &str = module_path!();

/// Hands a sentence and its fields to tracing.
pub(crate) fn log(level: Level, fields: &Fields, text: &dyn fmt::Display) {
    match level {
        Level::ERROR => with_names!(log_at!(Level::ERROR, fields, text,)),
        Level::WARN => with_names!(log_at!(Level::WARN, fields, text,)),
        Level::INFO => with_names!(log_at!(Level::INFO, fields, text,)),
        Level::DEBUG => with_names!(log_at!(Level::DEBUG, fields, text,)),
        Level::TRACE => with_names!(log_at!(Level::TRACE, fields, text,)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use uuid::Uuid;

    use super::*;
    use crate::{
        clock::BootId,
        outage::{Cause, GapCause, IncidentId, Party, Scope},
    };

    fn stamp(boot: BootId, boot_ms: u64, wall: &str) -> Stamp {
        Stamp { boot, boot_ms, wall: wall.parse().expect("a time") }
    }

    fn shown(transition: &Transition) -> String {
        let event = Event::Outage { transition, durable: true, zone: &TimeZone::UTC };
        let Fields(fields) = event.fields();
        for (name, _) in &fields {
            assert!(Fields::known(name).is_some(), "{name} would not be logged");
        }
        let shown = |(name, value): &(&str, String)| format!("{name}={value}");
        fields.iter().map(shown).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_closed_incident_says_what_whose_from_when_to_when_and_how_long() {
        let incident = Incident {
            id: IncidentId(Uuid::from_u128(7)),
            scope: Scope::Internet,
            cause: Cause::Isp,
            party: Some(Party::Provider),
            started: stamp(BootId::UNKNOWN, 10_000, "2027-01-01T02:10:07Z"),
            last_ok: None,
            // The clock was set in between, which no duration shows.
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
