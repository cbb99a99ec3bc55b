use std::fs;

use hyper::Method;
use serde_json::json;

use super::*;

const HOST: &str = include_str!("../../../../../function/host.json");
const PING: &str = include_str!("../../../../../function/Ping/function.json");
const OUTAGES: &str = include_str!("../../../../../function/Outages/function.json");

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
fn the_deployed_app_is_read() {
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
        (handler(json!({ "port": 7071 })), "`port`"),
        (handler(json!({ "http": { "routes": [] } })), "`http`"),
        (r#"{"version":"2.0"}"#.to_owned(), "customHandler"),
        ("{".to_owned(), "host.json"),
    ];
    for (host, expected) in cases {
        let files = [("host.json", host.as_str()), ("handler", ""), ("Ping/function.json", PING)];
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
