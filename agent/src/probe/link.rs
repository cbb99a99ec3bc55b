//! What the kernel would do with a packet to one destination, and when that may have changed.
//!
//! Every question is put to the kernel afresh and answered at once from its tables: it costs some
//! ten to a hundred microseconds, sends nothing and waits for nobody. "The default route" is never
//! asked for, because with a VPN, containers or two uplinks it is not what an anchor is reached by.
//!
//! - Linux: netlink, for questions and for changes, those of policy rules included.
//! - macOS: the routing socket, for both. It does not tell why there is no route: a pulled cable, a
//!   missing address and a missing route are all [`LinkAnswer::NoRoute`] there, and neighbours are
//!   [`Neighbour::Unknown`].
//! - Where the system refuses both (a sandbox without `AF_NETLINK`), the kernel's files under
//!   `/proc/net` and `/sys/class/net` tell interface and router, without policy rules; they are read
//!   every few seconds. Where those are missing too, the source address that a socket would get
//!   tells at least whether there is a route.
//!
//! # What is a tunnel
//! An interface counts as a tunnel by its *kind*: TUN and TAP, WireGuard, IP in IP, GRE, SIT, VTI,
//! XFRM; on macOS by its name (`utun`, `ipsec`, `gif`, `stf`). PPP is a line and not a tunnel: it
//! mostly is one (PPPoE, modems), VPNs over PPP (PPTP, L2TP, SSTP) have become rare, and mistaking
//! a provider's dead line for the user's VPN would blame the wrong one. What hangs on a mobile modem
//! has no kind, and is a line.

mod fallback;
#[cfg(any(target_os = "linux", test))]
mod judge;
#[cfg(target_os = "linux")]
mod netlink;
mod poll;
#[cfg(target_os = "linux")]
mod procfs;
#[cfg(any(target_os = "macos", test))]
mod route_socket;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use rustix::io::Errno;
use tokio::time::{Instant, sleep_until};

use super::{Anchor, Interface, LinkAnswer, MacAddress, PerFamily, Route};
#[cfg(target_os = "linux")]
use netlink as system;
#[cfg(target_os = "macos")]
use route_socket as system;

/// For how long after the first sign further ones are taken for the same change: a plugged cable
/// makes a dozen messages within milliseconds.
const BURST: Duration = Duration::from_millis(100);

/// Tells when links, addresses or routes may have changed.
#[derive(Debug)]
pub struct Links {
    source: LinkEvents,
    /// When the burst that is being waited for is taken to be over.
    burst_ends: Option<Instant>,
}

#[derive(Debug)]
enum LinkEvents {
    Events(system::Events),
    Poll(poll::Poll),
}

impl Links {
    /// Begins to watch; without the system's events, by looking every few seconds.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new() -> Self {
        let source = match system::Events::new() {
            Ok(events) => LinkEvents::Events(events),
            Err(_) => LinkEvents::Poll(poll::Poll::new()),
        };
        Self { source, burst_ends: None }
    }

    /// Whether the system tells of changes by itself, so that a pulled cable is known at once.
    pub fn is_told(&self) -> bool {
        matches!(self.source, LinkEvents::Events(_))
    }

    /// Waits until something may have changed, and then 100 ms for what follows from it.
    ///
    /// Nothing is lost when the caller stops waiting and begins again. It returns also when nothing
    /// that matters has changed, for instance when a router repeats its announcement, and when the
    /// system had more to tell than it could keep (`ENOBUFS`).
    pub async fn changed(&mut self) {
        loop {
            if let Some(end) = self.burst_ends {
                sleep_until(end).await;
                if let LinkEvents::Events(events) = &mut self.source {
                    events.drain();
                }
                self.burst_ends = None;
                return;
            }
            match &mut self.source {
                LinkEvents::Poll(poll) => poll.changed().await,
                LinkEvents::Events(events) => {
                    if events.next().await.is_err() {
                        self.source = LinkEvents::Poll(poll::Poll::new());
                    }
                }
            }
            self.burst_ends = Some(Instant::now() + BURST);
        }
    }
}

impl Default for Links {
    fn default() -> Self {
        Self::new()
    }
}

