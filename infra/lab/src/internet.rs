//! The internet on loopback, at the far end of a line that can be cut.
//!
//! Everything that an agent asks to find out what is broken is here: anchors, a name server, the server
//! that tells a login page from the internet, and the way to the cloud. Each stands behind a
//! [`Relay`], so that all of them fall *silent* together, as behind a dead line, and come back together.
//! The router is this machine itself: it refuses every connection, which is a sign of life, and a cut
//! does not reach it. So a cut looks like the provider's fault.
//!
//! - [`name_server`] answers questions about names.
//! - `servers` are the others.

pub mod name_server;
mod servers;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::{net::UdpSocket, sync::watch, task::JoinSet};

use crate::line::{LineError, Relay};

/// How many anchors there are for each address family: as many as an agent has by default.
const ANCHORS: usize = 3;
/// How often another port is tried for the name server, which needs the same one twice.
const PORTS_TRIED: usize = 20;

/// What an agent has to know of this internet to live in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The way to the cloud.
    pub cloud: SocketAddr,
    /// Servers that complete every connection: three by IPv4, and three by IPv6 where this machine
    /// has it.
    pub anchors: Vec<SocketAddr>,
    /// The router.
    pub gateway: IpAddr,
    /// The name server, by UDP and by TCP.
    pub name_server: SocketAddr,
    /// The server that answers every request with 204 and nothing else.
    pub portal_check: SocketAddr,
}

impl Addresses {
    /// What an agent's configuration says about them, as lines of its table `[probe]`.
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

/// An internet that can be cut off and restored; it ends when it is dropped.
#[derive(Debug)]
pub struct Internet {
    addresses: Addresses,
    lines: Vec<Relay>,
    /// Whether datagrams pass.
    flowing: watch::Sender<bool>,
    _servers: JoinSet<()>,
}

/// Why there is no internet.
#[derive(Debug, thiserror::Error)]
pub enum InternetError {
    /// One of its servers cannot listen.
    #[error("cannot listen on loopback for the internet")]
    Listen(#[source] io::Error),
    /// A server cannot be put behind a line.
    #[error("cannot lay a line to the internet")]
    Line(#[from] LineError),
}

impl Internet {
    /// An internet with a way to the cloud at `cloud`; needs a tokio runtime.
    pub async fn lay(cloud: SocketAddr) -> Result<Self, InternetError> {
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let flowing = watch::Sender::new(true);
        let mut running = JoinSet::new();
        let anchor = servers::start(&mut running, servers::anchor).await?;
        let portal = servers::start(&mut running, servers::portal_check).await?;
        let names = servers::start(&mut running, name_server::serve_stream).await?;

        let (datagrams, name_line) = name_server_line(names).await?;
        running.spawn(name_server::serve_datagrams(datagrams, flowing.subscribe()));
        let (cloud_line, portal_line) = (Relay::lay(any, cloud)?, Relay::lay(any, portal)?);
        let mut anchor_lines = Vec::new();
        for _ in 0..ANCHORS {
            anchor_lines.push(Relay::lay(any, anchor)?);
        }
        if has_ipv6() {
            for _ in 0..ANCHORS {
                anchor_lines.push(Relay::lay((Ipv6Addr::LOCALHOST, 0).into(), anchor)?);
            }
        }
        let addresses = Addresses {
            cloud: cloud_line.address(),
            anchors: anchor_lines.iter().map(Relay::address).collect(),
            gateway: Ipv4Addr::LOCALHOST.into(),
            name_server: name_line.address(),
            portal_check: portal_line.address(),
        };
        let mut lines = anchor_lines;
        lines.extend([cloud_line, portal_line, name_line]);
        Ok(Self { addresses, lines, flowing, _servers: running })
    }

    /// Where everything is.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Cuts it off, and returns when it is certain that nothing answers any more.
    ///
    /// All lines are cut at once. After an error, or when this is not waited for, some are gone.
    pub async fn cut(&mut self) -> Result<(), LineError> {
        self.flowing.send_replace(false);
        let mut cutting = JoinSet::new();
        for mut line in self.lines.drain(..) {
            cutting.spawn(async move { line.cut().await.map(|()| line) });
        }
        for cut in cutting.join_all().await {
            self.lines.push(cut?);
        }
        Ok(())
    }

    /// Restores it: what was held flows, what hung connects; datagrams that were sent are lost.
    pub fn restore(&mut self) {
        for line in &mut self.lines {
            line.restore();
        }
        self.flowing.send_replace(true);
    }
}

/// The two sockets of a name server with one port, of which the second leads to `server`.
async fn name_server_line(server: SocketAddr) -> Result<(UdpSocket, Relay), InternetError> {
    let mut tried = 1;
    loop {
        let datagrams =
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(InternetError::Listen)?;
        let address = datagrams.local_addr().map_err(InternetError::Listen)?;
        match Relay::lay(address, server) {
            Ok(line) => return Ok((datagrams, line)),
            Err(_) if tried < PORTS_TRIED => tried += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn has_ipv6() -> bool {
    std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}
