//! The durable record: what happened, in lines that cannot be changed unnoticed.

mod record;

pub use crate::clock::StepSource;
pub use record::{Digest, Entry, FORMAT, Quantiles, Record, Summary};
