//! Selects the proxy of a heartbeat by the environment variables that curl and most other programs use.

use std::fmt;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
use thiserror::Error;

use crate::loopback::is_loopback;

/// The default port of a proxy (curl(1), `--proxy`).
const DEFAULT_PORT: u16 = 1080;
/// The default port of a proxy with the scheme `https`.
const DEFAULT_TLS_PORT: u16 = 443;

/// A proxy. Neither its Display nor its Debug shows the credentials.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    scheme: String,
    credentials: Option<String>,
    host: String,
    port: u16,
}

impl Proxy {
    /// The whole address, for the HTTP client only.
    pub(super) fn expose(&self) -> String {
        let Self { scheme, host, port, .. } = self;
        let credentials = self.credentials.as_ref();
        let credentials = credentials.map(|credentials| format!("{credentials}@"));
        format!("{scheme}://{}{host}:{port}", credentials.unwrap_or_default())
    }

    /// Whether the connection to the proxy itself is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.scheme == "https"
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proxy({self})")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// Chooses the proxy for `target` by the environment, as curl does (curl(1), "Environment"):
///
/// 1. Loopback is always reached directly.
/// 2. `http_proxy` applies to `http://`, in lower case only (a web server passes a request header
///    `Proxy` to its CGI scripts as `HTTP_PROXY`); `https_proxy`, else `HTTPS_PROXY`, to `https://`;
///    `all_proxy`, else `ALL_PROXY`, where these are unset. An empty variable counts as unset.
/// 3. `no_proxy`, else `NO_PROXY`, lists hosts that are reached directly: names including all their
///    subdomains, with or without a leading dot, addresses, networks such as `10.0.0.0/8`, or `*` for
///    everything.
///
/// # Errors
/// The variable that applies holds no proxy address, or one with an unsupported scheme.
pub(super) fn choose(
    target: &Url,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, ProxyError> {
    let own: &[&'static str] = match target.scheme() {
        "http" => &["http_proxy"],
        _ => &["https_proxy", "HTTPS_PROXY"],
    };
    let first = |names: &[&'static str]| {
        names.iter().find_map(|name| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            Some((*name, value))
        })
    };
    let Some((name, value)) = first(own).or_else(|| first(&["all_proxy", "ALL_PROXY"])) else {
        return Ok(None);
    };
    if is_loopback(target) {
        return Ok(None);
    }
    let direct = first(&["no_proxy", "NO_PROXY"]).map(|(_, list)| list).unwrap_or_default();
    if is_listed(target, &direct) {
        return Ok(None);
    }
    parse(name, &value).map(Some)
}

/// Whether `list`, a value of `no_proxy`, contains the target.
fn is_listed(target: &Url, list: &str) -> bool {
    // The matcher returns the proxy that it would use, so it needs one. It splits its list at commas only.
    let list = list.split_whitespace().collect::<Vec<_>>().join(",");
    let matcher = Matcher::builder().all("http://proxy.invalid").no(list).build();
    let host = target.host_str().unwrap_or_default().trim_end_matches('.');
    let uri = format!("{}://{host}/", target.scheme()).parse::<Uri>();
    uri.is_ok_and(|uri| matcher.intercept(&uri).is_none())
}

fn parse(variable: &'static str, value: &str) -> Result<Proxy, ProxyError> {
    let unreadable = || ProxyError::Unreadable { variable };
    let with_scheme =
        if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    // These characters end the authority, so that with one in a password the text before it would become
    // the host.
    let authority = with_scheme.split_once("://").map_or("", |(_, rest)| rest);
    let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
    if authority[end..].contains('@') {
        return Err(ProxyError::Unescaped { variable });
    }
    let uri: Uri = with_scheme.parse().map_err(|_| unreadable())?;
    let scheme = uri.scheme_str().ok_or_else(unreadable)?.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h") {
        return Err(ProxyError::UnknownProtocol { variable, scheme });
    }
    let authority = uri.authority().ok_or_else(unreadable)?;
    if authority.host().is_empty() {
        return Err(unreadable());
    }
    let (credentials, place) = match authority.as_str().rsplit_once('@') {
        Some((credentials, place)) => (Some(credentials), place),
        None => (None, authority.as_str()),
    };
    let port = match place.strip_prefix(authority.host()).map(|rest| rest.strip_prefix(':')) {
        Some(None) if scheme == "https" => DEFAULT_TLS_PORT,
        Some(None) => DEFAULT_PORT,
        Some(Some(port)) => port.parse().ok().filter(|port| *port != 0).ok_or_else(unreadable)?,
        None => return Err(unreadable()),
    };
    Ok(Proxy {
        scheme,
        credentials: credentials.map(str::to_owned),
        host: authority.host().to_owned(),
        port,
    })
}

