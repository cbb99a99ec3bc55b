//! Foreign text from the journal, the status file or the control socket on its way to a terminal.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use ispmon_agent::status::{HeartbeatStatus, LastHeartbeat, Status};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use super::place::TestMachine;
use crate::record::JournalBuilder;

/// Sets the title, clears the screen, sets red (escape sequences in both encodings), reverses the text
/// direction, and adds lines.
const HOSTILE: &str = "dl\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{85}\r\nFORGED\u{7f}";

/// The output of a program on a terminal, errors included, and its exit code.
fn in_a_terminal(mut command: Command) -> (String, Option<i32>) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&controller).expect("the terminal is granted");
    unlockpt(&controller).expect("the terminal is unlocked");
    let name = ptsname(&controller, Vec::new()).expect("the terminal has a name");
    let path = Path::new(name.to_str().expect("a path is UTF-8"));
    let terminal = File::options().read(true).write(true).open(path).expect("the terminal opens");
    let output = terminal.try_clone().expect("a second handle");
    command.env("TERM", "xterm-256color").stdin(Stdio::null()).stdout(output).stderr(terminal);
    let mut child = command.spawn().expect("the program starts");
    // Closes its handles on the terminal, so that reading ends when the program exits.
    drop(command);
    let mut shown = Vec::new();
    let mut controller = File::from(controller);
    let mut buffer = [0; 4_096];
    // At the end, Linux returns `EIO` and macOS zero bytes.
    while let Ok(count @ 1..) = controller.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..count]);
    }
    let code = child.wait().expect("the program exits").code();
    (String::from_utf8(shown).expect("the program writes text"), code)
}

/// Asserts that `shown` has no character that controls a terminal, and no forged line.
fn assert_safe(what: &[&str], shown: &str) {
    let is_control = |character: char| {
        character.is_control() && !matches!(character, '\n' | '\r' | '\t')
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!shown.contains(is_control), "{what:?}: {shown:?}");
    assert!(!shown.lines().any(|line| line.starts_with("FORGED")), "{what:?}: {shown:?}");
}

fn hostile_status(machine: &TestMachine) -> Status {
    let status = machine.status();
    Status {
        device: HOSTILE.to_owned(),
        version: HOSTILE.to_owned(),
        heartbeat: Some(HeartbeatStatus {
            url: HOSTILE.to_owned(),
            last: Some(LastHeartbeat {
                at: status.written,
                delivered: false,
                sentence: HOSTILE.to_owned(),
                advice: Some(HOSTILE.to_owned()),
            }),
            last_delivered: None,
            expected: Some(false),
        }),
        ..status
    }
}

#[test]
fn a_hostile_status_file_cannot_control_the_terminal() {
    let machine = TestMachine::new();
    TestMachine::put(&machine.state_dir(), &hostile_status(&machine));
    fs::write(machine.path().join("agent.toml"), "device = \"dl-home\"\n[probe]\nanchors = \"127.0.0.1:1\"\nresolver = \"127.0.0.1:1\"\nportal = \"off\"\n")
        .expect("the file is written");
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["doctor", "--config", "agent.toml"],
        &["doctor", "--json", "--config", "agent.toml"],
    ] {
        let (shown, _) = in_a_terminal(machine.command(arguments));
        assert_safe(arguments, &shown);
        assert!(shown.contains("owned"), "the text itself is shown: {arguments:?}: {shown:?}");
    }
}

#[test]
fn a_hostile_journal_cannot_control_the_terminal() {
    let machine = TestMachine::new();
    let mut journal = JournalBuilder::start(1, HOSTILE, "2026-10-24T00:00:00Z");
    journal.fill_hours("2026-10-24T00:00:00Z", 3, 12);
    journal.write(&machine.state_dir());
    let page = machine.path().join("page.html");
    let page = page.to_str().expect("the path is UTF-8");
    for arguments in [
        &["outages", "--since", "2026-10-24"][..],
        &["outages", "--since", "2026-10-24", "--json"],
        &["outages", "--since", "2026-10-24", "--csv"],
        &["report", "--since", "2026-10-24"],
        &["report", "--since", "2026-10-24", "--json"],
        &["report", "--since", "2026-10-24", "--csv"],
        &["report", "--since", "2026-10-24", "--html", page],
        &["journal", "verify"],
    ] {
        let (shown, code) = in_a_terminal(machine.command(arguments));
        assert_eq!(code, Some(0), "{arguments:?}: {shown:?}");
        assert_safe(arguments, &shown);
    }
    let page = fs::read_to_string(page).expect("the page is there");
    assert!(page.contains("owned"), "the page shows the device");
    assert_safe(&["cat page.html"], &page);
    let piped = machine.run(&["report", "--since", "2026-10-24"]);
    assert_safe(&["report into a pipe"], &piped.output);
    assert!(piped.output.contains("owned"), "{}", piped.output);
}

#[test]
fn a_forged_control_answer_cannot_control_the_terminal() {
    let machine = TestMachine::new();
    let until = serde_json::to_value(ispmon_agent::clock::Stamp::now()).expect("valid JSON");
    let answers = [
        json!({"answer": "refused", "reason": HOSTILE}).to_string(),
        json!({"answer": "paused", "until": until, "again": false, "x": HOSTILE}).to_string(),
        json!({"answer": HOSTILE}).to_string(),
        format!("{{\"answer\": {HOSTILE}"),
        HOSTILE.to_owned(),
    ];
    for answer in answers {
        for arguments in [&["pause", "2h"][..], &["resume"]] {
            let _ = fs::remove_file(machine.socket());
            let listener = UnixListener::bind(machine.socket()).expect("the socket is bound");
            let answer = answer.clone();
            let forger = thread::spawn(move || {
                let (mut client, _) = listener.accept().expect("a client");
                let mut request = [0; 512];
                let _ = client.read(&mut request).expect("a request");
                client.write_all(answer.as_bytes()).expect("an answer");
            });
            let (shown, _) = in_a_terminal(machine.command(arguments));
            forger.join().expect("the answer was sent");
            assert_safe(arguments, &shown);
            assert!(!shown.is_empty());
        }
    }
}
