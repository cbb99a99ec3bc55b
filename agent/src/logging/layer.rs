//! From a tracing event to a line in the queue.

use std::{
    fmt::{Debug, Write},
    sync::Arc,
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

use super::{line::EventLine, queue::LogQueue};
use crate::{clock, event::Fields};

/// Queues the events of this program; those of the libraries it uses are not for its users.
pub(super) struct QueueLayer {
    queue: Arc<LogQueue>,
}

impl QueueLayer {
    pub(super) fn new(queue: Arc<LogQueue>) -> Self {
        Self { queue }
    }
}

impl<S: Subscriber> Layer<S> for QueueLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("ispmon")
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut sentence = Sentence::default();
        event.record(&mut sentence);
        let text = sentence.message + &sentence.others;
        let level = *event.metadata().level();
        self.queue.push(EventLine::new(clock::now(), level, text).with_fields(sentence.fields));
    }
}

/// An event's message, what programs read beside it, and whatever other fields it has, which follow the
/// message.
#[derive(Default)]
struct Sentence {
    message: String,
    fields: Fields,
    others: String,
}

impl Visit for Sentence {
    fn record_str(&mut self, field: &Field, value: &str) {
        match Fields::known(field.name()) {
            Some(name) => self.fields.set(name, value),
            None => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}
