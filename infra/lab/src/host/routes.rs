//! Finds the function of a request.

use hyper::Method;

use super::app::{App, Function};

/// The target of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The host's own page.
    Page,
    /// A function.
    Function(&'a Function),
    /// None: unknown route, or a method that the function does not list (both are 404).
    Nothing,
}

/// Returns the target of a request by its path, as [`normalize`] returns it.
///
/// Measured with Functions host 4.1037: routes are compared case-insensitively, a trailing slash is
/// ignored, an empty segment is not.
pub fn find<'a>(app: &'a App, method: &Method, path: &str) -> Target<'a> {
    if path == "/" {
        return if *method == Method::GET || *method == Method::HEAD {
            Target::Page
        } else {
            Target::Nothing
        };
    }
    let Some(path) = path.strip_prefix('/') else { return Target::Nothing };
    let path = path.strip_suffix('/').unwrap_or(path);
    let matches = |function: &&Function| {
        let route = if app.route_prefix.is_empty() {
            function.route.clone()
        } else {
            format!("{}/{}", app.route_prefix, function.route)
        };
        route.eq_ignore_ascii_case(path)
            && (function.methods.is_empty() || function.methods.contains(method))
    };
    app.functions.iter().find(matches).map_or(Target::Nothing, Target::Function)
}

/// Decodes characters that need no percent-encoding (`%70ing` becomes `ping`), as the host does
/// before it forwards the path; everything else is unchanged.
pub fn normalize(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        normal.push_str(before);
        let decoded = after
            .get(..2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte));
        if let Some(byte) = decoded {
            normal.push(char::from(byte));
            rest = &after[2..];
        } else {
            normal.push('%');
            rest = after;
        }
    }
    normal.push_str(rest);
    normal
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf, time::Duration};

    use super::*;
    use crate::host::{app::Authorization, log_level::LogLevels};

    fn app(prefix: &str) -> App {
        App {
            folder: PathBuf::new(),
            executable: PathBuf::new(),
            arguments: Vec::new(),
            working_directory: PathBuf::new(),
            initialization_timeout: Duration::ZERO,
            route_prefix: prefix.to_owned(),
            log_levels: LogLevels::parse(&BTreeMap::new()).expect("levels"),
            functions: vec![Function {
                name: "Ping".to_owned(),
                route: "ping".to_owned(),
                methods: vec![Method::GET],
                authorization: Authorization::Function,
            }],
        }
    }

    fn found(prefix: &str, method: &Method, path: &str) -> &'static str {
        match find(&app(prefix), method, &normalize(path)) {
            Target::Page => "page",
            Target::Function(_) => "function",
            Target::Nothing => "nothing",
        }
    }

    #[test]
    fn routes_are_found_as_the_host_finds_them() {
        for (path, expected) in [
            ("/api/ping", "function"),
            ("/API/Ping/", "function"),
            ("/api/%70ing", "function"),
            ("/", "page"),
            ("/api//ping", "nothing"),
            ("//api/ping", "nothing"),
            ("/api/ping//", "nothing"),
            ("/ping", "nothing"),
            ("/api/pin", "nothing"),
            ("/api/ping/more", "nothing"),
            ("/api%2Fping", "nothing"),
            ("*", "nothing"),
        ] {
            assert_eq!(found("api", &Method::GET, path), expected, "{path}");
        }
        assert_eq!(found("api", &Method::POST, "/api/ping"), "nothing");
        assert_eq!(found("api", &Method::POST, "/"), "nothing");
        assert_eq!(found("", &Method::GET, "/ping"), "function");
    }

    #[test]
    fn only_what_needs_no_encoding_is_decoded() {
        for (path, expected) in [
            ("/%70%7E%2d", "/p~-"),
            ("/%2F%20%c3%bc", "/%2F%20%c3%bc"),
            ("/%", "/%"),
            ("/%7", "/%7"),
            ("/%zz%+7", "/%zz%+7"),
            ("/%€7", "/%€7"),
        ] {
            assert_eq!(normalize(path), expected);
        }
    }
}
