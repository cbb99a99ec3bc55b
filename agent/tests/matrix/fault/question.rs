//! The check by which a plain program on the device sees whether something works.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};

use crate::play::{
    addresses::{ALPHA, ANCHORS, CHECK_V4, DEVICE_V4, ENDPOINT_V4, ROUTER_V4, v6},
    world::World,
};

/// Outcome of a plain connect or a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckOutcome {
    Connected,
    Refused,
    Unreachable,
    Silence,
    /// The device has no free source port.
    NoPort,
    /// The server presented a certificate that the device trusts for the address it connected to.
    Proved,
    /// The server accepted the connection and presented no such certificate.
    Unproved,
    /// A lookup of a nonexistent name returned an address.
    Lie,
    /// A lookup got the right answer.
    Truth,
}

/// A check by a plain program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Connects to the first anchor by IPv4.
    AnchorV4,
    /// Connects to the first anchor by IPv6.
    AnchorV6,
    /// TLS handshake with the first anchor by IPv4, with its address as the server name.
    ProofV4,
    /// The same by IPv6.
    ProofV6,
    /// TLS handshake with the anchor of the third organisation by IPv4.
    ThirdProof,
    /// Connects to the router's port 80.
    Router,
    /// Connects to a plain HTTP server on the internet.
    Web,
    /// Connects to the endpoint.
    Endpoint,
    /// Looks up a nonexistent name at the router.
    Name,
}

impl Check {
    /// Runs the check on the device, as any program would.
    pub(crate) fn run(self, world: &World) -> io::Result<CheckOutcome> {
        let device = &world.house.device;
        let prove = |anchor: &str| {
            let (anchor, root) =
                (anchor.parse().expect("the constant is an address"), world.servers.root());
            device.enter(|| prove(anchor, root))
        };
        let address: (IpAddr, u16) = match self {
            Self::AnchorV4 => (ALPHA[0].parse().expect("the constant is an address"), 443),
            Self::AnchorV6 => (v6(ALPHA[1]).into(), 443),
            Self::ProofV4 => return prove(ALPHA[0]),
            Self::ProofV6 => return prove(ALPHA[1]),
            Self::ThirdProof => return prove(ANCHORS[2][0]),
            Self::Router => (ROUTER_V4[0].into(), 80),
            Self::Web => (CHECK_V4.into(), 80),
            Self::Endpoint => (ENDPOINT_V4.into(), 443),
            Self::Name => return device.enter(look_up),
        };
        device
            .enter(|| connect(address.into()).map_or_else(|seen| seen, |_| CheckOutcome::Connected))
    }
}

/// Timeout of a connect or a lookup. No answer takes longer than a few milliseconds here.
const PATIENCE: Duration = Duration::from_millis(1_500);

fn connect(address: SocketAddr) -> Result<TcpStream, CheckOutcome> {
    TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => CheckOutcome::Refused,
        // "Administratively prohibited" is EACCES by IPv6 and EHOSTUNREACH by IPv4.
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::PermissionDenied => CheckOutcome::Unreachable,
        io::ErrorKind::AddrNotAvailable => CheckOutcome::NoPort,
        _ => CheckOutcome::Silence,
    })
}

/// Lets an anchor prove that it owns its address.
fn prove(anchor: IpAddr, root: CertificateDer<'static>) -> CheckOutcome {
    let mut stream = match connect((anchor, 443).into()) {
        Ok(stream) => stream,
        Err(seen) => return seen,
    };
    let mut roots = RootCertStore::empty();
    roots.add(root).expect("the root is a certificate");
    let configuration = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::IpAddress(anchor.into());
    let mut connection =
        ClientConnection::new(Arc::new(configuration), name).expect("the configuration is valid");
    let limit = Some(PATIENCE);
    let limited = stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit));
    match limited.and_then(|()| connection.complete_io(&mut stream).map(drop)) {
        Ok(()) => CheckOutcome::Proved,
        Err(_) => CheckOutcome::Unproved,
    }
}

/// Queries the router for the IPv4 address of `no.such.example`.
fn look_up() -> CheckOutcome {
    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02no\x04such\x07example\x00\x00\x01\x00\x01";
    let mut answer = [0; 512];
    let received = UdpSocket::bind((DEVICE_V4[0], 0)).and_then(|socket| {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(QUERY, (ROUTER_V4[0], 53))?;
        socket.recv(&mut answer)
    });
    match received {
        // Bytes 7 and 8 hold the answer count.
        Ok(length) if length > 12 && answer[7] > 0 => CheckOutcome::Lie,
        Ok(length) if length > 12 => CheckOutcome::Truth,
        Ok(_) | Err(_) => CheckOutcome::Silence,
    }
}
