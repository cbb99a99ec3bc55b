//! What changes in the agent's knowledge of outages.

use super::{Gap, Incident};

/// A change that the journal keeps before anything else hears of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// An incident has opened.
    Opened(Incident),
    /// An open incident goes on with another cause.
    Changed(Incident),
    /// An unstable line has failed or returned again: noted now and then, not each time. Or nobody
    /// watches from now on, or has watched for a while: what was known until then is noted.
    Progressed(Incident),
    /// An incident has closed.
    Closed(Incident),
    /// A time that nobody watched is over.
    Watched(Gap),
}
