//! Probes whether name servers answer, and whether their answers are true.
//!
//! There are two ways, because they fail independently: the system's lookup ([`query_system`]), which every
//! program on this device uses, with its caches, stubs and `/etc/hosts`; and a query to one name server
//! directly ([`query_server`]), which distinguishes a dead server from a failure of the device's own
//! resolver.

mod message;
mod servers;

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    task::Poll,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout, timeout_at},
};

use rustix::io::Errno;

use self::message::{DnsAnswer, DnsQuery, Received};
pub use self::servers::{ServerOwner, Servers, owner_of};
use super::{DnsOutcome, Family, LocalFailure, Observation, ProbeKind};
use crate::{
    clock::Stamp,
    loopback::is_local_name,
    resolver::{LookupError, Resolver},
};

/// The name to query by default: its disappearance would be noticed worldwide, and every name server can
/// resolve it.
pub const WELL_KNOWN: &str = "example.com";
/// Time limit of a direct query. A recursive resolver that has to query others answers within a second.
pub const LIMIT: Duration = Duration::from_secs(2);
/// How long a system lookup may take until it counts as hanging. By default the C library queries three
/// servers twice for 5 s each (resolv.conf(5)).
pub const LOOKUP_LIMIT: Duration = Duration::from_secs(30);
/// Answer of an observation: the name does not exist.
pub(crate) const NXDOMAIN: &str = "nxdomain";
/// Answer of an observation: the name has no address.
pub(crate) const NODATA: &str = "nodata";

/// Whether the answer of an observation is a failure of the queried name, which may fail for it alone.
pub(crate) fn is_name_failure(word: &str) -> bool {
    matches!(word, NXDOMAIN | NODATA)
}

/// The name to query: the host that heartbeats go to, unless that is an IP address or a name of this machine
/// itself, which no name server has.
pub(crate) fn name_to_query(host: Option<&str>) -> &str {
    let is_name = |host: &&str| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_err() && !is_local_name(host)
    };
    host.filter(is_name).unwrap_or(WELL_KNOWN)
}

/// The result of a direct query to one name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAnswer {
    /// The server.
    pub server: SocketAddr,
    /// The result.
    pub answer: DnsOutcome,
    /// The same for the journal.
    pub observation: Observation,
}

