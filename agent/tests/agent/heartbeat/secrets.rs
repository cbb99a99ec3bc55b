//! The URL of a plain heartbeat is a secret: an attacker who has it can suppress the alarm.

use std::process::Command;

use ispmon_testing::server::{OK, TestServer};

use super::ping::ping_in;
use crate::process::{Agent, Folder};

fn plain(url: &str) -> Folder {
    Folder::with(&format!(
        "device = \"dl-home\"\n[heartbeat]\nkind = \"plain\"\nurl = \"{url}\"\ninterval = \"1s\"\n\
         backoff_base = \"10ms\"\n"
    ))
}

#[test]
fn no_output_shows_the_path_of_a_plain_heartbeat() {
    for answer in [
        OK,
        "HTTP/1.1 404 Not Found\r\nContent-Length: 24\r\n\r\nno such thing: /s3cret/x",
        "HTTP/1.1 302 Found\r\nLocation: /s3cret/y\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 /s3cret/x\r\n\r\n",
        "",
    ] {
        let server = TestServer::answering(answer);
        let folder = plain(&server.url("/s3cret/x?token=s3cret"));
        let pinged = ping_in(&folder, &[]);
        assert_eq!(pinged.code, Some(i32::from(answer != OK)), "{pinged:?}");
        assert!(!format!("{pinged:?}").contains("s3cret"), "{pinged:?}");

        let mut agent = Agent::spawn(&mut folder.command(["run", "--verbose"]));
        server.wait_for_requests(3);
        // The log line of the second heartbeat, delivered or failed.
        agent.wait_for_log(if answer == OK { "Heartbeat delivered in" } else { "in a row" });
        agent.signal(rustix::process::Signal::TERM);
        let (_, log) = agent.wait_for_exit();
        assert!(log.contains("http://127.0.0.1:"), "{log}");
        assert!(!log.contains("s3cret"), "{log}");

        let mut config: Command = folder.command(["config"]);
        let shown = config.output().expect("the program starts").stdout;
        assert!(!String::from_utf8_lossy(&shown).contains("s3cret"));
        assert!(server.requests().iter().all(|request| request.contains("/s3cret/x?token=s3cret")));
    }
}

#[test]
fn a_plain_heartbeat_is_a_get_without_data_and_a_stop_is_not_announced() {
    let server = TestServer::answering(OK);
    let folder = plain(&server.url("/s3cret"));
    let mut agent = folder.run();
    agent.wait_for_log("The first heartbeat reached");
    agent.signal(rustix::process::Signal::TERM);
    let (status, log) = agent.wait_for_exit();
    assert!(status.success(), "{log}");
    for request in server.requests() {
        assert!(request.starts_with("GET /s3cret HTTP/1.1\r\n"), "{request}");
        assert!(!request.contains("dl-home") && !request.contains("stopping"), "{request}");
    }
}
