//! From a transition to the record, and only then to the log.

use std::{collections::VecDeque, future, sync::Arc, time::Duration};

use tokio::sync::{Notify, oneshot};

use crate::{
    clock::{self, Stamp},
    event::{JournalNotWritten, JournalWritten, LogEvent, OutageEvent},
    journal::{Appended, Appending, Entry, Journal, JournalState},
    outage::{Incident, IncidentId, Transition},
};

/// How long the end of the agent waits for the record.
const FINISH_LIMIT: Duration = Duration::from_millis(400);

/// Has the journal keep what happens, in order, and tells the log when it is kept.
#[derive(Debug)]
pub(super) struct Recorder {
    journal: Journal,
    /// What is being written, oldest first.
    writing: VecDeque<Writing>,
    /// The incidents that are open, and whether the newest record of each is durable.
    open: Vec<(Incident, bool)>,
    /// The last problem that was told.
    told: Option<String>,
    closed: Arc<Notify>,
}

#[derive(Debug)]
struct Writing {
    appending: Appending,
    transition: Option<Transition>,
    /// Nobody but the record hears of it.
    quiet: bool,
    /// Who waits for it.
    noted: Option<oneshot::Sender<()>>,
}

impl Recorder {
    /// A recorder to `journal`, which tells `closed` when there is something new to hand over.
    pub(super) fn new(journal: Journal, closed: Arc<Notify>) -> Self {
        Self { journal, writing: VecDeque::new(), open: Vec::new(), told: None, closed }
    }

    /// Writes something that nobody but the record needs.
    pub(super) fn write(&mut self, entry: Entry, at: Stamp) {
        let writing = self.append(entry, at);
        self.writing.push_back(writing);
    }

    /// Writes something, and tells when it is written, or known to wait.
    pub(super) fn write_and_tell(&mut self, entry: Entry, at: Stamp, noted: oneshot::Sender<()>) {
        let writing = self.append(entry, at);
        self.writing.push_back(Writing { noted: Some(noted), ..writing });
    }

    /// Writes a transition, and tells it when it is written.
    pub(super) fn transition(&mut self, transition: Transition, at: Stamp) {
        self.keep(transition, at, false);
    }

    /// Writes how far something has come, which is no news.
    pub(super) fn progress(&mut self, transition: Transition, at: Stamp) {
        self.keep(transition, at, true);
    }

    fn keep(&mut self, transition: Transition, at: Stamp, quiet: bool) {
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
        // The record keeps what the clock showed, and its readers know better; the log's do not.
        let transition = Some(transition.corrected(&at));
        self.writing.push_back(Writing { transition, quiet, ..writing });
    }

    fn append(&self, entry: Entry, at: Stamp) -> Writing {
        let appending = self.journal.append(entry, at);
        Writing { appending, transition: None, quiet: false, noted: None }
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

    /// Whether the newest record of an incident is durable; what is not known is.
    pub(super) fn is_durable(&self, id: IncidentId) -> bool {
        self.open.iter().find(|(open, _)| open.id == id).is_none_or(|(_, durable)| *durable)
    }

    /// What the journal says of itself.
    pub(super) fn journal_state(&self) -> JournalState {
        self.journal.state()
    }

    /// Renews the record's sign of life. What waited may have been written since the last record, and nothing
    /// else would say so before the next one.
    pub(super) fn note_alive(&mut self, now: Stamp) {
        self.journal.note_alive(now);
        self.tell_problem();
    }

    /// Waits until the oldest record is written, or known to wait, and tells it. Nothing is lost when
    /// the caller stops waiting.
    pub(super) async fn settled(&mut self) {
        let Some(first) = self.writing.front_mut() else { return future::pending().await };
        let durable = matches!((&mut first.appending).await, Appended::Durable { .. });
        if let Some(Writing { transition, quiet, noted, .. }) = self.writing.pop_front() {
            if let Some(transition) = transition {
                if !quiet {
                    OutageEvent { transition: &transition, durable, zone: &clock::local_zone() }
                        .emit();
                }
                self.written(&transition, durable);
            }
            if let Some(noted) = noted {
                // Whoever asked may have lost patience.
                let _ = noted.send(());
            }
        }
        self.tell_problem();
    }

    fn written(&mut self, transition: &Transition, durable: bool) {
        match transition {
            Transition::Closed(_) | Transition::GapEnded(_) => self.closed.notify_one(),
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

    /// Tells when the record cannot be written, and when it can be again.
    fn tell_problem(&mut self) {
        let JournalState { problem, advice, waiting, .. } = self.journal_state();
        if problem == self.told {
            return;
        }
        if let Some(problem) = &problem {
            JournalNotWritten { problem, advice: advice.as_deref(), waiting }.emit();
        } else {
            self.open.iter_mut().for_each(|(_, durable)| *durable = true);
            JournalWritten.emit();
        }
        self.told = problem;
    }

    /// Waits for what is being written, but not for long, and gives the record up: another agent may
    /// use it then.
    pub(super) async fn finish(&mut self) {
        // What a hanging disk has not taken by now is lost, and the gap that follows says so.
        self.journal.close(FINISH_LIMIT).await;
    }
}
