//! The data that reaches Application Insights, and when a query sees it.
//!
//! - [`item`] is the format of one item, as the Functions host sends it.
//! - [`delay`] is the time between an event and the moment at which a query can see it.
//! - [`store`] keeps the traces of the last 48 hours; `story` converts the agent's times to
//!   story time.

pub mod delay;
pub mod item;
pub mod store;
mod story;

pub use delay::IngestionDelay;
pub use store::Store;