/// What the kernel's neighbour table (ARP, IPv6 neighbour discovery) says of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Neighbour {
    /// It answers, or has answered and nobody doubts it.
    Known,
    /// It is being asked whether it is still there.
    Asked,
    /// It was asked and does not answer any more (`FAILED`).
    Failed,
    /// There is no entry, or it cannot be read.
    Unknown,
}

/// How packets to one address would leave this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The way, or what is missing for one.
    pub link: LinkAnswer,
    /// The kernel would look for the address itself on the local segment, without a router and not through
    /// a tunnel. A point-to-point line (PPP, a modem) has no router either, and is not on-link.
    pub on_link: bool,
}

impl From<LinkAnswer> for Path {
    fn from(link: LinkAnswer) -> Self {
        Self { link, on_link: false }
    }
}

/// One address of each family that nobody has (RFC 5737, RFC 3849).
const SOMEWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];
/// The longest prefix of a route to everywhere: a default route, or one half of it (OpenVPN).
const WHOLE_WORLD: u32 = 1;

/// Whether an address that is reached without a router and not through a tunnel is a neighbour, by the
/// entry of the routing table that leads to it: how many bits of the address it fits, whether whom a packet is
/// handed to is looked up on its interface (ARP, neighbour discovery), and whether the kernel made it for an
/// address of this device.
///
/// A route to the whole world leads to no neighbours, whoever answers for them.
fn is_near(bits: u32, resolves: bool, is_kernels: bool) -> bool {
    is_kernels || resolves && bits > WHOLE_WORLD
}

/// How a packet to `address` would leave this device now.
pub fn link_to(address: IpAddr) -> LinkAnswer {
    path_to(address).link
}

/// How a packet to `address` would leave this device now, and whether it is a neighbour.
pub fn path_to(address: IpAddr) -> Path {
    paths_to(&[address]).pop().unwrap_or(Path::from(LinkAnswer::Unknown))
}

/// How packets to these addresses would leave this device now, in their order.
///
/// A look that fails is [`LinkAnswer::Unknown`]. Only where the system refuses to be asked at all do the
/// kernel's files and a socket's source address stand in, because two sources would tell two different stories.
pub fn paths_to(addresses: &[IpAddr]) -> Vec<Path> {
    let unseen = |error: &io::Error, address| {
        if is_refused(error) { fallback::path_to(address) } else { LinkAnswer::Unknown.into() }
    };
    match system::paths_to(addresses) {
        Ok(paths) => paths
            .into_iter()
            .zip(addresses)
            .map(|(path, address)| path.unwrap_or_else(|error| unseen(&error, *address)))
            .collect(),
        Err(error) => addresses.iter().map(|address| unseen(&error, *address)).collect(),
    }
}

/// Whether the system refuses such sockets altogether, and did not only fail this time.
fn is_refused(error: &io::Error) -> bool {
    use Errno as E;
    matches!(
        E::from_io_error(error),
        Some(
            E::ACCESS
                | E::PERM
                | E::AFNOSUPPORT
                | E::PROTONOSUPPORT
                | E::SOCKTNOSUPPORT
                | E::OPNOTSUPP
                | E::NOSYS
        )
    )
}

/// An anchor, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorPath {
    /// The anchor.
    pub anchor: Anchor,
    /// Whether it is reached without a router and not through a tunnel, and so proves nothing. Loopback
    /// addresses are not counted: only a test takes its own device for the internet.
    pub on_link: bool,
    /// Whether it is reached by another interface or router than most anchors of its family.
    pub own_path: bool,
}

/// How the anchors of one family are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyPaths {
    /// The path that most of them take: the same interface and router, or the same obstacle. One that is
    /// routed wins a tie. It names the router's hardware address where that is known.
    pub link: LinkAnswer,
    /// Each of them.
    pub anchors: Vec<AnchorPath>,
}

impl FamilyPaths {
    /// Looks at the anchors of both families at once, which costs hardly more than one; `None` of a family
    /// without anchors.
    pub fn look(anchors: &PerFamily<Vec<Anchor>>) -> PerFamily<Option<Self>> {
        let all = anchors.iter().flat_map(|(_, anchors)| anchors);
        let addresses: Vec<_> = all.map(|anchor| anchor.address.ip()).collect();
        let mut paths = paths_to(&addresses).into_iter();
        PerFamily::from_fn(|family| {
            let anchors = &anchors[family];
            Self::of(anchors, paths.by_ref().take(anchors.len()).collect())
        })
    }

