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

use super::{line::Line, queue::Queue};
use crate::clock;

/// The field that names the kind of an event, for programs; people read the sentence.
const KIND: &str = "kind";

/// Queues the events of this program; those of the libraries it uses are not for its users.
pub(super) struct QueueLayer {
    queue: Arc<Queue>,
}

impl QueueLayer {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
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
        let text = sentence.message + &sentence.fields;
        self.queue.push(Line::new(clock::now(), *event.metadata().level(), text));
    }
}

/// An event's message, and whatever other fields it has, behind it.
#[derive(Default)]
struct Sentence {
    message: String,
    fields: String,
}

impl Visit for Sentence {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            KIND => Ok(()),
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
