//! An HTTP/1.1 client on raw bytes.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Timeout for a hanging test.
const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            (found.to_ascii_lowercase() == name).then_some(value.trim())
        })
    }
}

pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("the host accepts");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        stream.set_write_timeout(Some(DEADLINE)).expect("a deadline");
        stream.set_nodelay(true).expect("an option");
        Self(stream)
    }

    /// Sends a request and reads its response; the connection stays open.
    pub(crate) fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Answer {
        let length = match method {
            "GET" | "HEAD" => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n");
        self.0.write_all(&[head.as_bytes(), body].concat()).expect("the request can be sent");
        self.answer(method == "HEAD")
    }

    fn answer(&mut self, head_only: bool) -> Answer {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more(&mut bytes);
        };
        let head = String::from_utf8(bytes[..end].to_vec()).expect("a head in ASCII");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut answer = Answer { status: status.expect("a status"), head, body: Vec::new() };
        let length =
            answer.header("content-length").map_or(0, |text| text.parse().expect("a length"));
        while !head_only && bytes.len() < end + length {
            self.read_more(&mut bytes);
        }
        answer.body = bytes.split_off(end);
        answer
    }

    fn read_more(&mut self, bytes: &mut Vec<u8>) {
        let mut buffer = [0; 4096];
        let read = self.0.read(&mut buffer).expect("an answer");
        assert!(read > 0, "the connection ended within a response: {bytes:?}");
        bytes.extend(&buffer[..read]);
    }

    /// Whether the server has closed the connection without sending more.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }

    /// Sends any bytes, and waits until the connection ends, ignoring any response.
    pub(crate) fn send_and_drain(mut self, bytes: &[u8]) {
        // The server may close it before everything is sent.
        let _ = self.0.write_all(bytes);
        let _ = self.0.shutdown(std::net::Shutdown::Write);
        let mut buffer = [0; 4096];
        loop {
            match self.0.read(&mut buffer) {
                Ok(1..) => {}
                Ok(0) => return,
                Err(error) => {
                    let kind = error.kind();
                    let late = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
                    assert!(!late.contains(&kind), "no answer and no end to {bytes:?}");
                    return;
                }
            }
        }
    }
}
