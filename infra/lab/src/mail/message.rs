//! One mail.

use jiff::Timestamp;
use mail_builder::MessageBuilder;

use super::{body, schema, subject};
use crate::rules::{MonitorCondition, Notification};

/// The sender; one of those that Azure documents for action groups.
const SENDER: (&str, &str) = ("Microsoft Azure", "azure-noreply@microsoft.com");

/// One mail, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The receivers of the rule's action groups.
    pub to: Vec<String>,
    /// The subject, one line.
    pub subject: String,
    /// Plain text, lines ending in `\n`.
    pub body: String,
    /// When it is sent, in story time.
    pub sent: Timestamp,
    /// The name of the rule that sends it.
    pub rule: String,
    /// Whether the alert fired or resolved.
    pub condition: MonitorCondition,
    id: String,
}

impl Mail {
    /// Creates the mail for a notification.
    pub fn about(notification: &Notification) -> Self {
        let alert = schema::alert_id(notification);
        let document = schema::document(notification);
        Self {
            to: notification.rule.receivers.clone(),
            subject: subject::render(notification, &document),
            body: body::render(notification),
            sent: notification.evaluated,
            rule: notification.rule.name.clone(),
            condition: notification.condition,
            id: format!("{alert}.{}@azure.example", notification.condition.as_str().to_lowercase()),
        }
    }

    /// The mail as an RFC 5322 message.
    pub fn to_eml(&self) -> Vec<u8> {
        let to: Vec<&str> = self.to.iter().map(String::as_str).collect();
        let mut message = Vec::new();
        MessageBuilder::new()
            .message_id(self.id.as_str())
            .date(self.sent.as_second())
            .from(SENDER)
            .to(to)
            .subject(self.subject.as_str())
            .text_body(self.body.as_str())
            .serialize(&mut message);
        message
    }
}
