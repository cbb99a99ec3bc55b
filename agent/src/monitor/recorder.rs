//! Writes transitions to the journal, and logs them only afterwards.

use std::{collections::VecDeque, future, sync::Arc, time::Duration};

use tokio::sync::{Notify, oneshot};

use crate::{
    clock::{self, Stamp},
    event::{IncidentEvent, JournalNotWritten, JournalWritten, LogEvent},
    journal::{Appended, Appending, Entry, Journal, JournalState},
    outage::{Incident, IncidentId, Transition},
};

/// How long the shutdown waits for the journal.
const FINISH_LIMIT: Duration = Duration::from_millis(400);

/// Writes events to the journal in order, and logs each once it is durable or known to wait.
#[derive(Debug)]
pub(super) struct Recorder {
    journal: Journal,
    /// The pending records, oldest first.
    writing: VecDeque<Writing>,
    /// The open incidents, and whether the newest record of each is durable.
    open: Vec<(Incident, bool)>,
    /// The last journal problem that was logged.
    last_problem: Option<String>,
    hand_over_due: Arc<Notify>,
}

#[derive(Debug)]
struct Writing {
    appending: Appending,
    transition: Option<Transition>,
    /// Only written to the journal, not logged.
    is_unlogged: bool,
    /// Notified when the record is written or known to wait.
    noted: Option<oneshot::Sender<()>>,
}

impl Recorder {
    /// A recorder for `journal`, which notifies `closed` when there is something new to hand over.
    pub(super) fn new(journal: Journal, closed: Arc<Notify>) -> Self {
        Self {
            journal,
            writing: VecDeque::new(),
            open: Vec::new(),
            last_problem: None,
            hand_over_due: closed,
        }
    }

    /// Writes a record that is not logged.
    pub(super) fn write(&mut self, entry: Entry, at: Stamp) {
        let writing = self.append(entry, at);
        self.writing.push_back(writing);
    }

    /// Writes a record, and notifies `noted` when it is written or known to wait.
    pub(super) fn write_and_notify(&mut self, entry: Entry, at: Stamp, noted: oneshot::Sender<()>) {
        let writing = self.append(entry, at);
        self.writing.push_back(Writing { noted: Some(noted), ..writing });
    }

    /// Writes a transition, and logs it afterwards.
    pub(super) fn transition(&mut self, transition: Transition, at: Stamp) {
        self.write_transition(transition, at, false);
    }

    /// Writes a progress record; it is not logged.
    pub(super) fn progress(&mut self, transition: Transition, at: Stamp) {
        self.write_transition(transition, at, true);
    }

    fn write_transition(&mut self, transition: Transition, at: Stamp, quiet: bool) {
        let entry = match &transition {
            Transition::Opened(incident) => Entry::IncidentOpened { incident: incident.clone() },
            Transition::Changed(incident) | Transition::Progressed(incident) => {
                Entry::IncidentChanged {
                    incident: Incident { evidence: Vec::new(), ..incident.clone() },
                }
            }
            Transition::Closed(incident) => Entry::IncidentClosed { incident: incident.clone() },
            Transition::GapEnded(gap) => Entry::Gap { gap: gap.clone() },
        };
        self.remember(&transition);
        let writing = self.append(entry, at);
        // The journal keeps the time as recorded, which its readers correct; readers of the log cannot,
        // so correct it here.
        let transition = Some(transition.corrected(&at));
        self.writing.push_back(Writing { transition, is_unlogged: quiet, ..writing });
    }

    fn append(&self, entry: Entry, at: Stamp) -> Writing {
        let appending = self.journal.append(entry, at);
        Writing { appending, transition: None, is_unlogged: false, noted: None }
    }

    fn remember(&mut self, transition: &Transition) {
        match transition {
            Transition::Opened(incident)
            | Transition::Changed(incident)
            | Transition::Progressed(incident) => {
                self.forget(incident.id);
                self.open.push((incident.clone(), false));
            }
            Transition::Closed(incident) => self.forget(incident.id),
            Transition::GapEnded(_) => {}
        }
    }

    fn forget(&mut self, id: IncidentId) {
        self.open.retain(|(open, _)| open.id != id);
    }

    /// Whether the newest record of an incident is durable; `true` for unknown incidents.
    pub(super) fn is_durable(&self, id: IncidentId) -> bool {
        self.open.iter().find(|(open, _)| open.id == id).is_none_or(|(_, durable)| *durable)
    }

    /// The state of the journal.
    pub(super) fn journal_state(&self) -> JournalState {
        self.journal.state()
    }

    /// Rewrites the journal's alive file. It also logs that waiting records were written since the last
    /// one, which otherwise would not be detected before the next.
    pub(super) fn note_alive(&mut self, now: Stamp) {
        self.journal.note_alive(now);
        self.log_problem();
    }

    /// Waits until the oldest pending record is written or known to wait, and logs it. Cancel-safe.
    pub(super) async fn next_written(&mut self) {
        let Some(first) = self.writing.front_mut() else { return future::pending().await };
        let durable = matches!((&mut first.appending).await, Appended::Durable { .. });
        if let Some(Writing { transition, is_unlogged: quiet, noted, .. }) =
            self.writing.pop_front()
        {
            if let Some(transition) = transition {
                if !quiet {
                    IncidentEvent { transition: &transition, durable, zone: &clock::local_zone() }
                        .emit();
                }
                self.written(&transition, durable);
            }
            if let Some(noted) = noted {
                // The requester may have timed out.
                let _ = noted.send(());
            }
        }
        self.log_problem();
    }

    fn written(&mut self, transition: &Transition, durable: bool) {
        match transition {
            Transition::Closed(_) | Transition::GapEnded(_) => self.hand_over_due.notify_one(),
            Transition::Opened(incident)
            | Transition::Changed(incident)
            | Transition::Progressed(incident) => {
                if let Some((_, known)) =
                    self.open.iter_mut().find(|(open, _)| open.id == incident.id)
                {
                    *known = durable;
                }
            }
        }
    }

    /// Logs when the journal cannot be written, and when it can be again.
    fn log_problem(&mut self) {
        let JournalState { problem, advice, waiting, .. } = self.journal_state();
        if problem == self.last_problem {
            return;
        }
        if let Some(problem) = &problem {
            JournalNotWritten { problem, advice: advice.as_deref(), waiting }.emit();
        } else {
            self.open.iter_mut().for_each(|(_, durable)| *durable = true);
            JournalWritten.emit();
        }
        self.last_problem = problem;
    }

    /// Waits briefly for pending writes and releases the journal, so that another agent may use it.
    pub(super) async fn finish(&mut self) {
        // Records that a hung disk has not written by now are lost; the gap that follows covers them.
        self.journal.close(FINISH_LIMIT).await;
    }
}
