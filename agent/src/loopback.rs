//! Addresses and names of this machine itself: for them a key may be sent unencrypted, no proxy is used, and
//! no name server is queried.

use std::net::IpAddr;

use reqwest::Url;

/// Whether a URL leads to this machine itself.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => is_local_name(host),
    }
}

/// Whether a name means this machine itself, whatever any name server answers: `localhost` and all
/// names below it (RFC 6761, section 6.3).
pub fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, expected) in [
            ("http://localhost:7071/", true),
            ("http://LOCALHOST/", true),
            ("http://localhost./", true),
            ("http://lab.localhost/", true),
            ("http://127.0.0.1/", true),
            ("http://127.9.9.9/", true),
            ("http://2130706433/", true),
            ("http://[::1]/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://127.0.0.1.example/", false),
            ("http://localhost.example/", false),
            ("http://notlocalhost/", false),
            ("http://10.0.0.1/", false),
            ("http://0.0.0.0/", false),
            ("http://[fe80::1]/", false),
        ] {
            let url: Url = text.parse().expect("a URL");
            assert_eq!(is_loopback(&url), expected, "{text}");
        }
    }
}
