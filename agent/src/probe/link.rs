//! How the kernel would route a packet to one destination, and when that may have changed.
//!
//! Every lookup reads the kernel's tables afresh: it takes some ten to a hundred microseconds, sends nothing
//! and does not block. "The default route" is never looked up, because with a VPN, containers or two uplinks
//! the anchors are reached by another one.
//!
//! - Linux: netlink, for lookups and for change events, including those of policy rules.
//! - macOS: the routing socket, for both. It does not report why there is no route: a pulled cable, a
//!   missing address and a missing route are all [`LinkAnswer::NoRoute`] there, and neighbours are
//!   [`Neighbour::Unknown`].
//! - Where the system refuses both (a sandbox without `AF_NETLINK`), the kernel's files under
//!   `/proc/net` and `/sys/class/net` give interface and router, without policy rules; they are read
//!   every few seconds. Where those are missing too, the source address that a socket would get
//!   shows at least whether there is a route.
//!
//! # What counts as a tunnel
//! An interface counts as a tunnel by its *kind*: TUN and TAP, WireGuard, IP in IP, GRE, SIT, VTI,
//! XFRM; on macOS by its name (`utun`, `ipsec`, `gif`, `stf`). PPP counts as an uplink, not as a tunnel: it
//! mostly is one (PPPoE, modems), VPNs over PPP (PPTP, L2TP, SSTP) have become rare, and mistaking an outage
//! of the provider for one of the user's VPN would blame the wrong party. The interface of a mobile modem
//! has no kind and is an uplink.

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
mod source;

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

/// How long after the first change event further ones are merged with it: a plugged cable causes a dozen
/// messages within milliseconds.
const BURST: Duration = Duration::from_millis(100);

/// Reports when links, addresses or routes may have changed.
#[derive(Debug)]
pub struct LinkMonitor {
    source: LinkEvents,
    /// When the current burst of events ends.
    burst_ends: Option<Instant>,
}

#[derive(Debug)]
enum LinkEvents {
    Events(system::Events),
    Poll(poll::Poll),
}

impl LinkMonitor {
    /// Begins to monitor; by polling every few seconds where the system sends no change events.
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

    /// Whether the system sends change events, so that a pulled cable is detected at once.
    pub fn has_events(&self) -> bool {
        matches!(self.source, LinkEvents::Events(_))
    }

    /// Waits until something may have changed, and then 100 ms for the rest of the burst.
    ///
    /// It is cancel-safe. It returns also when nothing relevant has changed, for instance when a router repeats
    /// its announcement, and when the system dropped events because the buffer was full (`ENOBUFS`).
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

impl Default for LinkMonitor {
    fn default() -> Self {
        Self::new()
    }
}

/// State of a router in the kernel's neighbour table (ARP, IPv6 neighbour discovery).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Neighbour {
    /// It answers, or has answered and is not being verified.
    Known,
    /// The kernel is resolving or verifying its address.
    Resolving,
    /// It does not answer any more (`FAILED`).
    Failed,
    /// There is no entry, or it cannot be read.
    Unknown,
}

/// How packets to one address would leave this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The route, or the reason why there is none.
    pub link: LinkAnswer,
    /// The kernel would resolve the address itself on the local segment, without a router and not through
    /// a tunnel. A point-to-point link (PPP, a modem) has no router either, and is not on-link.
    pub on_link: bool,
}

impl From<LinkAnswer> for Path {
    fn from(link: LinkAnswer) -> Self {
        Self { link, on_link: false }
    }
}

/// One address of each family that no host has (RFC 5737, RFC 3849), so that the default route leads to it.
const UNUSED_ADDRESSES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];
/// The longest prefix of a default route: all of the address space, or one half of it (OpenVPN).
const LONGEST_DEFAULT_PREFIX: u32 = 1;

/// Whether an address that is reached without a router and not through a tunnel is a neighbour, by its entry
/// in the routing table: `bits` is the prefix length; `resolves`, whether the next hop is resolved on the
/// interface (ARP, neighbour discovery); `is_kernels`, whether the kernel made the entry for an address of
/// this device.
///
/// A default route leads to no neighbours, even if a host answers ARP for every address.
fn is_near(bits: u32, resolves: bool, is_kernels: bool) -> bool {
    is_kernels || resolves && bits > LONGEST_DEFAULT_PREFIX
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
/// A failed lookup is [`LinkAnswer::Unknown`]. The kernel's files and a socket's source address are used only
/// if the system refuses lookups altogether, because the two sources could contradict each other.
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

/// Whether the system refuses such sockets altogether, as opposed to a failure of this call.
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
    /// addresses are exempt: only a test uses its own device as the internet.
    pub on_link: bool,
    /// Whether it is reached by another interface or router than most anchors of its family.
    pub own_path: bool,
}

