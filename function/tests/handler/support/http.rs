//! A client that sends exactly the given bytes.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpStream},
};

use super::PATIENCE;

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header, `None` when it is absent.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// A connection to the handler.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn connect(port: u16) -> Self {
        Self::try_connect(port).expect("a connection")
    }

    pub(crate) fn try_connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Reads the response to a request other than HEAD.
    pub(crate) fn receive(&mut self) -> Answer {
        self.try_receive(true).expect("a response")
    }

    /// Reads a response; a response to HEAD has no body.
    pub(crate) fn try_receive(&mut self, with_body: bool) -> io::Result<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("a head of text");
        let status = head[9..12].parse().expect("a status");
        let mut answer = Answer { status, head, body: String::new() };
        if with_body {
            let length = answer.header("content-length").expect("a length");
            let mut body = vec![0; length.parse().expect("a number")];
            self.0.read_exact(&mut body)?;
            answer.body = String::from_utf8(body).expect("a body of text");
        }
        Ok(answer)
    }

    /// Sends a request and reads the response.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Answer {
        self.send(request).expect("a request sent");
        self.receive()
    }

    /// Waits until the handler has closed the connection.
    pub(crate) fn wait_for_close(&mut self) {
        let mut waste = [0; 4096];
        loop {
            match self.0.read(&mut waste) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("the handler should have closed the connection, but: {error}"),
            }
        }
    }

    /// Shuts down the sending direction.
    pub(crate) fn finish_sending(&self) {
        // The handler may have closed the connection already.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// Whether a response, or the end of the connection, has arrived.
    pub(crate) fn has_answer(&self) -> bool {
        self.0.set_nonblocking(true).expect("a mode");
        let peeked = self.0.peek(&mut [0; 1]);
        self.0.set_nonblocking(false).expect("a mode");
        !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Whether the handler has closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.0.set_nonblocking(true).expect("a mode");
        let read = self.0.read(&mut [0; 1]);
        self.0.set_nonblocking(false).expect("a mode");
        !matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

/// A `POST` that keeps the connection open.
pub(crate) fn post(path: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let mut request =
        format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    request.extend_from_slice(body);
    request
}

/// A request without a body that keeps the connection open.
pub(crate) fn bare(method: &str, path: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes()
}

/// Sends one request on a new connection.
pub(crate) fn once(port: u16, request: &[u8]) -> Answer {
    Client::connect(port).exchange(request)
}
