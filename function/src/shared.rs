//! State shared by the requests of all connections.

use std::collections::HashSet;

use ispmon_wire::Device;

use crate::{
    body::BodyReader, limits::ServerLimits, settings::FunctionSettings, stdout::LineWriter,
};

/// State shared by the requests of all connections; the dispatcher passes each endpoint its part.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The monitored devices; `None` when the list is not set.
    pub(crate) expected: Option<HashSet<Device>>,
    /// Bounds the memory of all bodies together.
    pub(crate) bodies: BodyReader,
    /// Writes to stdout, in order.
    pub(crate) lines: LineWriter,
}

impl Shared {
    /// Creates the state of a server that has served no request yet.
    pub(crate) fn new(
        settings: FunctionSettings,
        limits: &ServerLimits,
        lines: LineWriter,
    ) -> Self {
        Self { expected: settings.expected, bodies: BodyReader::new(limits.body), lines }
    }
}