/// Queries every name server for `name`, all at once, for [`LIMIT`] each; the answers are in the order of
/// the servers.
///
/// A server that resolves [another name](WELL_KNOWN) is not at fault for one missing name.
pub async fn query_all(
    servers: &[SocketAddr],
    name: &str,
    clock: &impl Fn() -> Stamp,
) -> Vec<ServerAnswer> {
    let mut queries: Vec<_> =
        servers.iter().map(|server| (Box::pin(query_name(*server, name, clock)), None)).collect();
    poll_fn(|context| {
        for (query, answer) in &mut queries {
            if answer.is_none()
                && let Poll::Ready(ready) = query.as_mut().poll(context)
            {
                *answer = Some(ready);
            }
        }
        let is_complete = queries.iter().all(|(_, answer)| answer.is_some());
        if is_complete { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    queries.into_iter().filter_map(|(_, answer)| answer).collect()
}

/// Queries one name server for `name`, and for [another](WELL_KNOWN) if it answers that `name` does not exist
/// or has no IPv4 address.
pub(super) async fn query_name(
    server: SocketAddr,
    name: &str,
    clock: &impl Fn() -> Stamp,
) -> ServerAnswer {
    let (mut answer, observation) = query_server(server, name, LIMIT, clock).await;
    if is_name_failure(&observation.answer) && name != WELL_KNOWN {
        let known = query_server(server, WELL_KNOWN, LIMIT, clock).await;
        answer = answered_or(answer, known.0);
    }
    ServerAnswer { server, answer, observation }
}

/// The result for a name, or [`DnsOutcome::Answered`] if another name was answered.
pub(super) fn answered_or(answer: DnsOutcome, of_another: DnsOutcome) -> DnsOutcome {
    if of_another == DnsOutcome::Answered { DnsOutcome::Answered } else { answer }
}

/// Larger answers come by TCP; without EDNS a server sends 512 bytes at most (RFC 1035, 4.2.1).
const UDP_BYTES: usize = 1_232;

/// Queries one name server for `name` and, at the same time, for a name that cannot exist, for `limit`
/// at most.
///
/// A random name below `.invalid` does not exist (RFC 6761, section 6.4). A server that returns the same
/// address for it and for `name` gives a false answer to both, as a captive portal does. A server that only
/// returns advertisements for names that do not exist gives a true answer to `name`.
/// The observation's answer is `answered`, or `hijacks_nxdomain` for a server with advertisements;
/// `silent`, `lied`, or the failure: `servfail`, `refused`,
/// `nxdomain`, `nodata`, `unreachable`, `forbidden`, `nonsense`, `failed`, or `partly_silent` if only the query
/// for the name that cannot exist was answered. A failure on this device is [`DnsOutcome::NotAsked`], with the
/// word of that failure.
pub async fn query_server(
    server: SocketAddr,
    name: &str,
    limit: Duration,
    clock: &impl Fn() -> Stamp,
) -> (DnsOutcome, Observation) {
    let at = clock();
    let begun = Instant::now();
    let nonce = format!("ispmon-{:016x}.invalid", fastrand::u64(..));
    let deadline = begun + limit;
    let (real, nonce) =
        tokio::join!(exchange(server, name, deadline), exchange(server, &nonce, deadline));
    let (answer, word) = judge(&real, &nonce);
    let observation = Observation {
        probe: ProbeKind::DirectDns,
        target: server.to_string(),
        family: Some(Family::of(server.ip())),
        answer: word.to_owned(),
        ms: u64::try_from(begun.elapsed().as_millis()).ok(),
        at,
    };
    (answer, observation)
}

/// Looks `name` up with the system's resolver, like any program on this device; waits `limit` at most.
///
/// The lookup runs on the resolver's own thread and continues after the limit.
pub async fn query_system(
    resolver: &Resolver,
    name: &str,
    limit: Duration,
    clock: &impl Fn() -> Stamp,
) -> (DnsOutcome, Observation) {
    let at = clock();
    let begun = Instant::now();
    let (answer, word) = match resolver.resolve(name, begun + limit).await {
        Ok(addresses) if addresses.iter().copied().any(is_unusable_address) => {
            (DnsOutcome::Lied, DnsOutcome::Lied.as_str())
        }
        Ok(_) => (DnsOutcome::Answered, DnsOutcome::Answered.as_str()),
        Err(LookupError::TimedOut { .. } | LookupError::Hanging { .. }) => {
            (DnsOutcome::Silent, DnsOutcome::Silent.as_str())
        }
        Err(LookupError::Unknown { .. }) => (DnsOutcome::Failed, NXDOMAIN),
        Err(LookupError::Temporary { .. }) => (DnsOutcome::Failed, "servfail"),
        Err(LookupError::Failed { .. }) => (DnsOutcome::Failed, "failed"),
    };
    let observation = Observation {
        probe: ProbeKind::SystemDns,
        target: name.to_owned(),
        family: None,
        answer: word.to_owned(),
        ms: u64::try_from(begun.elapsed().as_millis()).ok(),
        at,
    };
    (answer, observation)
}

/// Combines the answers to both queries.
///
/// 1. An address that both names have is a false answer, and so is one that no host can have.
/// 2. An answer to the real name counts, whatever the result of the other query.
/// 3. A failure is reported as such; silence means that neither query was answered.
fn judge(
    real: &Result<DnsAnswer, DnsFailure>,
    nonce: &Result<DnsAnswer, DnsFailure>,
) -> (DnsOutcome, &'static str) {
    let for_everything = match nonce {
        Ok(DnsAnswer::Addresses(addresses)) => addresses.as_slice(),
        Ok(DnsAnswer::Failed(_)) | Err(_) => &[],
    };
    let is_lie =
        |address: &IpAddr| is_unusable_address(*address) || for_everything.contains(address);
    match real {
        // Servers that block, or that have no server to forward to, answer like this to every query.
        Ok(DnsAnswer::Addresses(addresses)) if addresses.is_empty() => (DnsOutcome::Failed, NODATA),
        Ok(DnsAnswer::Addresses(addresses)) if addresses.iter().any(is_lie) => {
            (DnsOutcome::Lied, DnsOutcome::Lied.as_str())
        }
        Ok(DnsAnswer::Addresses(_)) if !for_everything.is_empty() => {
            (DnsOutcome::Answered, "hijacks_nxdomain")
        }
        Ok(DnsAnswer::Addresses(_)) => (DnsOutcome::Answered, DnsOutcome::Answered.as_str()),
        Ok(DnsAnswer::Failed(word)) => (DnsOutcome::Failed, word),
        Err(DnsFailure::Unreachable) => (DnsOutcome::Failed, "unreachable"),
        Err(DnsFailure::Nonsense) => (DnsOutcome::Failed, "nonsense"),
        Err(DnsFailure::Forbidden) => (DnsOutcome::Failed, "forbidden"),
        Err(DnsFailure::NotAsked(failure)) => (DnsOutcome::NotAsked, failure.as_str()),
        // The server is alive; only packet loss or a failing server upstream can cause this.
        Err(DnsFailure::Silent) if nonce.is_ok() => (DnsOutcome::Failed, "partly_silent"),
        Err(DnsFailure::Silent) => (DnsOutcome::Silent, DnsOutcome::Silent.as_str()),
    }
}

/// Whether no host can have this address, so that a server that returns it blocks the name or gives a false
/// answer.
///
/// Private and loopback addresses are usable: names in a home network have such addresses.
fn is_unusable_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_unspecified()
                || v4.is_documentation()
                || v4.is_multicast()
                || v4 >= Ipv4Addr::new(240, 0, 0, 0)
        }
        IpAddr::V6(v6) => {
            v6.is_unspecified() || v6.is_multicast() || v6.segments()[..2] == DOCUMENTATION
        }
    }
}

