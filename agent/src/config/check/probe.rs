//! Checks the settings of the probes.

use std::net::IpAddr;

use reqwest::Url;

use super::{
    super::{layer::GivenValue, settings::ProbeSettings, table::SettingKind, url},
    SettingsCheck,
};
use crate::probe::{Anchor, Family, parse_address};

/// The port of name servers (RFC 1035, section 4.2).
const DNS_PORT: u16 = 53;
/// With fewer anchors of a family, one that is down for maintenance looks like an outage.
const MIN_ANCHORS: usize = 3;
/// The limit of servers that one round probes, so that a mistaken list causes no flood of probes.
const MAX_ANCHORS: usize = 16;

impl SettingsCheck<'_> {
    /// The settings of the probes.
    pub(super) fn probe(&mut self) -> ProbeSettings {
        ProbeSettings {
            interval: self.duration("probe.interval"),
            anchors: self.anchors(),
            gateway: self.address("probe.gateway", |text| text.parse::<IpAddr>().ok()),
            resolver: self.address("probe.resolver", |text| parse_address(text, DNS_PORT)),
            portal: self.portal(),
            grace: self.duration("probe.grace"),
        }
    }

    fn anchors(&mut self) -> Vec<Anchor> {
        let key = "probe.anchors";
        let Some(given) = self.text(key) else { return Vec::new() };
        let mut anchors: Vec<Anchor> = Vec::new();
        for text in given.text.split(',').map(str::trim) {
            match text.parse::<Anchor>() {
                Ok(anchor) if anchors.iter().any(|known| known.address == anchor.address) => {
                    self.refuse_part(key, &given, text, "which is in it twice");
                }
                Ok(anchor) => anchors.push(anchor),
                Err(error) => self.refuse_part(key, &given, text, &format!("which is {error}")),
            }
        }
        if anchors.len() > MAX_ANCHORS {
            let sentence = format!(
                "{key} names {} servers, more than the {MAX_ANCHORS} that it may; each is probed every \
                 second while the connection is in doubt",
                anchors.len()
            );
            self.problems.add(&given.origin, sentence);
        }
        for family in Family::BOTH {
            let count = anchors.iter().filter(|anchor| anchor.family() == family).count();
            if (1..MIN_ANCHORS).contains(&count) && !anchors.iter().all(is_loopback) {
                let addresses = if count == 1 { "address" } else { "addresses" };
                self.warnings.push(format!(
                    "{key} has only {count} {addresses} of {family}, so that a server which is down \
                     looks like an outage. Name {MIN_ANCHORS} or more, of two organisations at \
                     least."
                ));
            }
        }
        anchors
    }

    /// Adds the problem that one part of a list is not valid for its setting.
    fn refuse_part(&mut self, key: &str, given: &GivenValue, part: &str, what: &str) {
        let given = GivenValue { text: part.to_owned(), origin: given.origin.clone() };
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
                        SettingKind::Portal
                    );
                    self.problems.add(&given.origin, sentence);
                }
                Err(error) => self.problems.add(&given.origin, format!("{key} {error}")),
            }
        }
        servers
    }
}

fn is_loopback(anchor: &Anchor) -> bool {
    anchor.address.ip().to_canonical().is_loopback()
}
