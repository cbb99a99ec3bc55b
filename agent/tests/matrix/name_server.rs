//! The provider's name server.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use ispmon_agent::probe::dns::WELL_KNOWN;
use tokio::net::UdpSocket;

use crate::play::addresses::{
    ADVERTISER_V4, ADVERTISER_V6, CHECK_NAMES, CHECK_V4, CHECK_V6, ENDPOINT_NAME, ENDPOINT_V4,
    ENDPOINT_V6, v6,
};

/// The types of records that are asked for, and the one class that there is.
const A: u16 = 1;
const AAAA: u16 = 28;

/// A name server that knows the names of the row, until it is told to lie.
pub(crate) struct NameServer {
    lies: AtomicBool,
    forgets: AtomicBool,
}

impl NameServer {
    pub(crate) fn new() -> Self {
        Self { lies: AtomicBool::new(false), forgets: AtomicBool::new(false) }
    }

    /// From now on it claims to know every name, or tells the truth again.
    pub(crate) fn lie(&self, lies: bool) {
        self.lies.store(lies, Ordering::Relaxed);
    }

    /// From now on there is no such name as the endpoint's, or there is again.
    pub(crate) fn forget(&self, forgets: bool) {
        self.forgets.store(forgets, Ordering::Relaxed);
    }

    /// The addresses of a name; `None` when there is no such name.
    fn addresses(&self, name: &str) -> Option<[IpAddr; 2]> {
        match name {
            _ if self.lies.load(Ordering::Relaxed) => {
                Some([ADVERTISER_V4.into(), v6(ADVERTISER_V6).into()])
            }
            ENDPOINT_NAME if self.forgets.load(Ordering::Relaxed) => None,
            ENDPOINT_NAME => Some([ENDPOINT_V4.into(), v6(ENDPOINT_V6).into()]),
            name if name == WELL_KNOWN || CHECK_NAMES.contains(&name) => {
                Some([CHECK_V4.into(), v6(CHECK_V6).into()])
            }
            _ => None,
        }
    }

    /// Answers for ever.
    pub(crate) async fn serve(&self, socket: &UdpSocket) {
        let mut query = [0; 1_500];
        loop {
            // What is reported here concerns an answer that nobody took.
            let Ok((length, client)) = socket.recv_from(&mut query).await else { continue };
            if let Some(answer) = answer(&query[..length], |name| self.addresses(name)) {
                let _ = socket.send_to(&answer, client).await;
            }
        }
    }
}

/// The answer to a query with one question (RFC 1035, section 4.1); `None` when it is none.
fn answer(query: &[u8], addresses: impl Fn(&str) -> Option<[IpAddr; 2]>) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let mut end = HEADER;
    let mut name = String::new();
    loop {
        let length = usize::from(*query.get(end)?);
        let label = query.get(end + 1..end + 1 + length)?;
        end += 1 + length;
        if length == 0 {
            break;
        }
        name.push_str(&String::from_utf8_lossy(label).to_lowercase());
        name.push('.');
    }
    let kind = u16::from_be_bytes(query.get(end..end + 2)?.try_into().ok()?);
    let question = query.get(HEADER..end + 4)?;
    let known = addresses(name.trim_end_matches('.'));
    let wanted =
        known.iter().flatten().filter(|address| kind == if address.is_ipv4() { A } else { AAAA });
    let records: Vec<Vec<u8>> = wanted.map(record).collect();
    let mut answer = query.get(..2)?.to_vec();
    // An answer to a query that wanted recursion and gets it; NXDOMAIN for a name that there is not.
    answer.extend([0x81, if known.is_some() { 0x80 } else { 0x83 }]);
    answer.extend([0, 1, 0, u8::try_from(records.len()).ok()?, 0, 0, 0, 0]);
    answer.extend(question);
    answer.extend(records.concat());
    Some(answer)
}

/// A resource record for the name of the question, to be kept for no time at all.
fn record(address: &IpAddr) -> Vec<u8> {
    let (kind, bytes) = match address {
        IpAddr::V4(address) => (A, address.octets().to_vec()),
        IpAddr::V6(address) => (AAAA, address.octets().to_vec()),
    };
    let mut record = vec![0xc0, 12];
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 0, 0, bytes.len() as u8]);
    record.extend(bytes);
    record
}
