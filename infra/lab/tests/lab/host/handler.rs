//! The recording handler: stores what it receives, and responds like the recorded handler.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::wire::{content_length, head_end};

/// The log line that the recorded handler wrote for each request.
pub(crate) const LINE: &str =
    r#"{"event":"heartbeat","device":"dl-home","note":"braces {0} {x} and \u00fc"}"#;

/// Handles requests until it is killed or a request makes it exit; returns at once if no test started
/// it.
pub(crate) fn run() {
    let setting = |name| env::var(name).expect(name);
    let Some(folder) = env::var_os("TEST_FOLDER").map(PathBuf::from) else { return };
    match setting("TEST_START").as_str() {
        "never" => wait_for_ever(),
        "when-released" => wait_for(&folder.join("released")),
        _ => {}
    }
    let variables: std::collections::BTreeMap<_, _> = env::vars().collect();
    let surroundings = serde_json::json!([env::current_dir().expect("a folder"), variables]);
    put(&folder.join("surroundings"), surroundings.to_string().as_bytes());
    let port: u16 = setting("FUNCTIONS_CUSTOMHANDLER_PORT").parse().expect("a port");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
    for stream in listener.incoming() {
        let folder = folder.clone();
        thread::spawn(move || serve(stream.expect("a connection"), &folder));
    }
}

fn serve(mut stream: TcpStream, folder: &Path) {
    while let Some(request) = read(&mut stream) {
        let text = String::from_utf8_lossy(&request).into_owned();
        if text.starts_with("GET / ") {
            put(&folder.join("readiness"), &request);
            answer(&mut stream, &text, "404 Not Found");
            continue;
        }
        put(&folder.join("received"), &request);
        let to_do = text.lines().find_map(|line| line.strip_prefix("x-do: ")).unwrap_or_default();
        let (action, argument) = to_do.split_once(' ').unwrap_or((to_do, ""));
        match action {
            "exit" => std::process::exit(argument.parse().expect("a code")),
            "stderr" => eprintln!("{argument}"),
            "stderr-and-exit" => {
                eprintln!("words 1\nwords 2\nwords 3\nwords 4");
                std::process::exit(argument.parse().expect("a code"));
            }
            "hold" => {
                put(&folder.join("held"), b"");
                wait_for(&folder.join("released"));
            }
            _ => println!("{LINE}"),
        }
        let status = if action == "status" { argument } else { "200 OK" };
        answer(&mut stream, &text, status);
    }
}

fn answer(stream: &mut TcpStream, request: &str, status: &str) {
    let body = if request.starts_with("HEAD ") { "" } else { "ok" };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\nx-ispmon-client-ip: 203.0.113.7\r\n\r\n{body}"
    );
    // The host may have closed the connection.
    let _ = stream.write_all(answer.as_bytes());
}

/// One request; `None` when the connection ends.
fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        if let Some(end) = head_end(&request)
            && request.len() >= end + content_length(&request[..end])
        {
            return Some(request);
        }
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => request.extend(&buffer[..read]),
            _ => return None,
        }
    }
}

/// Writes a file atomically.
fn put(path: &Path, content: &[u8]) {
    let draft = path.with_extension("draft");
    fs::write(&draft, content).expect("a file can be written");
    fs::rename(&draft, path).expect("a file can be renamed");
}

/// Waits for a file for at most five minutes, so that a test that ends without creating it leaves no
/// process behind.
fn wait_for(path: &Path) {
    for _ in 0..60_000 {
        if path.exists() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    std::process::exit(1);
}

fn wait_for_ever() -> ! {
    loop {
        thread::park();
    }
}
