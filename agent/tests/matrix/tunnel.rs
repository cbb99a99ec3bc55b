//! A tunnel as a VPN or a tunnel broker sets it up: a TUN interface on the device with routes, whose
//! packets travel in UDP to a peer on the internet, which forwards them there.

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
};

use tokio::runtime::Handle;

use crate::play::{
    addresses::{ROUTER_V4, TUNNEL_PEER},
    house::House,
    kernel::{self, Tun},
};

/// The peer's port, `WireGuard`'s default.
const PORT: u16 = 51_820;

/// The traffic that is routed into a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// Everything, as a VPN does.
    All,
    /// IPv6 alone, for a provider without IPv6: a tunnel broker's.
    Ipv6,
}

impl Carries {
    fn routes(self) -> String {
        let ipv6 = "route add ::/1 dev tun0\nroute add 8000::/1 dev tun0\n";
        match self {
            Self::All => {
                format!("route add 0.0.0.0/1 dev tun0\nroute add 128.0.0.0/1 dev tun0\n{ipv6}")
            }
            Self::Ipv6 => format!("{}{ipv6}", House::without_own_ipv6()),
        }
    }
}

/// Builds the tunnel and its routes. It works until traffic to [`TUNNEL_PEER`] is blocked.
pub(crate) fn build(house: &House, carries: Carries, runtime: &Handle) -> io::Result<()> {
    let near = house.device.enter(|| kernel::open_tun("tun0"))??;
    let far = house.alpha.enter(|| kernel::open_tun("tun0"))??;
    house.device.ip(&format!(
        "addr add 10.8.0.2/24 dev tun0\n\
         addr add fd08::2/64 dev tun0\n\
         link set tun0 up mtu 1400\n\
         route add {TUNNEL_PEER} via {} dev eth0\n\
         {}",
        ROUTER_V4[0],
        carries.routes()
    ))?;
    house.alpha.ip("addr add 10.8.0.1/24 dev tun0\n\
         addr add fd08::1/64 dev tun0\n\
         link set tun0 up mtu 1400\n")?;
    house.alpha.nft(
        "table inet tunnel {
           chain out {
             type nat hook postrouting priority srcnat
             iifname tun0 oifname eth0 masquerade
           }
         }",
    )?;
    let peer = house.alpha.enter(|| UdpSocket::bind((TUNNEL_PEER, PORT)))??;
    let device = house.device.enter(|| -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((TUNNEL_PEER, PORT))?;
        Ok(socket)
    })??;
    let _inside = runtime.enter();
    let (near, far) = (Tun::new(near)?, Tun::new(far)?);
    runtime.spawn(serve_device(near, from_std(device)?));
    runtime.spawn(serve_peer(far, from_std(peer)?));
    Ok(())
}

fn from_std(socket: UdpSocket) -> io::Result<tokio::net::UdpSocket> {
    socket.set_nonblocking(true)?;
    tokio::net::UdpSocket::from_std(socket)
}

/// The device's end.
async fn serve_device(tun: Tun, socket: tokio::net::UdpSocket) {
    let (mut outward, mut inward) = ([0; 2_048], [0; 2_048]);
    loop {
        tokio::select! {
            length = tun.take(&mut outward) => {
                // A datagram that cannot be sent is lost.
                let _ = socket.send(&outward[..length]).await;
            }
            Ok(length) = socket.recv(&mut inward) => {
                tun.send(&inward[..length]);
            }
        }
    }
}

/// The peer's end, which answers to the source address of the device's newest packet.
async fn serve_peer(tun: Tun, socket: tokio::net::UdpSocket) {
    let (mut outward, mut inward) = ([0; 2_048], [0; 2_048]);
    let mut client = None;
    loop {
        tokio::select! {
            length = tun.take(&mut inward) => {
                if let Some(client) = client {
                    let _ = socket.send_to(&inward[..length], client).await;
                }
            }
            Ok((length, from)) = socket.recv_from(&mut outward) => {
                client = Some(from);
                tun.send(&outward[..length]);
            }
        }
    }
}