/// Why the environment's proxy cannot be used. Errors never show the value: it may contain a password.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum ProxyError {
    /// The value is not an address.
    #[error(
        "the environment variable {variable} does not hold an address such as http://proxy.example:3128"
    )]
    Unreadable {
        /// The variable's name.
        variable: &'static str,
    },
    /// The user name or password contains a character that ends the authority.
    #[error(
        "the environment variable {variable} holds a user name or password with a \"#\", \"/\" or \"?\" in \
         it; write that as %23, %2F or %3F"
    )]
    Unescaped {
        /// The variable's name.
        variable: &'static str,
    },
    /// The address's scheme is not supported.
    #[error(
        "the environment variable {variable} asks for a proxy that speaks {scheme}; \
         known are http, https, socks4, socks4a, socks5 and socks5h"
    )]
    UnknownProtocol {
        /// The variable's name.
        variable: &'static str,
        /// The address's scheme.
        scheme: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(target: &str, environment: &[(&str, &str)]) -> Result<Option<String>, ProxyError> {
        let target = Url::parse(target).expect("a URL");
        let variable = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Ok(choose(&target, variable)?.map(|proxy| proxy.expose()))
    }

    fn proxy_of(target: &str, environment: &[(&str, &str)]) -> Option<String> {
        chosen(target, environment).expect("a readable environment")
    }

    #[test]
    fn each_scheme_has_its_variables_and_lower_case_has_precedence() {
        let both = [("https_proxy", "http://lower:1"), ("HTTPS_PROXY", "http://upper:2")];
        assert_eq!(proxy_of("https://example.net/", &both).as_deref(), Some("http://lower:1"));
        assert_eq!(proxy_of("https://example.net/", &both[1..]).as_deref(), Some("http://upper:2"));
        assert_eq!(proxy_of("http://example.net/", &both), None);

        let plain = [("http_proxy", "http://plain:3")];
        assert_eq!(proxy_of("http://example.net/", &plain).as_deref(), Some("http://plain:3"));
        assert_eq!(proxy_of("http://example.net/", &[("HTTP_PROXY", "http://script:4")]), None);
    }

    #[test]
    fn all_proxy_applies_where_the_others_are_unset_or_empty() {
        let environment =
            [("https_proxy", ""), ("ALL_PROXY", "http://all:5"), ("http_proxy", "http://plain:3")];
        assert_eq!(proxy_of("https://example.net/", &environment).as_deref(), Some("http://all:5"));
        assert_eq!(
            proxy_of("http://example.net/", &environment).as_deref(),
            Some("http://plain:3")
        );
        assert_eq!(proxy_of("https://example.net/", &[]), None);
    }

    #[test]
    fn loopback_is_always_direct() {
        for host in
            ["localhost", "a.localhost", "127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]"]
        {
            let target = format!("https://{host}/");
            assert_eq!(proxy_of(&target, &[("all_proxy", "http://proxy:1")]), None, "{host}");
        }
    }

    #[test]
    fn listed_hosts_are_direct() {
        for (list, host, direct) in [
            ("*", "example.net", true),
            ("example.net", "example.net", true),
            ("example.net", "EXAMPLE.net.", true),
            ("example.net", "www.example.net", true),
            ("example.net", "badexample.net", false),
            (".example.net", "www.example.net", true),
            ("other.net, example.net", "www.example.net", true),
            ("other.net example.net", "www.example.net", true),
            ("net", "example.net", true),
            ("www.example.net", "example.net", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.0/24", "192.0.2.77", true),
            ("192.0.2.0/24", "192.0.3.77", false),
            ("2001:db8::/32", "[2001:db8::1]", true),
            ("", "example.net", false),
        ] {
            let environment = [("https_proxy", "http://proxy:1"), ("no_proxy", list)];
            let proxy = proxy_of(&format!("https://{host}/"), &environment);
            assert_eq!(proxy.is_none(), direct, "{list:?} {host:?}");
        }
    }

    #[test]
    fn scheme_and_port_default_to_those_of_curl() {
        for (value, complete) in [
            ("proxy.lan", "http://proxy.lan:1080"),
            ("proxy.lan:80", "http://proxy.lan:80"),
            ("http://proxy.lan/", "http://proxy.lan:1080"),
            ("https://proxy.lan", "https://proxy.lan:443"),
            ("SOCKS5H://proxy.lan", "socks5h://proxy.lan:1080"),
            ("http://me:p%40ss@proxy.lan:3128", "http://me:p%40ss@proxy.lan:3128"),
            ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128"),
            ("http://me:p%23ss@proxy.lan:3128/", "http://me:p%23ss@proxy.lan:3128"),
            ("http://proxy.lan/?x#y", "http://proxy.lan:1080"),
        ] {
            let proxy = proxy_of("https://example.net/", &[("https_proxy", value)]);
            assert_eq!(proxy.as_deref(), Some(complete), "{value}");
        }
    }

    #[test]
    fn an_invalid_proxy_is_an_error_that_does_not_show_it() {
        let refused = |value| {
            chosen("https://example.net/", &[("HTTPS_PROXY", value)])
                .expect_err("no proxy")
                .to_string()
        };
        insta::assert_snapshot!(refused("http://user:secret@"), @"the environment variable HTTPS_PROXY does not hold an address such as http://proxy.example:3128");
        for value in [
            "http://user:sec#ret@proxy.lan",
            "http://user:sec/ret@proxy.lan:3128",
            "user:sec?ret@proxy.lan",
            "http://user@lan:sec#ret@proxy.lan",
        ] {
            assert_eq!(
                refused(value),
                "the environment variable HTTPS_PROXY holds a user name or password with a \"#\", \"/\" or \
                 \"?\" in it; write that as %23, %2F or %3F",
                "{value}"
            );
        }
        for value in
            ["http://proxy.lan:31a28", "http://proxy.lan:", "proxy.lan:0", "proxy.lan:99999"]
        {
            assert!(refused(value).contains("does not hold an address"), "{value}");
        }
        insta::assert_snapshot!(refused("ftp://user:secret@proxy.lan"), @"the environment variable HTTPS_PROXY asks for a proxy that speaks ftp; known are http, https, socks4, socks4a, socks5 and socks5h");
    }

    #[test]
    fn credentials_are_never_shown() {
        let proxy = parse("https_proxy", "http://me:secret@proxy.lan:3128").expect("a proxy");
        assert_eq!(proxy.to_string(), "http://proxy.lan:3128");
        assert_eq!(format!("{proxy:?}"), "Proxy(http://proxy.lan:3128)");
    }

    proptest! {
        #[test]
        fn no_environment_makes_it_panic(proxy: String, list: String) {
            let environment = [("https_proxy", proxy.as_str()), ("no_proxy", list.as_str())];
            let _ = chosen("https://www.example.net/", &environment);
        }
    }
}
