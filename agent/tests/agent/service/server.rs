//! A server on loopback that receives heartbeats and reports of agents.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use ispmon_wire::{AgentState, Heartbeat, OUTAGES_PATH, OutageReport};
use tokio::time::Instant;

use crate::process::PATIENCE;

/// What the server does after it has read a request.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    /// Sends this response.
    Answer(&'static str),
    /// Sends nothing and keeps the connection open.
    Hang,
    /// Closes the connection.
    Close,
}

/// The function's response to a device that an alert rule monitors.
pub(crate) const OK: Behaviour = Behaviour::Answer(
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\nconnection: close\r\n\
     x-ispmon-client-ip: 203.0.113.7\r\nx-ispmon-expected: yes\r\n\r\nok",
);

/// The function's response to a device that no alert rule monitors.
pub(crate) const NOT_EXPECTED: Behaviour = Behaviour::Answer(
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\nx-ispmon-expected: no\r\n\r\nok",
);

/// The response of the Functions host to a wrong key.
pub(crate) const UNAUTHORIZED: Behaviour = Behaviour::Answer(
    "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
);

/// A server that passes received heartbeats and reports on to the test.
pub(crate) struct Server {
    address: SocketAddr,
    heartbeats: Receiver<Heartbeat>,
    reports: Receiver<OutageReport>,
}

impl Server {
    /// Listens on a free port of loopback, for as long as the test runs.
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        Self::start_with(move |_| behaviour)
    }

    /// Like [`Self::start`]; `choose` returns the behaviour for each heartbeat.
    pub(crate) fn start_with(
        choose: impl Fn(&Heartbeat) -> Behaviour + Send + Clone + 'static,
    ) -> Self {
        Self::listen(choose, accept)
    }

    /// Like [`Self::start`] with [`OK`]; `take` returns status and body of the response to each report, or
    /// `None` to accept it like the function.
    pub(crate) fn start_taking(
        take: impl Fn(&OutageReport) -> Option<(&'static str, &'static str)> + Send + Clone + 'static,
    ) -> Self {
        let take = move |report: &OutageReport| {
            take(report).map_or_else(|| accept(report), |(status, body)| answer(status, body))
        };
        Self::listen(|_| OK, take)
    }

    fn listen(
        choose: impl Fn(&Heartbeat) -> Behaviour + Send + Clone + 'static,
        take: impl Fn(&OutageReport) -> String + Send + Clone + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the socket has an address");
        let (sender, heartbeats) = mpsc::channel();
        let (report_sender, reports) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let senders = (sender.clone(), report_sender.clone());
                let (choose, take) = (choose.clone(), take.clone());
                thread::spawn(move || serve(stream, &senders, choose, take));
            }
        });
        Self { address, heartbeats, reports }
    }

    /// Waits for the next outage report.
    pub(crate) fn report(&self) -> OutageReport {
        self.reports.recv_timeout(PATIENCE).expect("a report")
    }

    /// The heartbeat URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/ping", self.address)
    }

    /// Waits for the next heartbeat.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        self.heartbeats.recv_timeout(PATIENCE).expect("a heartbeat")
    }

    /// Waits for the next heartbeat of this state.
    pub(crate) fn heartbeat_that_is(&self, state: AgentState) -> Heartbeat {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let heartbeat = self.heartbeats.recv_timeout(left).expect("a heartbeat of that state");
            if heartbeat.agent.as_ref().is_some_and(|agent| agent.state == state) {
                return heartbeat;
            }
        }
    }

    /// The reports that were received and not yet returned.
    pub(crate) fn pending_reports(&self) -> Vec<OutageReport> {
        self.reports.try_iter().collect()
    }

    /// The heartbeats that were received and not yet returned.
    pub(crate) fn pending(&self) -> Vec<Heartbeat> {
        self.heartbeats.try_iter().collect()
    }
}

/// The function's response to a report that it accepts.
fn accept(report: &OutageReport) -> String {
    answer("200 OK", &format!("{{\"accepted\":{}}}", report.incidents.len()))
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn serve(
    stream: TcpStream,
    (sender, reports): &(Sender<Heartbeat>, Sender<OutageReport>),
    choose: impl Fn(&Heartbeat) -> Behaviour,
    take: impl Fn(&OutageReport) -> String,
) {
    let mut reader = BufReader::new(stream);
    let Some((request, body)) = read(&mut reader) else { return };
    if request.contains(OUTAGES_PATH) {
        let Ok(report) = OutageReport::parse(&body) else { return };
        let answer = take(&report);
        // Before the response, so that a test that sees its effect also finds the report.
        let _ = reports.send(report);
        let _ = reader.get_mut().write_all(answer.as_bytes());
        return;
    }
    let Ok(heartbeat) = Heartbeat::parse(&body) else { return };
    let behaviour = choose(&heartbeat);
    if sender.send(heartbeat).is_err() {
        return;
    }
    match behaviour {
        // The agent may have exited before the response.
        Behaviour::Answer(answer) => drop(reader.get_mut().write_all(answer.as_bytes())),
        // Until the agent closes it.
        Behaviour::Hang => drop(reader.read_to_end(&mut Vec::new())),
        Behaviour::Close => {}
    }
}

/// The first line of a request, and its body.
fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut length = 0;
    let mut request = String::new();
    reader.read_line(&mut request).ok()?;
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((request, body))
}
