//! The part of HTTP/1.1 that the servers need.

use std::{fmt::Write as _, io};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// An HTTP request.
pub(crate) struct Request {
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Whether it asks a proxy to connect to a server.
    pub(crate) fn is_connect(&self) -> bool {
        self.head.starts_with("CONNECT ")
    }

    /// The path with its query, such as `/api/ping?x=1`.
    pub(crate) fn target(&self) -> &str {
        self.head.split_whitespace().nth(1).unwrap_or_default()
    }

    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }
}

/// Reads a head, and a body of the length in its Content-Length.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Request> {
    const LONGEST_HEAD: usize = 16 * 1024;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Request { head, body })
}

/// A response with additional header lines, each ending in CR LF, that closes the connection.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status} Whatever\r\nConnection: close\r\n{headers}");
    let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
    text
}
