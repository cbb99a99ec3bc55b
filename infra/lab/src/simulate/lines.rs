//! The lines that the function writes in a simulated world.
//!
//! They are values, because there are half a million per year; the real function formats a line as
//! text only when a query reads it.

use ispmon_wire::{
    AgentInfo, AgentState, Device, Heartbeat, IncidentKind, ReportedIncident, ReportedSegment,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::time::{Millis, SECOND, Span, timestamp};
use crate::{
    query::{Trace, message},
    rules::index::{HeartbeatKey, LineKind, TraceSource},
};

/// The name of the simulated device.
pub const DEVICE: &str = "dl-home";

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedLine {
    /// When it is written.
    pub timestamp: Timestamp,
    /// Its contents.
    pub subject: LineContents,
}

/// The contents of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineContents {
    /// A heartbeat.
    Heartbeat {
        /// The boot, 1 for the first.
        boot: u64,
        /// The sequence number.
        seq: u64,
        /// The agent's state.
        state: AgentState,
        /// The announced silence in seconds.
        quiet_s: i64,
    },
    /// A handed-over incident.
    Outage {
        /// Its index in the world.
        index: usize,
        /// Start and end.
        span: Span,
    },
}

impl TraceSource for SimulatedLine {
    fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    fn kind(&self) -> LineKind {
        match self.subject {
            LineContents::Heartbeat { boot, seq, .. } => {
                LineKind::Heartbeat(HeartbeatKey { device: 0, boot, seq: Some(seq) })
            }
            LineContents::Outage { .. } => LineKind::Outage,
        }
    }

    fn to_trace(&self) -> Trace {
        let device = Device::from(DEVICE);
        let line = match self.subject {
            LineContents::Heartbeat { boot, seq, state, quiet_s } => {
                let agent = AgentInfo {
                    boot: Uuid::from_u64_pair(0, boot).to_string(),
                    seq,
                    state,
                    quiet_s: quiet_s as u32,
                    ..AgentInfo::default()
                };
                let heartbeat = Heartbeat { agent: Some(agent), ..Heartbeat::default() };
                ispmon_function::line::heartbeat(&device, None, &heartbeat)
            }
            LineContents::Outage { index, span } => {
                ispmon_function::line::outage(&device, &incident(index, span), None)
            }
        };
        Trace { timestamp: self.timestamp, message: message(&line) }
    }
}

fn incident(index: usize, span: Span) -> ReportedIncident {
    let (started, ended) = (timestamp(span.from), timestamp(span.to));
    let seconds = |millis: Millis| (millis / SECOND).unsigned_abs();
    let segment = ReportedSegment {
        cause: "isp".to_owned(),
        scope: Some("internet".to_owned()),
        from: started,
        to: ended,
    };
    ReportedIncident {
        id: Uuid::from_u64_pair(1, index as u64),
        kind: IncidentKind::Incident,
        cause: "isp".to_owned(),
        party: Some("provider".to_owned()),
        scope: Some("internet".to_owned()),
        started,
        ended,
        downtime_s: seconds(span.length()),
        one_family_s: 0,
        segments: vec![segment],
    }
}
