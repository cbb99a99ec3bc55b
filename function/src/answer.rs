//! The HTTP responses.

use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use ispmon_wire::{
    Accepted, CLIENT_ADDRESS_HEADER, EXPECTED_HEADER, MessageError, OUTAGES_PATH, PING_PATH,
};

use crate::body::BodyError;

/// A response, sent back through the Functions host.
pub(crate) type FunctionResponse = Response<Full<Bytes>>;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static(CLIENT_ADDRESS_HEADER);
const EXPECTED: HeaderName = HeaderName::from_static(EXPECTED_HEADER);

/// Response to the host's readiness probe.
pub(crate) fn ready() -> FunctionResponse {
    answer(StatusCode::OK, TEXT, Bytes::from_static(b"ready"))
}

/// Response to a heartbeat whose line has been written.
pub(crate) fn heartbeat(address: Option<IpAddr>, expected: Option<bool>) -> FunctionResponse {
    let mut answer = answer(StatusCode::OK, TEXT, Bytes::from_static(b"ok"));
    let headers: &mut HeaderMap = answer.headers_mut();
    if let Some(value) = address.and_then(|address| HeaderValue::try_from(address.to_string()).ok())
    {
        headers.insert(CLIENT_ADDRESS, value);
    }
    if let Some(expected) = expected {
        headers.insert(EXPECTED, HeaderValue::from_static(if expected { "yes" } else { "no" }));
    }
    answer
}

/// Response to a report of which every line has been written.
pub(crate) fn accepted(incidents: usize) -> FunctionResponse {
    // A struct with one number always serializes.
    let body = serde_json::to_vec(&Accepted { accepted: incidents }).unwrap_or_default();
    answer(StatusCode::OK, JSON, body.into())
}

/// Response to an unknown path.
pub(crate) fn not_found() -> FunctionResponse {
    refusal(
        StatusCode::NOT_FOUND,
        format!("There is nothing here; heartbeats go to {PING_PATH}, outages to {OUTAGES_PATH}."),
    )
}

/// Response to a method that the path does not support; `allowed` is the value of the `Allow`
/// header.
pub(crate) fn wrong_method(allowed: &'static str) -> FunctionResponse {
    let mut answer =
        refusal(StatusCode::METHOD_NOT_ALLOWED, format!("The method must be one of: {allowed}."));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// Response to a message that cannot be parsed or is too large.
pub(crate) fn bad_message(error: &MessageError) -> FunctionResponse {
    let status = match error {
        MessageError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    refusal(status, error.to_string())
}

/// Response to a body that was not read to its end. It closes the connection, because the rest of
/// the body may still arrive.
pub(crate) fn bad_body(error: &BodyError) -> FunctionResponse {
    let (status, sentence) = match error {
        BodyError::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, MessageError::TooLong.to_string()),
        BodyError::TimedOut(limit) => {
            (StatusCode::REQUEST_TIMEOUT, format!("The body did not arrive within {limit:?}."))
        }
        BodyError::Broken => {
            (StatusCode::BAD_REQUEST, "The body ends too early or is not well-formed.".to_owned())
        }
    };
    let mut answer = refusal(status, sentence);
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Response to a valid message whose line could not be written.
pub(crate) fn not_written() -> FunctionResponse {
    refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "The message could not be written down in time; try again later.".to_owned(),
    )
}

fn refusal(status: StatusCode, mut sentence: String) -> FunctionResponse {
    sentence.push('\n');
    answer(status, TEXT, sentence.into())
}

fn answer(status: StatusCode, kind: HeaderValue, body: Bytes) -> FunctionResponse {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
