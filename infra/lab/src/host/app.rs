//! The app folder: `host.json` and a `function.json` per function, parsed as the Functions host
//! parses them.
//!
//! Settings of a custom handler or a binding that the stand-in does not support are refused with
//! the reason, never ignored, so an app folder that starts here has the same meaning for the real
//! host.

mod file;
mod function;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::log_level::LogLevels;
pub use file::AppError;
pub use function::{Authorization, Function};

/// Default limit for a handler to respond to its first request.
///
/// Source: Azure Functions host, `HttpWorkerOptions.InitializationTimeout`.
const INITIALIZATION: Duration = Duration::from_secs(30);

/// Default prefix of every route.
const ROUTE_PREFIX: &str = "api";

/// A function app.
#[derive(Clone, Debug)]
pub struct App {
    /// The app folder.
    pub folder: PathBuf,
    /// The handler's program.
    pub executable: PathBuf,
    /// The handler's arguments.
    pub arguments: Vec<String>,
    /// The handler's working directory.
    pub working_directory: PathBuf,
    /// How long the handler may take until it responds.
    pub initialization_timeout: Duration,
    /// The prefix of every route, without slashes; may be empty.
    pub route_prefix: String,
    /// The log levels, by category.
    pub log_levels: LogLevels,
    /// The functions, sorted by name.
    pub functions: Vec<Function>,
}

impl App {
    /// Reads the app in `folder`; `settings` are the values for `%NAME%` in the handler's
    /// arguments.
    pub fn read(folder: &Path, settings: &BTreeMap<String, String>) -> Result<Self, AppError> {
        let path = folder.join("host.json");
        let host: HostFile = file::parse(&path)?;
        let refuse = |reason: String| AppError::Setting { path: path.clone(), reason };
        if host.version != "2.0" {
            return Err(refuse(format!("version is `{}`, it must be `2.0`", host.version)));
        }
        let handler = host.custom_handler;
        if !handler.enable_forwarding_http_request {
            return Err(refuse(
                "customHandler.enableForwardingHttpRequest is not `true`, and this host only forwards"
                    .to_owned(),
            ));
        }
        let description = handler.description;
        let executable = relative(&description.default_executable_path)
            .map(|executable| folder.join(executable))
            .filter(|executable| executable.is_file())
            .ok_or_else(|| {
                refuse(format!(
                    "customHandler.description.defaultExecutablePath is `{}`, and there is no such file in the app's folder",
                    description.default_executable_path
                ))
            })?;
        let working_directory = match description.working_directory.as_deref() {
            None | Some("") => folder.to_path_buf(),
            Some(given) => relative(given)
                .map(|given| folder.join(given))
                .filter(|directory| directory.is_dir())
                .ok_or_else(|| {
                    refuse(format!(
                        "customHandler.description.workingDirectory is `{given}`, and there is no such folder in the app's folder"
                    ))
                })?,
        };
        let initialization_timeout = match handler.initialization_timeout.as_deref() {
            None => INITIALIZATION,
            Some(given) => time_span(given).ok_or_else(|| {
                refuse(format!(
                    "customHandler.initializationTimeout is `{given}`, it must be a time as `hh:mm:ss`"
                ))
            })?,
        };
        let log_levels = LogLevels::parse(&host.logging.log_level)
            .map_err(|error| refuse(format!("logging.logLevel: {error}")))?;
        let route_prefix = host.extensions.http.route_prefix.trim_matches('/').to_owned();
        let functions = function::read(folder)?;
        if functions.is_empty() {
            return Err(AppError::Setting {
                path: folder.to_path_buf(),
                reason: "there is no function: no folder in it has a function.json".to_owned(),
            });
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            executable,
            arguments: description.arguments.iter().map(|each| expand(each, settings)).collect(),
            working_directory,
            initialization_timeout,
            route_prefix,
            log_levels,
            functions,
        })
    }
}

/// Returns the path if it stays below the folder to which it is joined.
fn relative(given: &str) -> Option<&Path> {
    let path = Path::new(given);
    let below = path
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
    (below && !given.is_empty()).then_some(path)
}

/// Parses a duration as `hh:mm:ss`, as .NET does.
fn time_span(given: &str) -> Option<Duration> {
    let parts: Vec<u64> = given.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match parts[..] {
        [hours @ 0..24, minutes @ 0..60, seconds @ 0..60] => {
            Some(Duration::from_secs(hours * 3600 + minutes * 60 + seconds))
        }
        _ => None,
    }
}

/// Replaces `%NAME%` by the app setting of that name; unknown names stay as they are.
fn expand(argument: &str, settings: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = argument;
    while let Some((before, after)) = rest.split_once('%') {
        expanded.push_str(before);
        let named = after.split_once('%').map(|(name, behind)| (settings.get(name), behind));
        if let Some((Some(value), behind)) = named {
            expanded.push_str(value);
            rest = behind;
        } else {
            expanded.push('%');
            rest = after;
        }
    }
    expanded + rest
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HostFile {
    version: String,
    custom_handler: CustomHandler,
    #[serde(default)]
    logging: LoggingDocument,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CustomHandler {
    description: Description,
    #[serde(default)]
    enable_forwarding_http_request: bool,
    /// For newer hosts, which proxy where this one forwards; Functions host 4.1037 ignores it.
    #[serde(default, rename = "enableProxyingHttpRequest")]
    _enable_proxying_http_request: bool,
    initialization_timeout: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Description {
    default_executable_path: String,
    #[serde(default)]
    arguments: Vec<String>,
    working_directory: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LoggingDocument {
    log_level: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Extensions {
    http: HttpExtension,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct HttpExtension {
    route_prefix: String,
}

impl Default for HttpExtension {
    fn default() -> Self {
        Self { route_prefix: ROUTE_PREFIX.to_owned() }
    }
}

#[cfg(test)]
mod tests;
