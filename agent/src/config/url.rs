//! Checks the URLs of heartbeats.
//!
//! No message here repeats a URL: it may contain a secret, above all when it is wrong.

use reqwest::Url;

use crate::loopback::is_loopback;

/// Why a URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlError {
    /// It cannot be parsed.
    #[error(
        "is not a complete address; it takes one like https://YOUR-APP.azurewebsites.net/api/ping"
    )]
    Malformed,
    /// It contains a line break, a tab or another control character, which URL parsers drop silently.
    #[error("holds a control character; write it on one line, without tabs")]
    ControlCharacter,
    /// It is neither `http` nor `https`.
    #[error("does not begin with https:// or http://, and nothing else is supported")]
    Scheme,
    /// It contains a user name or password.
    #[error(
        "holds a user name or password before the host; leave out what stands before the \"@\""
    )]
    UserInfo,
    /// It contains a fragment, which is never sent to a server.
    #[error("holds a \"#\" and a text behind it, which is never sent; leave that out")]
    Fragment,
    /// It contains a function key. The advice where to write it depends on the source of the URL.
    #[error("holds a function key (\"code=\" in its query), and addresses end up in logs")]
    KeyInQuery,
}

/// Parses a URL and refuses those that no heartbeat may be sent to.
pub(super) fn parse(text: &str) -> Result<Url, UrlError> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return Err(UrlError::ControlCharacter);
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(_) if !text.contains("://") => return Err(UrlError::Scheme),
        Err(_) => return Err(UrlError::Malformed),
    };
    if !["http", "https"].contains(&url.scheme()) {
        return Err(UrlError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(UrlError::Fragment);
    }
    if url.query_pairs().any(|(name, _)| name.eq_ignore_ascii_case("code")) {
        return Err(UrlError::KeyInQuery);
    }
    Ok(url)
}

/// Whether others can read what is sent to a URL: it is plain `http` and leaves this machine.
pub(super) fn is_readable_in_transit(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback(url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_of_servers_are_accepted() {
        for text in [
            "https://app.azurewebsites.net/api/ping",
            " https://app.azurewebsites.net/api/ping ",
            "HTTPS://APP.EXAMPLE:8443",
            "http://127.0.0.1:7071/api/ping",
            "http://[::1]:7071/api/ping",
            "https://a.example/push/abc?status=up&msg=OK&decode=1",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn other_urls_are_refused_with_the_reason() {
        for (text, reason) in [
            ("app.azurewebsites.net/api/ping", UrlError::Scheme),
            ("localhost:7071/api/ping", UrlError::Scheme),
            ("ftp://a.example/", UrlError::Scheme),
            ("file:///etc/passwd", UrlError::Scheme),
            ("https://", UrlError::Malformed),
            ("https://a b.example/", UrlError::Malformed),
            ("https://a.example:99999/", UrlError::Malformed),
            ("https://a.example/\nx", UrlError::ControlCharacter),
            ("https://user@a.example/", UrlError::UserInfo),
            ("https://user:word@a.example/", UrlError::UserInfo),
            ("https://:word@a.example/", UrlError::UserInfo),
            ("https://a.example/#part", UrlError::Fragment),
            ("https://a.example/api/ping?code=abc", UrlError::KeyInQuery),
            ("https://a.example/api/ping?x=y&Code=abc", UrlError::KeyInQuery),
            ("https://a.example/api/ping?c%6Fde=abc", UrlError::KeyInQuery),
            ("https://a.example/api/ping?code", UrlError::KeyInQuery),
        ] {
            assert_eq!(parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn plain_http_is_readable_unless_it_stays_on_this_machine() {
        for (text, expected) in [
            ("http://127.0.0.1:7071/", false),
            ("http://lab.localhost/", false),
            ("http://10.0.0.1/", true),
            ("https://a.example/", false),
        ] {
            let url = parse(text).expect("it is an address");
            assert_eq!(is_readable_in_transit(&url), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in any::<String>()) {
            let _ = parse(&text).map(|url| is_readable_in_transit(&url));
        }
    }
}
