//! A name server: every name resolves to this machine, except names below `.invalid`.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
};

use simple_dns::{
    Packet, PacketFlag, QTYPE, Question, RCODE, ResourceRecord, TYPE,
    rdata::{A, AAAA, RData},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    sync::watch,
};

/// The time to live of an answer, in seconds.
const TIME_TO_LIVE: u32 = 60;
/// The longest datagram that is read, in bytes: far longer than a query.
const LONGEST: usize = 1_232;

/// Returns the answer to a message, or `None` when it is not a query.
///
/// Names below `.invalid` do not exist (RFC 6761, section 6.4): `NXDOMAIN`. Every other name has
/// the loopback addresses, and no records of other types.
pub fn answer(message: &[u8]) -> Option<Vec<u8>> {
    let question = Packet::parse(message).ok()?;
    if question.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    let mut reply = Packet::new_reply(question.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    if question.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    match &question.questions[..] {
        [one] if is_below_invalid(one) => *reply.rcode_mut() = RCODE::NameError,
        [one] => reply.answers.extend(record(one)),
        // A query has exactly one question (RFC 9619).
        _ => *reply.rcode_mut() = RCODE::FormatError,
    }
    reply.questions = question.questions;
    reply.build_bytes_vec_compressed().ok()
}

fn is_below_invalid(question: &Question<'_>) -> bool {
    let last = question.qname.get_labels().last();
    last.is_some_and(|label| label.to_string().eq_ignore_ascii_case("invalid"))
}

fn record<'a>(question: &Question<'a>) -> Option<ResourceRecord<'a>> {
    let data = match question.qtype {
        QTYPE::TYPE(TYPE::A) => RData::A(A::from(Ipv4Addr::LOCALHOST)),
        QTYPE::TYPE(TYPE::AAAA) => RData::AAAA(AAAA::from(Ipv6Addr::LOCALHOST)),
        _ => return None,
    };
    let name = question.qname.clone();
    Some(ResourceRecord::new(name, simple_dns::CLASS::IN, TIME_TO_LIVE, data))
}

/// Answers datagrams forever; drops them while the internet is cut off.
pub(super) async fn serve_datagrams(socket: UdpSocket, flowing: watch::Receiver<bool>) {
    let mut buffer = [0; LONGEST];
    loop {
        // The error concerns an earlier answer, whose client is gone.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if *flowing.borrow()
            && let Some(answer) = answer(&buffer[..length])
        {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// Answers the queries of one connection.
pub(super) async fn serve_stream(mut stream: TcpStream) {
    // It ends when the client closes the connection or sends something else than a query.
    while let Ok(()) = exchange(&mut stream).await {}
}

/// Reads one message and answers it; each is preceded by its length (RFC 1035, section 4.2.2).
async fn exchange(stream: &mut TcpStream) -> io::Result<()> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    let answer = answer(&message).ok_or(io::ErrorKind::InvalidData)?;
    let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await
}

#[cfg(test)]
mod tests {
    use simple_dns::{CLASS, Name};

    use super::*;

    fn query(name: &str, qtype: TYPE) -> Vec<u8> {
        let mut packet = Packet::new_query(77);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = Name::new(name).expect("a name");
        packet.questions.push(Question::new(name, QTYPE::TYPE(qtype), CLASS::IN.into(), false));
        packet.build_bytes_vec().expect("a message")
    }

    #[test]
    fn every_name_resolves_to_loopback_except_invalid_ones() {
        for (name, qtype, rcode, records) in [
            ("example.com", TYPE::A, RCODE::NoError, 1),
            ("example.com", TYPE::AAAA, RCODE::NoError, 1),
            ("example.com", TYPE::MX, RCODE::NoError, 0),
            ("ispmon-1.invalid", TYPE::A, RCODE::NameError, 0),
            ("ispmon-1.INVALID", TYPE::AAAA, RCODE::NameError, 0),
            ("invalid.example.com", TYPE::A, RCODE::NoError, 1),
        ] {
            let bytes = answer(&query(name, qtype)).expect("an answer");
            let answer = Packet::parse(&bytes).expect("a message");
            assert_eq!((answer.id(), answer.rcode()), (77, rcode), "{name}");
            assert!(answer.has_flags(PacketFlag::RESPONSE | PacketFlag::RECURSION_DESIRED));
            assert_eq!(answer.questions.len(), 1, "{name}");
            assert_eq!(answer.answers.len(), records, "{name} {qtype:?}");
        }
    }

    #[test]
    fn a_message_that_is_not_a_query_gets_no_answer() {
        let reply = answer(&query("example.com", TYPE::A)).expect("an answer");
        for message in [&b""[..], b"hello", &reply] {
            assert_eq!(answer(message), None);
        }
        let empty = Packet::new_query(1).build_bytes_vec().expect("a message");
        let refused = answer(&empty).expect("an answer");
        assert_eq!(Packet::parse(&refused).expect("a message").rcode(), RCODE::FormatError);
    }
}
