//! Builds the request head that the handler receives, and the response head that the client
//! receives.
//!
//! Measured with Functions host 4.1037 forwarding; comments mark what was derived from the
//! behaviour of .NET's `HttpClient` instead.

use std::net::SocketAddr;

use form_urlencoded::parse;
use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// The version that the stand-in reports: that of the recorded host.
pub const HOST_VERSION: &str = "4.1037.0.0";

const INVOCATION_ID: HeaderName = HeaderName::from_static("x-azure-functions-invocationid");
const VERSION: HeaderName = HeaderName::from_static("x-azure-functions-hostversion");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REQUEST_CONTEXT: HeaderName = HeaderName::from_static("request-context");

/// The headers that .NET treats as content headers (`HttpContentHeaders`); the host forwards only
/// two of them. The loss of `Content-Encoding` was measured, the others follow from it.
const DROPPED_HEADERS: [HeaderName; 9] = [
    header::ALLOW,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    HeaderName::from_static("content-md5"),
    header::CONTENT_RANGE,
    header::EXPIRES,
    header::LAST_MODIFIED,
];

/// Response headers that apply only to the connection between host and handler.
const HOP_BY_HOP: [HeaderName; 5] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::TRANSFER_ENCODING,
    header::TRAILER,
    header::UPGRADE,
];

/// Characters that stay unencoded in a rebuilt query: unreserved ones, and the comma between joined
/// values.
const QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',');

/// The values that the host adds to a request.
#[derive(Clone, Debug)]
pub struct FunctionInvocation<'a> {
    /// The id of the invocation.
    pub id: &'a str,
    /// `traceparent` of the host's own activity; a `traceparent` from the client takes precedence.
    pub trace_parent: &'a str,
    /// The client's address, when a front end reports it.
    pub caller: Option<SocketAddr>,
}

/// Returns the headers that the handler receives.
pub fn to_handler(client: &HeaderMap, invocation: &FunctionInvocation<'_>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(client.keys_len() + 5);
    for name in client.keys() {
        // `Expect` is dropped, because the body has already been read.
        if DROPPED_HEADERS.contains(name) || *name == header::EXPECT {
            continue;
        }
        let separator = match *name {
            header::USER_AGENT => " ",
            header::COOKIE => "; ",
            _ => ", ",
        };
        if let Some(joined) = join(client.get_all(name).iter(), separator) {
            headers.insert(name, joined);
        }
    }
    append(&mut headers, &INVOCATION_ID, invocation.id, ", ");
    append(&mut headers, &VERSION, HOST_VERSION, ", ");
    append(&mut headers, &header::USER_AGENT, &format!("Azure-Functions-Host/{HOST_VERSION}"), " ");
    if let Some(caller) = invocation.caller {
        append(&mut headers, &FORWARDED_FOR, &caller.to_string(), ", ");
    }
    if !headers.contains_key(&TRACE_PARENT) {
        append(&mut headers, &TRACE_PARENT, invocation.trace_parent, ", ");
    }
    headers
}

/// Returns the response headers that the client receives, without the length.
pub fn to_client(handler: &HeaderMap) -> HeaderMap {
    let mut headers = handler.clone();
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    headers
}

/// Adds the headers of the host's own web server.
pub fn add_server_headers(headers: &mut HeaderMap, close: bool) {
    headers.entry(header::SERVER).or_insert(HeaderValue::from_static("Kestrel"));
    headers.insert(REQUEST_CONTEXT, HeaderValue::from_static("appId="));
    if close {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Whether the client requests that its connection be closed.
pub fn wants_close(client: &HeaderMap) -> bool {
    client.get_all(header::CONNECTION).iter().any(|value| {
        let options = value.as_bytes().split(|byte| *byte == b',');
        options.into_iter().any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
    })
}

/// Rebuilds a query as the host does: values of the same name are joined by commas, at the position
/// of the first.
///
/// Names are compared case-insensitively, as ASP.NET Core does. It was measured that a comma stays
/// a comma; how other special characters are encoded is an assumption.
pub fn rebuild_query(query: &str) -> String {
    let mut values: Vec<(String, String)> = Vec::new();
    for (name, value) in parse(query.as_bytes()) {
        match values.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            Some((_, joined)) => {
                joined.push(',');
                joined.push_str(&value);
            }
            None => values.push((name.into_owned(), value.into_owned())),
        }
    }
    let encode = |text: &str| percent_encode(text.as_bytes(), QUERY).to_string();
    let pairs = values.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Returns the key in a query, if any.
pub fn code(query: &str) -> Option<String> {
    parse(query.as_bytes())
        .find(|(name, _)| name.eq_ignore_ascii_case("code"))
        .map(|(_, value)| value.into_owned())
}

fn join<'a>(values: impl Iterator<Item = &'a HeaderValue>, separator: &str) -> Option<HeaderValue> {
    let values: Vec<&[u8]> = values.map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&values.join(separator.as_bytes())).ok()
}

