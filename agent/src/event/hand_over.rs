//! The hand-over of recorded incidents and gaps to the cloud.

use std::fmt;

use tracing::Level;

use super::{
    EventKind, Fields, LogEvent,
    phrase::{Counted, FurtherSentence},
};
use crate::outage::IncidentId;

pub(super) const KINDS: &[&EventKind] =
    &[HANDED_OVER, HANDED_OVER_AGAIN, NOT_HANDED_OVER, PASSED_OVER];

const HANDED_OVER: &EventKind =
    &EventKind::new("handed_over", "00656284443c449ab7ea94f96abeb995", Level::INFO).explained(
        "The cloud has accepted @ISPMON_COUNT@ recorded incidents",
        "They are incidents and gaps that are over. The mail about an outage follows from there.",
    );

/// The cloud has acknowledged incidents or gaps.
pub struct IncidentsHandedOver {
    /// The number of incidents and gaps.
    pub count: u64,
}

impl LogEvent for IncidentsHandedOver {
    fn kind(&self) -> &'static EventKind {
        HANDED_OVER
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_count", self.count);
    }
}

impl fmt::Display for IncidentsHandedOver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "The cloud has accepted {}.", Counted(self.count, "recorded incident"))
    }
}

const HANDED_OVER_AGAIN: &EventKind =
    &EventKind::new("handed_over_again", "6b6da26bd3a74ae49c7e1eac678692a1", Level::DEBUG);

/// The cloud has acknowledged incidents or gaps a second time.
pub struct IncidentsHandedOverAgain {
    /// The number of incidents and gaps.
    pub count: u64,
}

impl LogEvent for IncidentsHandedOverAgain {
    fn kind(&self) -> &'static EventKind {
        HANDED_OVER_AGAIN
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_count", self.count);
    }
}

impl fmt::Display for IncidentsHandedOverAgain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "The cloud has accepted {} a second time, in case one was lost there.",
            Counted(self.count, "recorded incident")
        )
    }
}

const NOT_HANDED_OVER: &EventKind =
    &EventKind::new("not_handed_over", "3eda087d454e42019b7175b7beb966c4", Level::WARN).explained(
        "The cloud has not accepted recorded incidents",
        "Incidents that are over stay in the journal until the cloud has acknowledged them; the agent retries by \
         itself. Only the answer of ispmon's function counts, which says how many it accepted; the message says what \
         came instead.",
    );

/// Recorded incidents could not be handed over; logged for the first failure after a success.
pub struct IncidentsNotHandedOver<'a> {
    /// The reason, as the end of a sentence.
    pub reason: &'a dyn fmt::Display,
    /// The action that may solve it, as a sentence.
    pub advice: Option<&'a str>,
}

impl LogEvent for IncidentsNotHandedOver<'_> {
    fn kind(&self) -> &'static EventKind {
        NOT_HANDED_OVER
    }
}

impl fmt::Display for IncidentsNotHandedOver<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, advice } = self;
        write!(
            formatter,
            "Recorded incidents could not be handed over: {reason}.{} The agent will retry.",
            FurtherSentence(*advice)
        )
    }
}

const PASSED_OVER: &EventKind =
    &EventKind::new("passed_over", "660b2c7c3d8f496ba8ab907f0654b856", Level::WARN).explained(
        "The cloud refuses an incident",
        "The cloud accepts other messages of this device, but refuses the incident or gap @ISPMON_ID@, also alone. So \
         that it does not block the others for ever, it is passed over: there will be no mail about it. It stays in \
         the journal, and `ispmon-agent outages --all` shows it.\n\n\
         Please report it, with the versions of agent and function: neither should write or refuse such a thing.",
    );

/// The cloud refuses one incident or gap but accepts others, so this one is never handed over.
pub struct IncidentPassedOver<'a> {
    /// Its id.
    pub id: IncidentId,
    /// The reason, as the end of a sentence.
    pub reason: &'a dyn fmt::Display,
}

impl LogEvent for IncidentPassedOver<'_> {
    fn kind(&self) -> &'static EventKind {
        PASSED_OVER
    }

    fn add_fields(&self, fields: &mut Fields) {
        fields.set("ispmon_id", self.id);
    }
}

impl fmt::Display for IncidentPassedOver<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, reason } = self;
        write!(
            formatter,
            "The cloud accepts others but refuses the incident or gap {id}: {reason}. It is passed over, so there \
             will be no mail about it; it stays in the journal."
        )
    }
}
