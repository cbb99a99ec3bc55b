//! Who is probed.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;

use super::{
    super::{Sources, merge::Given, settings::ProbeSettings, table::Kind, url},
    Check,
};
use crate::probe::Family;

/// The port of name servers (RFC 1035, section 4.2).
const DNS_PORT: u16 = 53;
/// The port of an anchor that names none: hardly any network blocks it.
const ANCHOR_PORT: u16 = 443;
/// With fewer anchors of a family, one that is down for maintenance looks like the line.
const FEWEST_ANCHORS: usize = 3;

impl Check<'_> {
    /// The settings of the probes.
    pub(super) fn probe(&mut self) -> ProbeSettings {
        ProbeSettings {
            interval: self.duration("probe.interval"),
            anchors: self.anchors(),
            gateway: self.address("probe.gateway", |text| text.parse::<IpAddr>().ok()),
            resolver: self.address("probe.resolver", |text| socket(text, DNS_PORT)),
            portal: self.portal(),
            settle: self.duration("probe.settle"),
        }
    }

    fn anchors(&mut self) -> Vec<SocketAddr> {
        let key = "probe.anchors";
        let Some(given) = self.text(key) else { return Vec::new() };
        let mut anchors = Vec::new();
        for text in given.text.split(',').map(str::trim) {
            match socket(text, ANCHOR_PORT) {
                Some(anchor) if anchor.port() == 0 => {
                    self.refuse_part(key, &given, text, "which has no port that could be probed");
                }
                Some(anchor) if anchors.contains(&anchor) => {
                    self.refuse_part(key, &given, text, "which is in it twice");
                }
                Some(anchor) => anchors.push(anchor),
                None => self.refuse_part(key, &given, text, "which is no address"),
            }
        }
        for family in Family::BOTH {
            let count = anchors.iter().filter(|anchor| Family::of(anchor.ip()) == family).count();
            if (1..FEWEST_ANCHORS).contains(&count) && !anchors.iter().all(is_loopback) {
                let addresses = if count == 1 { "address" } else { "addresses" };
                self.warnings.push(format!(
                    "{key} has only {count} {addresses} of {family}, so that a server which is down \
                     looks like an outage. Name {FEWEST_ANCHORS} or more, of two organisations at \
                     least."
                ));
            }
        }
        anchors
    }

    /// Adds the problem that one part of a list is none that its setting takes.
    fn refuse_part(&mut self, key: &str, given: &Given, part: &str, what: &str) {
        let given = Given { text: part.to_owned(), origin: given.origin.clone() };
        self.refuse(key, &given, what);
    }

    fn address<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let given = self.text(key)?;
        let address = parse(&given.text);
        if address.is_none() {
            self.refuse(key, &given, "which is no address");
        }
        address
    }

    fn portal(&mut self) -> Vec<Url> {
        let key = "probe.portal";
        let Some(given) = self.text(key) else { return Vec::new() };
        if given.text.eq_ignore_ascii_case("off") {
            return Vec::new();
        }
        let mut servers = Vec::new();
        for text in given.text.split(',') {
            match url::parse(text) {
                Ok(url) if url.scheme() == "http" => servers.push(url),
                Ok(_) => {
                    let sentence = format!(
                        "{key} begins with https://, where no login page can answer in its place; \
                         it takes {}",
                        Kind::Portal
                    );
                    self.problems.add(&given.origin, sentence);
                }
                Err(error) => self.problems.add(&given.origin, format!("{key} {error}")),
            }
        }
        servers
    }

    /// The path that a setting names.
    pub(super) fn path(
        &mut self,
        key: &'static str,
        sources: &Sources,
    ) -> Option<std::path::PathBuf> {
        let given = self.text(key)?;
        if given.text.chars().any(char::is_control) {
            self.refuse(key, &given, "which has a control character in it");
            return None;
        }
        Some(super::super::located(&given.text, &given.origin, &sources.folder))
    }
}

/// Reads an address with or without a port, IPv6 with or without brackets.
fn socket(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
    alone.or_else(|| text.parse().ok())
}

fn is_loopback(anchor: &SocketAddr) -> bool {
    anchor.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_out_its_port() {
        for (text, expected) in [
            ("192.168.1.1", Some("192.168.1.1:53")),
            ("192.168.1.1:5353", Some("192.168.1.1:5353")),
            ("fd00::1", Some("[fd00::1]:53")),
            ("[fd00::1]", Some("[fd00::1]:53")),
            ("[fd00::1]:5353", Some("[fd00::1]:5353")),
            ("dns.example", None),
            ("192.168.1.1:", None),
        ] {
            let expected = expected.map(|text| text.parse::<SocketAddr>().expect("an address"));
            assert_eq!(socket(text, DNS_PORT), expected, "{text}");
        }
    }
}
