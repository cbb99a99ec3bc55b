//! The app folder: `host.json` and a `function.json` per function, read as the Functions host reads them.
//!
//! What the stand-in cannot play is refused with the reason, never ignored: an app folder that starts
//! here means the same to the real host.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper::Method;
use serde::{Deserialize, de::DeserializeOwned};

use super::log_level::LogLevels;

/// How long a handler may take to answer its first request when `host.json` does not say.
///
/// Source: Azure Functions host, `HttpWorkerOptions.InitializationTimeout`.
const INITIALIZATION: Duration = Duration::from_secs(30);

/// The prefix of every route when `host.json` does not say.
const ROUTE_PREFIX: &str = "api";

/// A function app.
#[derive(Clone, Debug)]
pub struct App {
    /// The folder itself.
    pub folder: PathBuf,
    /// The handler's program.
    pub executable: PathBuf,
    /// The handler's arguments.
    pub arguments: Vec<String>,
    /// The folder that the handler starts in.
    pub working_directory: PathBuf,
    /// How long the handler may take until it answers.
    pub initialization_timeout: Duration,
    /// The prefix of every route, without slashes; may be empty.
    pub route_prefix: String,
    /// Which telemetry is kept.
    pub log_levels: LogLevels,
    /// The functions, in the order of their names.
    pub functions: Vec<Function>,
}

/// A function that HTTP requests invoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, which is the name of its folder.
    pub name: String,
    /// Its route behind the prefix, without slashes at its ends.
    pub route: String,
    /// The methods that it takes; empty for all.
    pub methods: Vec<Method>,
    /// Who may call it.
    pub authorization: Authorization,
}

/// Who may call a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authorization {
    /// Everybody.
    Anonymous,
    /// Who has a key of the function, of the host, or the master key.
    #[default]
    Function,
    /// Who has the master key.
    Admin,
}

/// Why an app folder cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A file or folder could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("cannot understand {path}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A setting has a value that the real host or this stand-in refuses.
    #[error("{path}: {reason}")]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting, its value and what it should be.
        reason: String,
    },
}

