//! A function of the app, from the `function.json` in its folder.

use std::{fs, path::Path};

use hyper::Method;
use serde::Deserialize;

use super::file::{AppError, parse};

/// A function that HTTP requests invoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name: the name of its folder.
    pub name: String,
    /// Its route after the prefix, without leading and trailing slashes.
    pub route: String,
    /// The allowed methods; empty for all.
    pub methods: Vec<Method>,
    /// The key that it requires.
    pub authorization: Authorization,
}

/// The key that a function requires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authorization {
    /// None.
    Anonymous,
    /// A key of the function, a host key, or the master key.
    #[default]
    Function,
    /// The master key.
    Admin,
}

/// Reads the functions of an app folder, sorted by name.
pub(super) fn read(folder: &Path) -> Result<Vec<Function>, AppError> {
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

/// Reads one function. It must have exactly one HTTP trigger and one HTTP output, because only such
/// a function receives the original request (Azure Functions host, `IsHttpInAndOutFunction`).
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
            Binding::Http(OutputBinding { direction: Direction::Out }) => answers += 1,
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

#[derive(Deserialize)]
struct FunctionFile {
    bindings: Vec<Binding>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Binding {
    HttpTrigger(Trigger),
    Http(OutputBinding),
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
struct OutputBinding {
    direction: Direction,
}

#[derive(PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    In,
    Out,
}