/// Appends a value to the client's own.
fn append(headers: &mut HeaderMap, name: &HeaderName, value: &str, separator: &str) {
    let own = HeaderValue::from_str(value).ok();
    if let Some(joined) = join(headers.get_all(name).iter().chain(&own), separator) {
        headers.insert(name, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        given.iter().map(pair).collect()
    }

    fn received(given: &[(&'static str, &'static str)], caller: Option<&str>) -> Vec<String> {
        let invocation = FunctionInvocation {
            id: "real",
            trace_parent: "00-trace-span-00",
            caller: caller.map(|address| address.parse().expect("an address")),
        };
        let headers = to_handler(&headers(given), &invocation);
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().expect("text"))
        };
        let mut lines: Vec<String> = headers.iter().map(line).collect();
        lines.sort();
        lines
    }

    #[test]
    fn headers_are_joined_appended_and_dropped() {
        let client = [
            ("host", "example.test"),
            ("x-azure-functions-invocationid", "evil"),
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("user-agent", "curl/8"),
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
            ("content-language", "en"),
            ("content-length", "5"),
            ("connection", "close"),
            ("expect", "100-continue"),
        ];
        insta::assert_snapshot!(received(&client, None).join("\n"), @r"
        connection: close
        content-length: 5
        content-type: application/json
        cookie: a=1; b=2
        host: example.test
        traceparent: 00-trace-span-00
        user-agent: curl/8 Azure-Functions-Host/4.1037.0.0
        x-azure-functions-hostversion: 4.1037.0.0
        x-azure-functions-invocationid: evil, real
        x-twice: 1, 2
        ");
    }

    #[test]
    fn the_front_end_appends_the_callers_address() {
        let claim = ("x-forwarded-for", "10.0.0.1");
        let with = |given: &[_], caller| {
            let lines = received(given, Some(caller));
            lines.into_iter().find(|line| line.starts_with("x-forwarded-for")).expect("the header")
        };
        assert_eq!(with(&[], "192.0.2.1:5"), "x-forwarded-for: 192.0.2.1:5");
        assert_eq!(with(&[claim], "[::1]:5"), "x-forwarded-for: 10.0.0.1, [::1]:5");
    }

    #[test]
    fn a_traceparent_from_the_client_is_kept() {
        let lines = received(&[("traceparent", "00-own-own-01")], None);
        assert!(lines.contains(&"traceparent: 00-own-own-01".to_owned()), "{lines:?}");
    }

    #[test]
    fn queries_are_rebuilt() {
        for (query, expected) in [
            ("code=hostkey&x=1&x=2", "code=hostkey&x=1,2"),
            ("x=1&y=2&X=3", "x=1,3&y=2"),
            ("a&b=", "a=&b="),
            ("q=a%26b+c%20d", "q=a%26b%20c%20d"),
            ("ü=1", "%C3%BC=1"),
            ("", ""),
        ] {
            assert_eq!(rebuild_query(query), expected, "{query}");
        }
        assert_eq!(code("a=1&CODE=k%2B1"), Some("k+1".to_owned()));
        assert_eq!(code("a=1"), None);
    }

    #[test]
    fn a_close_request_is_found_in_any_case_and_in_lists() {
        for (value, expected) in
            [("close", true), ("Close", true), ("te, close", true), ("keep-alive", false)]
        {
            assert_eq!(wants_close(&headers(&[("connection", value)])), expected, "{value}");
        }
    }
}