/// `2001:db8::/32` (RFC 3849).
const DOCUMENTATION: [u16; 2] = [0x2001, 0xdb8];

/// Why a query got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DnsFailure {
    Silent,
    Unreachable,
    /// The response is no DNS message, or answers another query.
    Nonsense,
    /// This device forbids to send.
    Forbidden,
    NotAsked(LocalFailure),
}

/// Queries by UDP, from a random source port that the system picks; repeats the query by TCP if the answer
/// was truncated.
async fn exchange(
    server: SocketAddr,
    name: &str,
    deadline: Instant,
) -> Result<DnsAnswer, DnsFailure> {
    let Some(query) = DnsQuery::new(name, fastrand::u16(..)) else {
        return Err(DnsFailure::Nonsense);
    };
    match by_udp(server, &query, deadline).await? {
        Received::Truncated => by_tcp(server, &query, deadline).await,
        Received::Answer(answer) => Ok(answer),
    }
}

async fn by_udp(
    server: SocketAddr,
    query: &DnsQuery,
    deadline: Instant,
) -> Result<Received, DnsFailure> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.map_err(|error| failure(&error))?;
    // From now on the socket receives only packets of this server.
    socket.connect(server).await.map_err(|error| failure(&error))?;
    let mut buffer = [0; UDP_BYTES];
    // A single lost datagram decides nothing: the query is sent four times, as a stub resolver does on a
    // connection with packet loss.
    let begun = Instant::now();
    let quarter = deadline.saturating_duration_since(begun) / 4;
    for until in (1..4).map(|sent| begun + quarter * sent).chain([deadline]) {
        socket.send(query.bytes()).await.map_err(|error| failure(&error))?;
        while let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await {
            let length = received.map_err(|error| failure(&error))?;
            // A datagram that answers another query is forged or late: the right one may follow.
            if let Some(received) = query.read(&buffer[..length]) {
                return Ok(received);
            }
        }
    }
    Err(DnsFailure::Silent)
}

async fn by_tcp(
    server: SocketAddr,
    query: &DnsQuery,
    deadline: Instant,
) -> Result<DnsAnswer, DnsFailure> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        // Each message is preceded by its length (RFC 1035, 4.2.2).
        let mut request = u16::try_from(query.bytes().len()).unwrap_or(0).to_be_bytes().to_vec();
        request.extend(query.bytes());
        stream.write_all(&request).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    let left = deadline.saturating_duration_since(Instant::now());
    match timeout(left, exchange).await {
        Err(_) => Err(DnsFailure::Silent),
        Ok(Err(error)) => Err(failure(&error)),
        Ok(Ok(answer)) => match query.read(&answer) {
            None | Some(Received::Truncated) => Err(DnsFailure::Nonsense),
            Some(Received::Answer(answer)) => Ok(answer),
        },
    }
}

