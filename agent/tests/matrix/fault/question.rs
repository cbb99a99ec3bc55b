//! What a plain program on the device asks to see whether something works.

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

/// How a plain connect ends, or a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Connected,
    Refused,
    Unreachable,
    Silence,
    /// This device has no port to call from.
    NoPort,
    /// A server showed a certificate that the device trusts for the address that was called.
    Proved,
    /// A server was connected and showed no such certificate.
    Unproved,
    /// A look-up of a name that does not exist was answered with an address.
    Lie,
    /// A look-up was answered as it should be.
    Truth,
}

/// What a plain program asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// A connect to the first anchor by IPv4.
    AnchorV4,
    /// A connect to the first anchor by IPv6.
    AnchorV6,
    /// TLS with the first anchor by IPv4, with its address in place of a name.
    ProofV4,
    /// The same by IPv6.
    ProofV6,
    /// TLS with the anchor of the third organisation by IPv4.
    ThirdProof,
    /// A connect to the router's port 80.
    Router,
    /// A connect to plain HTTP on the internet.
    Web,
    /// A connect to the endpoint.
    Endpoint,
    /// A look-up at the router of a name that does not exist.
    Name,
}

impl Question {
    /// Asks it from the device, as any program would.
    pub(crate) fn ask(self, world: &World) -> io::Result<Seen> {
        let device = &world.house.device;
        let prove = |anchor: &str| {
            let (anchor, root) = (anchor.parse().expect("an address"), world.servers.root());
            device.enter(|| prove(anchor, root))
        };
        let address: (IpAddr, u16) = match self {
            Self::AnchorV4 => (ALPHA[0].parse().expect("an address"), 443),
            Self::AnchorV6 => (v6(ALPHA[1]).into(), 443),
            Self::ProofV4 => return prove(ALPHA[0]),
            Self::ProofV6 => return prove(ALPHA[1]),
            Self::ThirdProof => return prove(ANCHORS[2][0]),
            Self::Router => (ROUTER_V4[0].into(), 80),
            Self::Web => (CHECK_V4.into(), 80),
            Self::Endpoint => (ENDPOINT_V4.into(), 443),
            Self::Name => return device.enter(look_up),
        };
        device.enter(|| connect(address.into()).map_or_else(|seen| seen, |_| Seen::Connected))
    }
}

/// How long a connect or a look-up may take: no answer here takes longer than a few milliseconds.
const PATIENCE: Duration = Duration::from_millis(1_500);

fn connect(address: SocketAddr) -> Result<TcpStream, Seen> {
    TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => Seen::Refused,
        // "Administratively prohibited" is EACCES by IPv6 and EHOSTUNREACH by IPv4.
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::PermissionDenied => Seen::Unreachable,
        io::ErrorKind::AddrNotAvailable => Seen::NoPort,
        _ => Seen::Silence,
    })
}

/// Lets an anchor prove that it is the owner of its address.
fn prove(anchor: IpAddr, root: CertificateDer<'static>) -> Seen {
    let mut stream = match connect((anchor, 443).into()) {
        Ok(stream) => stream,
        Err(seen) => return seen,
    };
    let mut roots = RootCertStore::empty();
    roots.add(root).expect("it is a certificate");
    let configuration = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of the provider")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::IpAddress(anchor.into());
    let mut connection =
        ClientConnection::new(Arc::new(configuration), name).expect("it is a configuration");
    let limit = Some(PATIENCE);
    let limited = stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit));
    match limited.and_then(|()| connection.complete_io(&mut stream).map(drop)) {
        Ok(()) => Seen::Proved,
        Err(_) => Seen::Unproved,
    }
}

/// Asks the router for the IPv4 address of `no.such.example`.
fn look_up() -> Seen {
    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02no\x04such\x07example\x00\x00\x01\x00\x01";
    let mut answer = [0; 512];
    let asked = UdpSocket::bind((DEVICE_V4[0], 0)).and_then(|socket| {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(QUERY, (ROUTER_V4[0], 53))?;
        socket.recv(&mut answer)
    });
    match asked {
        // The number of answers stands in the seventh and eighth byte.
        Ok(length) if length > 12 && answer[7] > 0 => Seen::Lie,
        Ok(length) if length > 12 => Seen::Truth,
        Ok(_) | Err(_) => Seen::Silence,
    }
}
