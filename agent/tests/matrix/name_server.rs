//! The provider's name server.

use std::{net::IpAddr, sync::Mutex};

use ispmon_agent::probe::dns::WELL_KNOWN;
use tokio::net::UdpSocket;

use crate::play::addresses::{
    CHECK_NAMES, CHECK_V4, CHECK_V6, ENDPOINT_NAME, ENDPOINT_V4, ENDPOINT_V6, v6,
};

/// The supported record types. The only class is IN.
const A: u16 = 1;
const AAAA: u16 = 28;
/// Response codes for a lookup without an answer.
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// Behaviour of the name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Returns the right addresses.
    Truth,
    /// Returns these addresses for every name.
    Claims([IpAddr; 2]),
    /// Reports that the endpoint's name does not exist.
    WithoutEndpoint,
    /// Fails every lookup (`SERVFAIL`), like a validating server whose validation fails.
    Fails,
}

/// A name server for the names that the row needs.
pub(crate) struct NameServer(Mutex<Behaviour>);

impl NameServer {
    pub(crate) fn new(manner: Behaviour) -> Self {
        Self(Mutex::new(manner))
    }

    /// Changes the behaviour from now on.
    pub(crate) fn set_behaviour(&self, manner: Behaviour) {
        *self.0.lock().expect("the lock is not poisoned") = manner;
    }

    /// The addresses of a name, or the response code.
    fn addresses(&self, name: &str) -> Result<[IpAddr; 2], u8> {
        let manner = *self.0.lock().expect("the lock is not poisoned");
        match (manner, name) {
            (Behaviour::Fails, _) => Err(SERVFAIL),
            (Behaviour::Claims(addresses), _) => Ok(addresses),
            (Behaviour::WithoutEndpoint, ENDPOINT_NAME) => Err(NXDOMAIN),
            (_, ENDPOINT_NAME) => Ok([ENDPOINT_V4.into(), v6(ENDPOINT_V6).into()]),
            (_, name) if name == WELL_KNOWN || CHECK_NAMES.contains(&name) => {
                Ok([CHECK_V4.into(), v6(CHECK_V6).into()])
            }
            _ => Err(NXDOMAIN),
        }
    }

    /// Answers queries until the runtime ends.
    pub(crate) async fn serve(&self, socket: &UdpSocket) {
        let mut query = [0; 1_500];
        loop {
            // An error here belongs to an earlier response that could not be delivered.
            let Ok((length, client)) = socket.recv_from(&mut query).await else { continue };
            if let Some(answer) = answer(&query[..length], |name| self.addresses(name)) {
                let _ = socket.send_to(&answer, client).await;
            }
        }
    }
}

/// The response to a query with one question (RFC 1035, section 4.1); `None` if the query is malformed.
fn answer(query: &[u8], addresses: impl Fn(&str) -> Result<[IpAddr; 2], u8>) -> Option<Vec<u8>> {
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
    // A response with "recursion desired" and "recursion available" set.
    answer.extend([0x81, 0x80 | known.err().unwrap_or(0)]);
    answer.extend([0, 1, 0, u8::try_from(records.len()).ok()?, 0, 0, 0, 0]);
    answer.extend(question);
    answer.extend(records.concat());
    Some(answer)
}

/// A resource record for the name in the question, with a TTL of 0.
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