impl App {
    /// Reads the app in `folder`; `settings` fills `%NAME%` in the handler's arguments.
    pub fn read(folder: &Path, settings: &BTreeMap<String, String>) -> Result<Self, AppError> {
        let path = folder.join("host.json");
        let host: HostFile = parse(&path)?;
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
        let functions = functions(folder)?;
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

fn functions(folder: &Path) -> Result<Vec<Function>, AppError> {
    let unreadable = |source| AppError::Read { path: folder.to_path_buf(), source };
    let mut functions = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path().join("function.json");
        if path.is_file() {
            functions.push(function(&path)?);
        }
    }
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(functions)
}

/// Reads one function; only HTTP in and HTTP out is forwarded as it is (Azure Functions host, `IsHttpInAndOutFunction`).
fn function(path: &Path) -> Result<Function, AppError> {
    let refuse =
        |reason: &str| AppError::Setting { path: path.to_path_buf(), reason: reason.to_owned() };
    let file: FunctionFile = parse(path)?;
    let name = path
        .parent()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str())
        .ok_or_else(|| refuse("the folder's name is not a function's name"))?
        .to_owned();
    let mut trigger = None;
    let mut answers = 0;
    for binding in file.bindings {
        match binding {
            Binding::HttpTrigger(given) if trigger.is_none() => trigger = Some(given),
            Binding::Http(Output { direction: Direction::Out }) => answers += 1,
            _ => {
                return Err(refuse(
                    "bindings: there must be one `httpTrigger` and one `http` that is `out`",
                ));
            }
        }
    }
    let (Some(trigger), 1) = (trigger, answers) else {
        return Err(refuse(
            "bindings: there must be one `httpTrigger` and one `http` that is `out`",
        ));
    };
    if trigger.direction != Direction::In {
        return Err(refuse("bindings: the direction of `httpTrigger` must be `in`"));
    }
    let route = trigger.route.as_deref().unwrap_or(&name).trim_matches('/').to_owned();
    if route.contains(['{', '*', '%']) || route.contains("//") {
        return Err(refuse("bindings: this host knows only routes of plain words"));
    }
    let methods = trigger
        .methods
        .iter()
        .map(|method| Method::from_bytes(method.to_ascii_uppercase().as_bytes()))
        .collect::<Result<_, _>>()
        .map_err(|_| refuse("bindings: `methods` holds something that is no HTTP method"))?;
    Ok(Function { name, route, methods, authorization: trigger.auth_level })
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, AppError> {
    let bytes =
        fs::read(path).map_err(|source| AppError::Read { path: path.to_path_buf(), source })?;
    serde_json::from_slice(&bytes)
        .map_err(|source| AppError::Parse { path: path.to_path_buf(), source })
}

/// A path that stays below the folder that it is joined to.
fn relative(given: &str) -> Option<&Path> {
    let path = Path::new(given);
    let below = path
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
    (below && !given.is_empty()).then_some(path)
}

/// A time as `hh:mm:ss`, as .NET reads it.
fn time_span(given: &str) -> Option<Duration> {
    let parts: Vec<u64> = given.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match parts[..] {
        [hours @ 0..24, minutes @ 0..60, seconds @ 0..60] => {
            Some(Duration::from_secs(hours * 3600 + minutes * 60 + seconds))
        }
        _ => None,
    }
}

/// Replaces `%NAME%` by the app setting of that name; what names none stays.
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
    logging: Logging,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CustomHandler {
    description: Description,
    #[serde(default)]
    enable_forwarding_http_request: bool,
    initialization_timeout: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    default_executable_path: String,
    #[serde(default)]
    arguments: Vec<String>,
    working_directory: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Logging {
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

#[derive(Deserialize)]
struct FunctionFile {
    bindings: Vec<Binding>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Binding {
    HttpTrigger(Trigger),
    Http(Output),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trigger {
    direction: Direction,
    #[serde(default)]
    auth_level: Authorization,
    #[serde(default)]
    methods: Vec<String>,
    route: Option<String>,
}

#[derive(Deserialize)]
struct Output {
    direction: Direction,
}

#[derive(PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    In,
    Out,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOST: &str = include_str!("../../../../function/host.json");
    const PING: &str = include_str!("../../../../function/Ping/function.json");
    const OUTAGES: &str = include_str!("../../../../function/Outages/function.json");

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, content).expect("a file");
        }
        folder
    }

    fn read(files: &[(&str, &str)]) -> Result<App, String> {
        let folder = folder(files);
        App::read(folder.path(), &BTreeMap::new()).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error} {}", source.unwrap_or_default())
        })
    }

    #[test]
    fn the_app_that_gets_deployed_is_understood() {
        let app = read(&[
            ("host.json", HOST),
            ("ispmon-function", ""),
            ("Ping/function.json", PING),
            ("Outages/function.json", OUTAGES),
            ("notes/readme.txt", "no function"),
        ])
        .expect("an app");
        assert_eq!(app.executable, app.folder.join("ispmon-function"));
        assert_eq!(app.working_directory, app.folder);
        assert_eq!(app.initialization_timeout, Duration::from_secs(30));
        assert_eq!(app.route_prefix, "api");
        let [outages, ping] = &app.functions[..] else { panic!("{:?}", app.functions) };
        assert_eq!((outages.name.as_str(), outages.route.as_str()), ("Outages", "outages"));
        assert_eq!(outages.methods, [Method::POST]);
        assert_eq!((ping.name.as_str(), ping.route.as_str()), ("Ping", "ping"));
        assert_eq!(ping.methods, [Method::GET, Method::HEAD, Method::POST]);
        assert_eq!(ping.authorization, Authorization::Function);
    }

    #[test]
    fn every_refusal_names_the_file_the_setting_and_the_value() {
        let host = |path: &str, value: serde_json::Value| {
            let mut host: serde_json::Value = serde_json::from_str(&host_json()).expect("JSON");
            *host.pointer_mut(path).expect(path) = value;
            host.to_string()
        };
        let handler = |extra: serde_json::Value| {
            let mut handler = json!({
                "description": { "defaultExecutablePath": "handler" },
                "enableForwardingHttpRequest": true,
            });
            handler
                .as_object_mut()
                .expect("an object")
                .extend(extra.as_object().expect("an object").clone());
            host("/customHandler", handler)
        };
        let path = "/customHandler/description/defaultExecutablePath";
        let description = json!({ "defaultExecutablePath": "handler", "workingDirectory": "gone" });
        let cases = [
            (host("/version", json!("1.0")), "version is `1.0`"),
            (host("/customHandler/enableForwardingHttpRequest", json!(false)), "only forwards"),
            (host(path, json!("other")), "`other`"),
            (host(path, json!("../handler")), "`../handler`"),
            (handler(json!({ "initializationTimeout": "30" })), "`30`"),
            (handler(json!({ "description": description })), "`gone`"),
            (r#"{"version":"2.0"}"#.to_owned(), "customHandler"),
            ("{".to_owned(), "host.json"),
        ];
        for (host, expected) in cases {
            let files =
                [("host.json", host.as_str()), ("handler", ""), ("Ping/function.json", PING)];
            let error = read(&files).expect_err(&host);
            assert!(error.contains(expected) && error.contains("host.json"), "{host}: {error}");
        }
        assert!(read(&[]).expect_err("no file").contains("host.json"));
    }

    #[test]
    fn a_function_that_cannot_be_forwarded_is_refused() {
        let host = host_json();
        let trigger = r#"{"type":"httpTrigger","direction":"in"}"#;
        let answer = r#"{"type":"http","direction":"out"}"#;
        for bindings in [
            trigger.to_owned(),
            format!("{trigger},{answer},{answer}"),
            format!("{trigger},{trigger},{answer}"),
            format!(r#"{trigger},{answer},{{"type":"queue","direction":"out"}}"#),
            format!(r#"{{"type":"httpTrigger","direction":"out"}},{answer}"#),
            format!(r#"{{"type":"httpTrigger","direction":"in","route":"a/{{id}}"}},{answer}"#),
            format!(r#"{{"type":"httpTrigger","direction":"in","authLevel":"nobody"}},{answer}"#),
        ] {
            let function = format!(r#"{{"bindings":[{bindings}]}}"#);
            let files =
                [("host.json", host.as_str()), ("handler", ""), ("Ping/function.json", &function)];
            let error = read(&files).expect_err(&function);
            assert!(error.contains("function.json"), "{error}");
        }
        let error = read(&[("host.json", &host), ("handler", "")]).expect_err("no function");
        assert!(error.contains("no function"), "{error}");
    }

    #[test]
    fn a_function_without_route_methods_and_level_has_the_hosts_defaults() {
        let function = r#"{"bindings":[{"type":"httpTrigger","direction":"in"},{"type":"http","direction":"out"}]}"#;
        let app =
            read(&[("host.json", &host_json()), ("handler", ""), ("Ping/function.json", function)]);
        let expected = Function {
            name: "Ping".to_owned(),
            route: "Ping".to_owned(),
            methods: Vec::new(),
            authorization: Authorization::Function,
        };
        assert_eq!(app.expect("an app").functions, [expected]);
    }

    fn host_json() -> String {
        r#"{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":"handler"},"enableForwardingHttpRequest":true}}"#.to_owned()
    }

    #[test]
    fn arguments_take_app_settings() {
        let settings = BTreeMap::from([("NAME".to_owned(), "value".to_owned())]);
        assert_eq!(expand("--a=%NAME%/%NAME%", &settings), "--a=value/value");
        assert_eq!(expand("100% of %OTHER% %", &settings), "100% of %OTHER% %");
    }
}
