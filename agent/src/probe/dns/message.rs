//! A query to a name server, and its answer.

use std::net::{IpAddr, Ipv4Addr};

use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE, rdata::RData};

/// A query for the IPv4 addresses of a name, encoded.
///
/// It asks for IPv4 also on an IPv6-only network: whether a server answers does not depend on that, and a
/// name without an IPv4 address gets an answer too.
#[derive(Debug)]
pub(super) struct DnsQuery {
    id: u16,
    name: String,
    bytes: Vec<u8>,
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DnsAnswer {
    /// The addresses, perhaps none.
    Addresses(Vec<IpAddr>),
    /// A failure; the word for the journal.
    Failed(&'static str),
}

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// The answer.
    Answer(DnsAnswer),
    /// The answer does not fit into a datagram.
    Truncated,
}

impl DnsQuery {
    /// Encodes the query; `None` if `name` is no valid domain name.
    pub(super) fn new(name: &str, id: u16) -> Option<Self> {
        let name = name.trim_end_matches('.');
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet.questions.push(Question::new(
            Name::new(name).ok()?,
            QTYPE::TYPE(TYPE::A),
            CLASS::IN.into(),
            false,
        ));
        let bytes = packet.build_bytes_vec().ok()?;
        Some(Self { id, name: name.to_owned(), bytes })
    }

    /// The encoded message.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads an answer; `None` if the message is no DNS message or does not answer this query.
    pub(super) fn read(&self, message: &[u8]) -> Option<Received> {
        let packet = Packet::parse(message).ok()?;
        let is_answer = packet.id() == self.id && packet.has_flags(PacketFlag::RESPONSE);
        if !is_answer || !self.is_asked_in(&packet) {
            return None;
        }
        if packet.has_flags(PacketFlag::TRUNCATION) {
            return Some(Received::Truncated);
        }
        Some(Received::Answer(match packet.rcode() {
            RCODE::NoError => DnsAnswer::Addresses(
                packet
                    .answers
                    .iter()
                    .filter_map(|record| match &record.rdata {
                        RData::A(a) => Some(Ipv4Addr::from(a.address).into()),
                        _ => None,
                    })
                    .collect(),
            ),
            RCODE::ServerFailure => DnsAnswer::Failed("servfail"),
            RCODE::Refused => DnsAnswer::Failed("refused"),
            RCODE::NameError => DnsAnswer::Failed(super::NXDOMAIN),
            _ => DnsAnswer::Failed("failed"),
        }))
    }

    /// Whether a packet repeats the query. Servers may omit it from a refusal.
    fn is_asked_in(&self, packet: &Packet<'_>) -> bool {
        match packet.questions.as_slice() {
            [] => packet.rcode() != RCODE::NoError,
            [question] => {
                question.qtype == QTYPE::TYPE(TYPE::A)
                    && question.qname.to_string().eq_ignore_ascii_case(&self.name)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use simple_dns::{ResourceRecord, rdata::A};

    use super::*;

    fn answer(id: u16, name: &str, change: impl FnOnce(&mut Packet<'_>)) -> Option<Received> {
        let query = DnsQuery::new("Example.com", 7).expect("a name");
        let mut packet = Packet::new_reply(id);
        let question = Name::new(name).expect("a name");
        packet.questions.push(Question::new(
            question,
            QTYPE::TYPE(TYPE::A),
            CLASS::IN.into(),
            false,
        ));
        change(&mut packet);
        query.read(&packet.build_bytes_vec().expect("a message"))
    }

    #[test]
    fn only_an_answer_to_this_query_is_read() {
        let none = |_: &mut Packet<'_>| {};
        assert_eq!(
            answer(7, "example.com", none),
            Some(Received::Answer(DnsAnswer::Addresses(vec![])))
        );
        assert_eq!(answer(8, "example.com", none), None, "another id");
        assert_eq!(answer(7, "example.org", none), None, "another name");
        let query = DnsQuery::new("example.com", 7).expect("a name");
        assert_eq!(query.read(query.bytes()), None, "the query itself");
        for length in 0..query.bytes().len() {
            assert_eq!(query.read(&query.bytes()[..length]), None, "cut off after {length} bytes");
        }
    }

    #[test]
    fn addresses_and_failures_are_read() {
        let address = Ipv4Addr::new(23, 1, 2, 3);
        let found = answer(7, "example.com", |packet| {
            packet.answers.push(ResourceRecord::new(
                Name::new("example.com").expect("a name"),
                CLASS::IN,
                60,
                RData::A(A { address: address.into() }),
            ));
        });
        assert_eq!(found, Some(Received::Answer(DnsAnswer::Addresses(vec![address.into()]))));
        for (code, word) in [
            (RCODE::ServerFailure, "servfail"),
            (RCODE::Refused, "refused"),
            (RCODE::NameError, "nxdomain"),
            (RCODE::NotImplemented, "failed"),
        ] {
            let failed = answer(7, "example.com", |packet| *packet.rcode_mut() = code);
            assert_eq!(failed, Some(Received::Answer(DnsAnswer::Failed(word))));
        }
        let cut = answer(7, "example.com", |packet| packet.set_flags(PacketFlag::TRUNCATION));
        assert_eq!(cut, Some(Received::Truncated));
        let bare_refusal = answer(7, "example.com", |packet| {
            packet.questions.clear();
            *packet.rcode_mut() = RCODE::Refused;
        });
        assert_eq!(bare_refusal, Some(Received::Answer(DnsAnswer::Failed("refused"))));
    }

    #[test]
    fn an_invalid_name_cannot_be_queried() {
        assert!(DnsQuery::new(&"a".repeat(64), 1).is_none());
        assert!(DnsQuery::new("example.com.", 1).is_some());
    }
}