    fn of(anchors: &[Anchor], paths: Vec<Path>) -> Option<Self> {
        let mut family = Self::judge(anchors, paths)?;
        if let LinkAnswer::Routed(route) = &mut family.link {
            route.gateway_mac = gateway_mac(route);
        }
        Some(family)
    }

    fn judge(anchors: &[Anchor], paths: Vec<Path>) -> Option<Self> {
        let link = common(&paths)?.clone();
        let anchors = anchors
            .iter()
            .zip(paths)
            .map(|(anchor, path)| AnchorPath {
                anchor: *anchor,
                on_link: path.on_link && !anchor.address.ip().to_canonical().is_loopback(),
                own_path: path.link != LinkAnswer::Unknown && way(&path.link) != way(&link),
            })
            .collect();
        Some(Self { link, anchors })
    }
}

/// The link that most paths have in common; those that could not be looked at have no voice while others
/// have.
fn common(paths: &[Path]) -> Option<&LinkAnswer> {
    let votes =
        |link: &LinkAnswer| paths.iter().filter(|path| way(&path.link) == way(link)).count();
    let mut best: Option<(&LinkAnswer, (bool, usize, bool))> = None;
    for Path { link, .. } in paths {
        let weight = (*link != LinkAnswer::Unknown, votes(link), link.route().is_some());
        if best.is_none_or(|(_, heaviest)| weight > heaviest) {
            best = Some((link, weight));
        }
    }
    best.map(|(link, _)| link)
}

/// What two links have in common that are the same way: interface and router, or the obstacle.
fn way(link: &LinkAnswer) -> (&str, Option<(u32, Option<IpAddr>)>) {
    (link.as_str(), link.route().map(|route| (route.index, route.gateway)))
}

/// What is known of the neighbour `gateway` on the interface with number `index`.
pub fn neighbour(gateway: IpAddr, index: u32) -> Neighbour {
    system::neighbour(gateway, index).unwrap_or(Neighbour::Unknown)
}

/// The hardware address of the router of `route`, as far as the kernel knows it: not on a line without one,
/// and not before something was sent to it.
pub fn gateway_mac(route: &Route) -> Option<MacAddress> {
    let gateway = route.gateway?;
    system::mac_of(gateway, route.index).unwrap_or_else(|error| {
        is_refused(&error).then(|| fallback::mac_of(gateway, &route.interface)).flatten()
    })
}

/// Whether `address` is another address of one of these routers: the kernel knows both by the same
/// hardware address. `false` where that is not known. The far end of a tunnel is no router.
pub fn is_router(address: IpAddr, routes: &[&Route]) -> bool {
    routes.iter().filter(|route| !route.tunnel).any(|route| {
        route.gateway.is_some_and(|gateway| {
            gateway.to_canonical() == address.to_canonical()
                || system::same_neighbour(gateway, address, route.index).unwrap_or(false)
        })
    })
}

/// What a tunnel runs over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underlay {
    /// The interface that its packets leave by.
    pub interface: Interface,
    /// The router there; none on a line without one.
    pub router: Option<IpAddr>,
}

/// What is beneath the tunnel that `route` leads into: of the interfaces that are no tunnels, have a
/// carrier and a route to `anchor` of their own, the one that the kernel would prefer if there were
/// no tunnel. `None` when `route` leads into no tunnel, or nothing is beneath it.
///
/// VPNs leave the old route in place and win by a policy rule (WireGuard) or by two halves of the
/// address space (OpenVPN); a look-up that is bound to an interface steps over both, and so does a
/// socket that is bound to it. A tunnel that carries one family over the other has anchors of the other
/// family beneath it.
pub fn underlay(route: &Route, anchor: IpAddr) -> Option<Underlay> {
    if !route.tunnel {
        return None;
    }
    system::underlay(anchor).ok().flatten()
}

#[cfg(test)]
mod tests;
