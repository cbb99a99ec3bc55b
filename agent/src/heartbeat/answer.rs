//! Reads an answer's status, body and some of its headers, and turns them into an outcome.

use std::{borrow::Cow, net::IpAddr, time::Duration};

use ispmon_wire::{Accepted, CLIENT_ADDRESS_HEADER, EXPECTED_HEADER};
use jiff::Timestamp;
use reqwest::{
    Response, StatusCode,
    header::{DATE, RETRY_AFTER},
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    network_path::NetworkPath,
    outcome::{AnswerRefusal, HeartbeatOutcome},
    retry_after,
};
use crate::{clock, config::settings::HeartbeatKind};

/// How many bytes of an answer's body are read: an expected body is short, and an error page states its
/// reason at its beginning.
const BODY_BYTES: usize = 4 * 1024;
/// The time limit for the body once the status is known.
const BODY_LIMIT: Duration = Duration::from_secs(2);
/// Texts in the page, and in its title, with which Azure's front end answers for a stopped app, in lower
/// case. The status is 403, as for a wrong key.
const APP_STOPPED: [&str; 2] = ["web app is stopped", "web app - unavailable"];

/// The answer that counts as a delivery.
#[derive(Clone, Copy, Debug)]
pub(super) enum ExpectedAnswer<'a> {
    /// Any 2xx.
    Anything,
    /// A 2xx whose body is this text, apart from white space around it.
    Text(&'a str),
    /// A 200 whose body accepts this many incidents.
    Accepted(usize),
}

/// The part of an answer that comes before its body.
pub(super) struct AnswerHead {
    status: StatusCode,
    date: Option<Timestamp>,
    retry_after: Option<Duration>,
    client_address: Option<IpAddr>,
    expected: Option<bool>,
    proof: Option<NetworkPath>,
}

/// The beginning of an answer's body.
pub(super) struct AnswerBody {
    bytes: Vec<u8>,
    /// Whether `bytes` is the whole body.
    is_complete: bool,
}

impl AnswerHead {
    /// Reads the head; the headers about the device count only from ispmon's function.
    pub(super) fn from_response(
        answer: &Response,
        kind: HeartbeatKind,
        proof: Option<NetworkPath>,
    ) -> Self {
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let date = header(DATE.as_str()).and_then(retry_after::parse_date);
        // A date in `Retry-After` is relative to the server's clock, which may differ from ours.
        let now = date.unwrap_or_else(clock::now);
        let retry_after = header(RETRY_AFTER.as_str());
        let ours = |name| header(name).filter(|_| kind == HeartbeatKind::Ispmon);
        Self {
            status: answer.status(),
            date: date.filter(|date| proof.is_some() && retry_after::is_plausible(*date)),
            retry_after: retry_after.and_then(|value| retry_after::parse_retry_after(value, now)),
            client_address: ours(CLIENT_ADDRESS_HEADER).and_then(|value| value.trim().parse().ok()),
            expected: match ours(EXPECTED_HEADER).map(str::trim) {
                Some("yes") => Some(true),
                Some("no") => Some(false),
                _ => None,
            },
            proof,
        }
    }

    /// The outcome of the whole answer, which came after `took`.
    pub(super) fn into_outcome(
        self,
        body: &AnswerBody,
        wanted: ExpectedAnswer<'_>,
        took: Duration,
    ) -> HeartbeatOutcome {
        let AnswerHead { status, date, retry_after, client_address, expected, proof } = self;
        let refusal = if wanted.allows_status(status) {
            wanted.body_refusal(body)
        } else {
            let text = body.text().to_lowercase();
            let is_stopped = status == StatusCode::FORBIDDEN
                && APP_STOPPED.iter().any(|words| text.contains(words));
            Some(if is_stopped { AnswerRefusal::AppStopped } else { AnswerRefusal::Status })
        };
        match refusal {
            None => HeartbeatOutcome::Delivered { client_address, expected, date, proof, took },
            Some(refusal) => HeartbeatOutcome::Refused {
                status: status.as_u16(),
                refusal,
                retry_after,
                proof,
                took,
            },
        }
    }
}

impl AnswerBody {
    /// Reads the beginning of a body; a short one to its end, so that the connection closes cleanly.
    pub(super) async fn read(mut answer: Response, deadline: Instant) -> Self {
        let mut body = Self { bytes: Vec::new(), is_complete: false };
        let reading = async {
            while body.bytes.len() <= BODY_BYTES {
                match answer.chunk().await {
                    Ok(Some(chunk)) => {
                        let room = (BODY_BYTES + 1).saturating_sub(body.bytes.len());
                        body.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    }
                    Ok(None) => {
                        body.is_complete = true;
                        break;
                    }
                    Err(_) => break,
                }
            }
        };
        // After a timeout, what has been read so far decides.
        let _ = timeout_at(deadline, timeout(BODY_LIMIT, reading)).await;
        body
    }

    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

impl ExpectedAnswer<'_> {
    /// Whether an answer with this status may be the expected one.
    fn allows_status(self, status: StatusCode) -> bool {
        match self {
            Self::Anything | Self::Text(_) => status.is_success(),
            // The function answers 200; a queue on the path may answer 202.
            Self::Accepted(_) => status == StatusCode::OK,
        }
    }

    /// The reason to refuse an answer with an allowed status because of its body.
    fn body_refusal(self, body: &AnswerBody) -> Option<AnswerRefusal> {
        let expected = match self {
            Self::Anything => return None,
            Self::Text(text) if body.is_complete && body.text().trim() == text => return None,
            Self::Text(text) => format!("{text:?}"),
            Self::Accepted(count) => {
                let accepted = serde_json::from_slice::<Accepted>(&body.bytes).ok();
                if body.is_complete && accepted.is_some_and(|accepted| accepted.accepted == count) {
                    return None;
                }
                format!("{{\"accepted\":{count}}}")
            }
        };
        Some(AnswerRefusal::other_answer(expected, &body.text()))
    }
}