fn failure(error: &io::Error) -> DnsFailure {
    match (Errno::from_io_error(error), error.kind()) {
        (Some(Errno::PERM | Errno::ACCESS), _) => DnsFailure::Forbidden,
        // A missing port would have failed at the bind: this device has no address of the family.
        (Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT | Errno::INVAL), _) => {
            DnsFailure::Unreachable
        }
        (_, io::ErrorKind::UnexpectedEof) => DnsFailure::Nonsense,
        (_, io::ErrorKind::TimedOut) => DnsFailure::Silent,
        (Some(errno), _) => {
            LocalFailure::of(errno).map_or(DnsFailure::Unreachable, DnsFailure::NotAsked)
        }
        (None, _) => DnsFailure::NotAsked(LocalFailure::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_false_answer_outranks_a_true_one_and_an_answer_outranks_silence() {
        let truth = || Ok(DnsAnswer::Addresses(vec![Ipv4Addr::new(23, 1, 1, 1).into()]));
        let lie = || Ok(DnsAnswer::Addresses(vec![Ipv4Addr::new(10, 0, 0, 1).into()]));
        let blocked = || Ok(DnsAnswer::Addresses(vec![Ipv4Addr::UNSPECIFIED.into()]));
        let unknown = || Ok(DnsAnswer::Failed("nxdomain"));
        let servfail = || Ok(DnsAnswer::Failed("servfail"));
        let silent = || Err(DnsFailure::Silent);
        for (real, nonce, expected) in [
            (truth(), unknown(), (DnsOutcome::Answered, DnsOutcome::Answered.as_str())),
            (truth(), silent(), (DnsOutcome::Answered, DnsOutcome::Answered.as_str())),
            (
                truth(),
                Ok(DnsAnswer::Addresses(vec![])),
                (DnsOutcome::Answered, DnsOutcome::Answered.as_str()),
            ),
            (Ok(DnsAnswer::Addresses(vec![])), unknown(), (DnsOutcome::Failed, "nodata")),
            (
                Ok(DnsAnswer::Addresses(vec![])),
                Ok(DnsAnswer::Addresses(vec![])),
                (DnsOutcome::Failed, "nodata"),
            ),
            (lie(), lie(), (DnsOutcome::Lied, DnsOutcome::Lied.as_str())),
            (truth(), lie(), (DnsOutcome::Answered, "hijacks_nxdomain")),
            (silent(), lie(), (DnsOutcome::Failed, "partly_silent")),
            (unknown(), lie(), (DnsOutcome::Failed, "nxdomain")),
            (blocked(), unknown(), (DnsOutcome::Lied, DnsOutcome::Lied.as_str())),
            (unknown(), unknown(), (DnsOutcome::Failed, "nxdomain")),
            (servfail(), servfail(), (DnsOutcome::Failed, "servfail")),
            (silent(), unknown(), (DnsOutcome::Failed, "partly_silent")),
            (silent(), silent(), (DnsOutcome::Silent, DnsOutcome::Silent.as_str())),
            (Err(DnsFailure::Unreachable), silent(), (DnsOutcome::Failed, "unreachable")),
        ] {
            assert_eq!(judge(&real, &nonce), expected, "{real:?}, {nonce:?}");
        }
    }

    #[test]
    fn the_cloud_host_is_queried_unless_it_is_an_address() {
        for (host, expected) in [
            (Some("dl.example"), "dl.example"),
            (Some("127.0.0.1"), WELL_KNOWN),
            (Some("[::1]"), WELL_KNOWN),
            (Some("localhost"), WELL_KNOWN),
            (None, WELL_KNOWN),
        ] {
            assert_eq!(name_to_query(host), expected, "{host:?}");
        }
    }

    #[test]
    fn private_and_loopback_addresses_are_usable() {
        for (address, expected) in [
            ("0.0.0.0", true),
            ("::", true),
            ("192.0.2.1", true),
            ("2001:db8::1", true),
            ("224.0.0.1", true),
            ("255.255.255.255", true),
            ("127.0.0.1", false),
            ("192.168.1.5", false),
            ("10.0.0.1", false),
            ("fd00::1", false),
            ("1.1.1.1", false),
            ("2606:4700:4700::1111", false),
        ] {
            assert_eq!(
                is_unusable_address(address.parse().expect("an address")),
                expected,
                "{address}"
            );
        }
    }
}
