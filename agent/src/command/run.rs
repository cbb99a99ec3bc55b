//! `ispmon-agent run`: the service.

use std::sync::Arc;

use super::{fail_because, fail_without_client};
use crate::{
    config::{Loaded, Sources, load},
    exit::Exit,
    logging::Logging,
    runtime,
    service::{Foundation, Service, StartError},
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
    let (environment, homebrew) = (&sources.environment, sources.homebrew.as_ref());
    let foundation = Foundation::lay(&loaded.settings, environment, homebrew, sources.user == 0)
        .map_err(|error| refuse(&error))?;
    let load = Arc::new(move || load(&sources));
    let service = async {
        let service = Service::start(loaded, foundation, requests, load, logging).await?;
        service.run().await;
        Ok(())
    };
    runtime::run(service).map_err(|error| fail_because(&error))?.map_err(|error| refuse(&error))
}

fn refuse(error: &StartError) -> Exit {
    match error {
        StartError::Client(error) => fail_without_client(error),
        StartError::NoFolder => {
            fail_because(error);
            Exit::Configuration
        }
        StartError::Journal(_) => fail_because(error),
    }
}
