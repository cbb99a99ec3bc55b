//! The mails that Azure would send, written as `.eml` files.
//!
//! A mail is a function of its notification: it shows only what Azure's mail shows, so not the
//! rows of the query. Mails of stateful rules show no result rows at all (azure-docs #79559), so
//! all information must be a dimension, the measured value, or in the subject.

mod body;
mod folder;
mod message;
mod resource_id;
mod schema;
mod subject;

pub use folder::{MailError, MailFolder};
pub use message::Mail;

#[cfg(test)]
mod tests;
