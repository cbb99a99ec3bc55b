//! `ispmon-agent run`: the service.

use std::sync::Arc;

use thiserror::Error;

use super::{fail_because, fail_without_client};
use crate::{
    config::{ConfigError, Loaded, Sources, load},
    error_chain::ErrorChain,
    exit::Exit,
    logging::{Logging, LoggingError},
    notify::ServiceManager,
    runtime::{self, RuntimeError},
    service::{Foundation, Service, StartError},
    signals::{self, SignalError},
};

/// Why the service does not run.
#[derive(Debug, Error)]
enum RunError {
    #[error(transparent)]
    Signals(#[from] SignalError),
    #[error(transparent)]
    Logging(#[from] LoggingError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// Runs the service until a signal stops it.
pub fn run(loaded: Loaded, sources: Sources) -> Exit {
    let manager = ServiceManager::from_environment(&sources.environment);
    match start(loaded, sources, &manager) {
        Ok(()) => Exit::Success,
        Err(error) => {
            manager.refused(&format!("{}.", ErrorChain(&error)));
            refuse(&error)
        }
    }
}

/// Reports to the service manager that the configuration prevents the start.
pub(super) fn report_refusal(error: &ConfigError, sources: &Sources) {
    let [first, others @ ..] = error.problems() else { return };
    let reason = match others.len() {
        0 => first.to_string(),
        more => format!("{first} ({more} more in the log)"),
    };
    ServiceManager::from_environment(&sources.environment).refused(&reason);
}

fn start(loaded: Loaded, sources: Sources, manager: &ServiceManager) -> Result<(), RunError> {
    let requests = signals::listen()?;
    let logging = Logging::start(loaded.settings.log.level)?;
    let foundation = Foundation::open(&loaded.settings, &sources, manager)?;
    let load = Arc::new(move || load(&sources));
    let manager = manager.clone();
    let service = async {
        let service = Service::start(loaded, foundation, requests, load, logging, manager).await?;
        service.run().await;
        Ok(())
    };
    runtime::run(service)?
}

fn refuse(error: &RunError) -> Exit {
    match error {
        RunError::Start(StartError::Client(error)) => fail_without_client(error),
        RunError::Start(StartError::NoFolder) => {
            fail_because(error);
            Exit::Configuration
        }
        _ => fail_because(error),
    }
}
