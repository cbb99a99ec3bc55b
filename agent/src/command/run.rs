//! `ispmon-agent run`: the service.

use std::sync::Arc;

use super::{fail_because, fail_without_client};
use crate::{
    config::{Loaded, Sources, load},
    exit::Exit,
    logging::Logging,
    runtime,
    service::Service,
    signals,
};

/// Runs the service until a signal asks it to leave.
pub fn run(loaded: Loaded, sources: Sources) -> Exit {
    start(loaded, sources).err().unwrap_or(Exit::Success)
}

fn start(loaded: Loaded, sources: Sources) -> Result<(), Exit> {
    let requests = signals::listen().map_err(|error| fail_because(&error))?;
    let logging =
        Logging::start(loaded.settings.log.level).map_err(|error| fail_because(&error))?;
    let load = Arc::new(move || load(&sources));
    let service = Service::new(loaded, requests, load, logging)
        .map_err(|error| fail_without_client(&error))?;
    runtime::run(service.run()).map_err(|error| fail_because(&error))
}
