//! Evaluates the rules when they are due, and sends their mails.

use std::sync::Arc;

use jiff::Timestamp;

use super::{event::CloudEvent, ingestion::IngestedRows};
use crate::{
    clock::StoryClock,
    mail::{Mail, MailFolder},
    rules::RuleEngine,
};

/// The running rule engine.
#[derive(Debug)]
pub(super) struct Evaluation {
    clock: StoryClock,
    engine: RuleEngine,
    mails: MailFolder,
    ingestion: Arc<IngestedRows>,
}

impl Evaluation {
    /// Creates an evaluation of the ingested rows.
    pub(super) const fn new(
        clock: StoryClock,
        engine: RuleEngine,
        mails: MailFolder,
        ingestion: Arc<IngestedRows>,
    ) -> Self {
        Self { clock, engine, mails, ingestion }
    }

    /// Runs forever.
    pub(super) async fn run(mut self) {
        loop {
            let now = self.clock.now();
            // First announce the visible rows, then evaluate the rules on them.
            let visible = self.ingestion.announce(now);
            if self.engine.next_evaluation().is_some_and(|due| due <= now) {
                self.evaluate(now);
            }
            let next = self.engine.next_evaluation().into_iter().chain(visible).min();
            tokio::select! {
                () = self.clock.sleep_until(next.unwrap_or(Timestamp::MAX)) => {}
                () = self.ingestion.arrival() => {}
            }
        }
    }

    fn evaluate(&mut self, now: Timestamp) {
        let rows = self.ingestion.traces_at(now);
        let notifications = self.engine.evaluate(now, &rows);
        let mails = notifications.len();
        for notification in notifications {
            let mail = Mail::about(&notification);
            let event = match self.mails.deliver(&mail) {
                Ok(file) => {
                    let (notification, mail) = (Box::new(notification), Box::new(mail));
                    CloudEvent::Mail { notification, mail, file }
                }
                Err(error) => CloudEvent::MailLost(error),
            };
            self.ingestion.send_event(event);
        }
        self.ingestion.send_event(CloudEvent::Evaluated { mails });
    }
}
