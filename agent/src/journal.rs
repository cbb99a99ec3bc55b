//! The durable record: what happened, in lines that cannot be changed unnoticed.

mod alive;
mod chain;
mod files;
mod handle;
mod lines;
mod queue;
mod reader;
mod record;
mod recovered;
mod state;
mod storage;
mod walls;
mod writer;

pub use crate::clock::StepSource;
pub use chain::Flaw;
pub use files::HANDED_OVER_FILE;
pub use handle::{Appended, Appending, Journal, JournalError};
pub use reader::{Damage, Located, Place, ReadError, Reader, last_alive};
pub use record::{Digest, Entry, FORMAT, Quantiles, Record, Summary};
pub use recovered::{LastRun, Pause, Recovered};
pub use state::JournalState;
pub use walls::Walls;
