//! A stand-in for the internet on loopback that can be cut off.
//!
//! It has all targets of an agent's probes: anchors, a name server, the portal check server, and
//! the path to the cloud. Each is behind a [`Relay`], so that all of them become *silent* together,
//! as behind a dead connection, and come back together. The router is this machine itself: it
//! refuses every connection, which proves that it is reachable, and a cut does not affect it. So
//! the agent attributes a cut to the provider.
//!
//! - [`name_server`] answers DNS queries.
//! - `servers` are the others.

pub mod name_server;
mod servers;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::{net::UdpSocket, sync::watch, task::JoinSet};

use crate::relay::{Relay, RelayError};

/// How many anchors there are per address family: the agent's default.
const ANCHORS: usize = 3;
/// How many ports are tried for the name server, which needs the same number for UDP and TCP.
const PORTS_TRIED: usize = 20;

/// The addresses that an agent needs in its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The relay to the cloud.
    pub cloud: SocketAddr,
    /// Servers that accept every connection: three over IPv4, and three over IPv6 where this
    /// machine has it.
    pub anchors: Vec<SocketAddr>,
    /// The router.
    pub gateway: IpAddr,
    /// The name server, over UDP and TCP.
    pub name_server: SocketAddr,
    /// The server that responds 204 to every request.
    pub portal_check: SocketAddr,
}

impl Addresses {
    /// The lines of the table `[probe]` for an agent's configuration.
    pub fn probe_settings(&self) -> String {
        let Self { anchors, gateway, name_server, portal_check, .. } = self;
        let anchors: Vec<String> = anchors.iter().map(ToString::to_string).collect();
        format!(
            "anchors = \"{}\"\n\
             gateway = \"{gateway}\"\n\
             resolver = \"{name_server}\"\n\
             portal = \"http://{portal_check}/generate_204\"\n",
            anchors.join(", "),
        )
    }
}

/// A stand-in for the internet that can be cut off and restored; it stops when it is dropped.
#[derive(Debug)]
pub struct Internet {
    addresses: Addresses,
    relays: Vec<Relay>,
    /// Whether UDP datagrams pass.
    flowing: watch::Sender<bool>,
    _servers: JoinSet<()>,
}

/// Why it could not be started.
#[derive(Debug, thiserror::Error)]
pub enum InternetError {
    /// One of its servers could not listen.
    #[error("cannot listen on loopback for the stand-in for the internet")]
    Listen(#[from] io::Error),
    /// A relay could not be started.
    #[error("cannot start a relay to the internet")]
    Relay(#[from] RelayError),
}

impl Internet {
    /// Starts it, with a relay to the cloud at `cloud`; needs a tokio runtime.
    pub async fn start(cloud: SocketAddr) -> Result<Self, InternetError> {
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let flowing = watch::Sender::new(true);
        let mut running = JoinSet::new();
        let anchor = servers::start(&mut running, servers::anchor).await?;
        let portal = servers::start(&mut running, servers::portal_check).await?;
        let names = servers::start(&mut running, name_server::serve_stream).await?;

        let (datagrams, name_relay) = bind_name_server(names).await?;
        running.spawn(name_server::serve_datagrams(datagrams, flowing.subscribe()));
        let (cloud_relay, portal_relay) = (Relay::start(any, cloud)?, Relay::start(any, portal)?);
        let mut anchor_relays = Vec::new();
        for _ in 0..ANCHORS {
            anchor_relays.push(Relay::start(any, anchor)?);
        }
        if has_ipv6() {
            for _ in 0..ANCHORS {
                anchor_relays.push(Relay::start((Ipv6Addr::LOCALHOST, 0).into(), anchor)?);
            }
        }
        let addresses = Addresses {
            cloud: cloud_relay.address(),
            anchors: anchor_relays.iter().map(Relay::address).collect(),
            gateway: Ipv4Addr::LOCALHOST.into(),
            name_server: name_relay.address(),
            portal_check: portal_relay.address(),
        };
        let mut relays = anchor_relays;
        relays.extend([cloud_relay, portal_relay, name_relay]);
        Ok(Self { addresses, relays, flowing, _servers: running })
    }

    /// The addresses of all parts.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Cuts it off, and returns when it is certain that nothing responds anymore.
    ///
    /// All relays are cut at once. After an error, or when the future is dropped, only some of them
    /// may be cut.
    pub async fn cut(&mut self) -> Result<(), RelayError> {
        self.flowing.send_replace(false);
        let mut cutting = JoinSet::new();
        for mut relay in self.relays.drain(..) {
            cutting.spawn(async move { relay.cut().await.map(|()| relay) });
        }
        for cut in cutting.join_all().await {
            self.relays.push(cut?);
        }
        Ok(())
    }

    /// Restores it: buffered bytes flow and pending connects complete; datagrams that were sent
    /// meanwhile are lost.
    pub fn restore(&mut self) {
        for relay in &mut self.relays {
            relay.restore();
        }
        self.flowing.send_replace(true);
    }
}

/// Binds a name server's UDP socket, and on the same port a relay to `server`.
async fn bind_name_server(server: SocketAddr) -> Result<(UdpSocket, Relay), InternetError> {
    let mut tried = 1;
    loop {
        let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match Relay::start(datagrams.local_addr()?, server) {
            Ok(relay) => return Ok((datagrams, relay)),
            Err(_) if tried < PORTS_TRIED => tried += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn has_ipv6() -> bool {
    std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}
