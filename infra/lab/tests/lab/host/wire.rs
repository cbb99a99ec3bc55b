//! HTTP/1.1 as bytes, so that the tests compare exactly what was sent.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::stage::in_time;

/// A request or a response in comparable form: without the order and case of headers, dates and ids.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The request line or the status line.
    pub(crate) start: String,
    /// Names in lower case and values, sorted.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = head_end(bytes).expect("a whole head");
        let head = str::from_utf8(&bytes[..end]).expect("a head in ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let start = lines.next().expect("a first line").to_owned();
        let mut headers: Vec<_> = lines.map(header).collect();
        headers.sort();
        Self { start, headers, body: bytes[end..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }
}

fn header(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').expect(line);
    let (name, value) = (name.to_ascii_lowercase(), value.trim());
    let value = match name.as_str() {
        "date" => "<date>".to_owned(),
        "x-azure-functions-invocationid" => {
            let (claim, id) = value.rsplit_once(", ").unwrap_or(("", value));
            assert!(uuid::Uuid::try_parse(id).is_ok(), "`{id}` is no id of an invocation");
            if claim.is_empty() { "<id>".to_owned() } else { format!("{claim}, <id>") }
        }
        "traceparent" => {
            let lengths: Vec<_> = value.split('-').map(str::len).collect();
            assert_eq!(lengths, [2, 32, 16, 2], "`{value}` is no traceparent");
            "<trace>".to_owned()
        }
        _ => value.to_owned(),
    };
    (name, value)
}

/// The length of the head including the empty line.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The Content-Length of a head.
pub(crate) fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.map_or(0, |value| value.trim().parse().expect("a length"))
}

/// A connection of a client.
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(in_time(TcpStream::connect(address)).await.expect("the host accepts"))
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Message {
        self.send(request).await;
        let head = request.starts_with(b"HEAD ");
        self.answer(head).await
    }

    pub(crate) async fn send(&mut self, request: &[u8]) {
        in_time(self.0.write_all(request)).await.expect("the request can be sent");
    }

    pub(crate) async fn receive(&mut self) -> Message {
        self.answer(false).await
    }

    /// Whether no response arrives within a short wait.
    pub(crate) async fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        timeout(Duration::from_millis(300), self.0.peek(&mut byte)).await.is_err()
    }

    async fn answer(&mut self, head_only: bool) -> Message {
        let mut bytes = Vec::new();
        let length = loop {
            if let Some(end) = head_end(&bytes) {
                break end + if head_only { 0 } else { content_length(&bytes[..end]) };
            }
            self.read_more(&mut bytes).await;
        };
        while bytes.len() < length {
            self.read_more(&mut bytes).await;
        }
        assert_eq!(bytes.len(), length, "more than one response");
        Message::parse(&bytes)
    }

    async fn read_more(&mut self, bytes: &mut Vec<u8>) {
        let read = in_time(self.0.read_buf(bytes)).await.expect("the answer can be read");
        assert!(read > 0, "the connection ended within a response: {bytes:?}");
    }
}
