//! The property list for launchd, rendered from the description of the service.

use std::{
    io::ErrorKind,
    process::{Command, Output},
};

use plist::{Dictionary, Value};

use super::{
    description::{LABEL, SERVICE},
    layout::{Layout, PLIST_TEXT, Platform, PlatformPaths},
};

fn dictionary<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let mut dictionary = Dictionary::new();
    for (key, value) in entries {
        dictionary.insert(key.to_owned(), value);
    }
    dictionary.into()
}

fn rendered() -> String {
    let layout = Layout::of(Platform::MacOs);
    let text = |path: &std::path::Path| Value::from(path.to_str().expect("it is text"));
    let PlatformPaths::Launchd { logs } = &layout.platform_paths else {
        panic!("launchd has a folder of logs")
    };
    let errors = text(&logs.join("agent.log"));
    let user = Value::from(Platform::MacOs.user());
    let arguments = SERVICE.arguments.iter().map(|argument| Value::from(*argument));
    let job = dictionary([
        ("Label", LABEL.into()),
        (
            "ProgramArguments",
            [text(&layout.program)].into_iter().chain(arguments).collect::<Vec<_>>().into(),
        ),
        ("UserName", user.clone()),
        ("GroupName", user),
        ("WorkingDirectory", text(&layout.state_dir)),
        // The journal's folder, in the variable that systemd uses for it.
        ("EnvironmentVariables", dictionary([("STATE_DIRECTORY", text(&layout.state_dir))])),
        ("RunAtLoad", true.into()),
        ("KeepAlive", dictionary([("SuccessfulExit", false.into())])),
        ("ThrottleInterval", SERVICE.throttle.as_secs().into()),
        // launchd throttles `Background` jobs, which would falsify the measured latencies.
        ("ProcessType", "Standard".into()),
        ("StandardOutPath", errors.clone()),
        ("StandardErrorPath", errors),
    ]);
    let mut bytes = Vec::new();
    job.to_writer_xml(&mut bytes).expect("writing to a vector cannot fail");
    String::from_utf8(bytes).expect("XML is text") + "\n"
}

#[test]
fn the_property_list_matches_the_description() {
    let rendered = rendered();
    assert!(
        PLIST_TEXT == rendered,
        "packaging/launchd/net.ispmon.agent.plist must read:\n{rendered}"
    );
}

#[test]
fn a_crash_restarts_it_and_a_configuration_error_does_not() {
    let job = Value::from_reader_xml(PLIST_TEXT.as_bytes()).expect("a property list");
    let job = job.as_dictionary().expect("a dictionary");
    let keep_alive = job["KeepAlive"].as_dictionary().expect("a dictionary");
    assert_eq!(keep_alive.len(), 1);
    assert_eq!(keep_alive["SuccessfulExit"].as_boolean(), Some(false));
    assert!(!job.contains_key("Disabled"), "it starts with the machine");
}

/// Runs a program on the property list and returns its output; `None` when the program is not installed.
fn read_by(program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    match Command::new(program).args(arguments).output() {
        Ok(Output { status, stdout, stderr }) => {
            assert!(status.success(), "{program}: {}", String::from_utf8_lossy(&stderr));
            Some(stdout)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("SKIPPED: there is no {program} here");
            None
        }
        Err(error) => panic!("{program} cannot be started: {error}"),
    }
}

#[test]
fn independent_parsers_read_the_same_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("it is text").to_owned();
    std::fs::write(path("xml"), PLIST_TEXT).expect("it is written");
    let ours = Value::from_reader_xml(PLIST_TEXT.as_bytes()).expect("a property list");
    if read_by("plistutil", &["-i", &path("xml"), "-o", &path("binary"), "-f", "bin"]).is_some() {
        assert_eq!(Value::from_file(path("binary")).expect("a property list"), ours);
    }
    let script = "import json, plistlib, sys\n\
        print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    if let Some(json) = read_by("python3", &["-c", script, &path("xml")]) {
        let theirs: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(theirs, serde_json::to_value(&ours).expect("it has no dates"));
    }
}
