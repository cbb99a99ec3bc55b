//! Settings from the environment.

use std::{collections::HashSet, ffi::OsString};

use ispmon_wire::Device;
use thiserror::Error;

/// The variable in which the Functions host passes the port, 1 to 65,535.
pub(crate) const PORT_VARIABLE: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
/// The app setting with the names of the monitored devices, separated by commas.
pub const EXPECTED_VARIABLE: &str = "EXPECTED_DEVICES";

/// Settings from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSettings {
    /// The port to listen on, chosen by the Functions host.
    pub port: u16,
    /// The monitored devices, which the alert rules cover; `None` when the list is not set.
    pub expected: Option<HashSet<Device>>,
}

/// Why the environment is invalid.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FunctionSettingsError {
    /// The port is not set: the handler was not started by the Functions host.
    #[error(
        "{PORT_VARIABLE} is not set; the Functions host sets it, by hand use a port from 1 to 65535"
    )]
    NoPort,
    /// The port is not a number from 1 to 65,535.
    #[error("{PORT_VARIABLE} is {0:?}; it must be a port from 1 to 65535")]
    BadPort(OsString),
    /// The list of devices is not UTF-8.
    #[error(
        "{EXPECTED_VARIABLE} is {0:?}; it must be UTF-8 text, device names separated by commas"
    )]
    BadExpected(OsString),
}

impl FunctionSettings {
    /// Reads the settings through `variable`, which returns an environment variable's value.
    ///
    /// An empty list of devices counts as not set.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, FunctionSettingsError> {
        let port = variable(PORT_VARIABLE).ok_or(FunctionSettingsError::NoPort)?;
        let port = match port.to_str().and_then(|text| text.trim().parse().ok()) {
            Some(port) if port != 0 => port,
            _ => return Err(FunctionSettingsError::BadPort(port)),
        };
        let expected = variable(EXPECTED_VARIABLE)
            .map(|names| names.into_string().map_err(FunctionSettingsError::BadExpected))
            .transpose()?
            .map(|names| devices(&names))
            .filter(|devices| !devices.is_empty());
        Ok(Self { port, expected })
    }
}

fn devices(names: &str) -> HashSet<Device> {
    names.split(',').filter(|name| !name.trim().is_empty()).map(Device::from).collect()
}
