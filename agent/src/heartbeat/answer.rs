//! An answer, and what it says about the heartbeat: the status, the body and some headers.

use std::{borrow::Cow, net::IpAddr, time::Duration};

use ispmon_wire::{Accepted, CLIENT_ADDRESS_HEADER, EXPECTED_HEADER};
use jiff::Timestamp;
use reqwest::{
    Response, StatusCode,
    header::{DATE, RETRY_AFTER},
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    outcome::{AnswerRefusal, HeartbeatOutcome, NetworkPath},
    retry_after,
};
use crate::{clock, config::settings::HeartbeatKind};

/// How much of an answer's body is read: what is expected is a word, and a page that says why there is
/// none says so at its beginning.
const BODY_BYTES: usize = 4 * 1024;
/// How long the rest of an answer is waited for once its status is known.
const BODY_LIMIT: Duration = Duration::from_secs(2);
/// What Azure's front end says, in the page and in its title, in the place of an app that is stopped. The
/// status is 403, as for a wrong key.
const APP_STOPPED: [&str; 2] = ["web app is stopped", "web app - unavailable"];

/// What is expected of an answer with a status of the 200s, of its body above all.
#[derive(Clone, Copy, Debug)]
pub(super) enum ExpectedAnswer<'a> {
    /// Nothing.
    Anything,
    /// That it is this text, apart from white space around it.
    Text(&'a str),
    /// That it accepts this many incidents; the status is 200 then.
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
    /// Whether it is the whole of it.
    is_whole: bool,
}

impl AnswerHead {
    /// Reads it; only ispmon's function tells about the device.
    pub(super) fn of(answer: &Response, kind: HeartbeatKind, proof: Option<NetworkPath>) -> Self {
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let date = header(DATE.as_str()).and_then(retry_after::date);
        // The other side's date is measured by its own clock, whatever ours says.
        let now = date.unwrap_or_else(clock::now);
        let retry_after = header(RETRY_AFTER.as_str());
        let ours = |name| header(name).filter(|_| kind == HeartbeatKind::Ispmon);
        Self {
            status: answer.status(),
            date: date.filter(|date| proof.is_some() && retry_after::is_possible(*date)),
            retry_after: retry_after.and_then(|value| retry_after::retry_after(value, now)),
            client_address: ours(CLIENT_ADDRESS_HEADER).and_then(|value| value.trim().parse().ok()),
            expected: match ours(EXPECTED_HEADER).map(str::trim) {
                Some("yes") => Some(true),
                Some("no") => Some(false),
                _ => None,
            },
            proof,
        }
    }

    /// Judges the whole answer, which came after `took`.
    pub(super) fn judge(
        self,
        body: &AnswerBody,
        wanted: ExpectedAnswer<'_>,
        took: Duration,
    ) -> HeartbeatOutcome {
        let AnswerHead { status, date, retry_after, client_address, expected, proof } = self;
        let refusal = if wanted.allows(status) {
            wanted.refuse(body)
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
    /// Reads the beginning of a body, and its end where it is short, so that the connection ends in order.
    pub(super) async fn read(mut answer: Response, deadline: Instant) -> Self {
        let mut body = Self { bytes: Vec::new(), is_whole: false };
        let reading = async {
            while body.bytes.len() <= BODY_BYTES {
                match answer.chunk().await {
                    Ok(Some(chunk)) => {
                        let room = (BODY_BYTES + 1).saturating_sub(body.bytes.len());
                        body.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    }
                    Ok(None) => {
                        body.is_whole = true;
                        break;
                    }
                    Err(_) => break,
                }
            }
        };
        // What has come until then is judged.
        let _ = timeout_at(deadline, timeout(BODY_LIMIT, reading)).await;
        body
    }

    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

impl ExpectedAnswer<'_> {
    /// Whether an answer with this status may be the expected one.
    fn allows(self, status: StatusCode) -> bool {
        match self {
            Self::Anything | Self::Text(_) => status.is_success(),
            // What the function answers; a queue on the way may say that it has accepted something.
            Self::Accepted(_) => status == StatusCode::OK,
        }
    }

    /// What is wrong with the body of an answer with a status of the 200s.
    fn refuse(self, body: &AnswerBody) -> Option<AnswerRefusal> {
        let expected = match self {
            Self::Anything => return None,
            Self::Text(text) if body.is_whole && body.text().trim() == text => return None,
            Self::Text(text) => format!("{text:?}"),
            Self::Accepted(count) => {
                let accepted = serde_json::from_slice::<Accepted>(&body.bytes).ok();
                if body.is_whole && accepted.is_some_and(|accepted| accepted.accepted == count) {
                    return None;
                }
                format!("{{\"accepted\":{count}}}")
            }
        };
        Some(AnswerRefusal::other_answer(expected, &body.text()))
    }
}