/// How the anchors of one family are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyPaths {
    /// The path that most of them take: the same interface and router, or the same obstacle. A route wins
    /// a tie. It includes the router's hardware address if that is known.
    pub link: LinkAnswer,
    /// The path of each anchor.
    pub anchors: Vec<AnchorPath>,
}

impl FamilyPaths {
    /// Reads the paths to the anchors of both families at once, which costs hardly more than one; `None` for a
    /// family without anchors.
    pub fn read(anchors: &PerFamily<Vec<Anchor>>) -> PerFamily<Option<Self>> {
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
                own_path: path.link != LinkAnswer::Unknown
                    && path_key(&path.link) != path_key(&link),
            })
            .collect();
        Some(Self { link, anchors })
    }
}

/// The link that most paths have in common; paths that could not be read count only if no other could be.
fn common(paths: &[Path]) -> Option<&LinkAnswer> {
    let votes = |link: &LinkAnswer| {
        paths.iter().filter(|path| path_key(&path.link) == path_key(link)).count()
    };
    let mut best: Option<(&LinkAnswer, (bool, usize, bool))> = None;
    for Path { link, .. } in paths {
        let weight = (*link != LinkAnswer::Unknown, votes(link), link.route().is_some());
        if best.is_none_or(|(_, heaviest)| weight > heaviest) {
            best = Some((link, weight));
        }
    }
    best.map(|(link, _)| link)
}

/// The part in which equal paths agree: interface and router, or the obstacle.
fn path_key(link: &LinkAnswer) -> (&str, Option<(u32, Option<IpAddr>)>) {
    (link.as_str(), link.route().map(|route| (route.index, route.gateway)))
}

/// State of the neighbour `gateway` on the interface with this index.
pub fn neighbour(gateway: IpAddr, index: u32) -> Neighbour {
    system::neighbour(gateway, index).unwrap_or(Neighbour::Unknown)
}

/// The hardware address of the router of `route`, if the kernel has resolved it: not on a link without a
/// router, and not before something was sent to it.
pub fn gateway_mac(route: &Route) -> Option<MacAddress> {
    let gateway = route.gateway?;
    system::mac_of(gateway, route.index).unwrap_or_else(|error| {
        is_refused(&error).then(|| fallback::mac_of(gateway, &route.interface)).flatten()
    })
}

/// Whether `address` is another address of one of these routers: the kernel has the same hardware address
/// for both. `false` if either is not known. The far end of a tunnel is no router.
pub fn is_router(address: IpAddr, routes: &[&Route]) -> bool {
    routes.iter().filter(|route| !route.tunnel).any(|route| {
        route.gateway.is_some_and(|gateway| {
            gateway.to_canonical() == address.to_canonical()
                || system::same_neighbour(gateway, address, route.index).unwrap_or(false)
        })
    })
}

/// The network path that a tunnel runs over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underlay {
    /// The interface that the tunnel's packets leave by.
    pub interface: Interface,
    /// The router there; `None` on a link without one.
    pub router: Option<IpAddr>,
}

/// The underlay of the tunnel that `route` leads into: of the interfaces that are no tunnels, have a
/// carrier and have their own route to `anchor`, the one that the kernel would prefer if there were
/// no tunnel. `None` if `route` leads into no tunnel, or nothing is beneath it.
///
/// VPNs leave the old route in place and override it by a policy rule (WireGuard) or by two halves of the
/// address space (OpenVPN); a lookup that is bound to an interface bypasses both, and so does a
/// socket that is bound to it. Beneath a tunnel that carries one family over the other, only anchors of the
/// other family can be reached.
pub fn underlay(route: &Route, anchor: IpAddr) -> Option<Underlay> {
    if !route.tunnel {
        return None;
    }
    system::underlay(anchor).ok().flatten()
}

#[cfg(test)]
mod tests;
