//! What the kernel would do with a packet to one destination, and when that may have changed.
//!
//! Every question is put to the kernel afresh and answered at once from its tables: it costs some
//! ten to a hundred microseconds, sends nothing and waits for nobody. "The default route" is never
//! asked for, because with a VPN, containers or two uplinks it is not what an anchor is reached by.
//!
//! - Linux: netlink, for questions and for changes.
//! - macOS: the routing socket, for both. It does not tell why there is no route: a pulled cable, a
//!   missing address and a missing route are all [`Link::NoRoute`] there, and neighbours are
//!   [`Neighbour::Unknown`].
//! - Where the system refuses both (a sandbox without `AF_NETLINK`), the source address that a
//!   socket would get stands in: it tells whether there is a route, without interface and router,
//!   and is looked at every few seconds.
//!
//! # What is a tunnel
//! An interface counts as a tunnel by its *kind*: TUN and TAP, WireGuard, IP in IP, GRE, SIT, VTI,
//! XFRM; on macOS by its name (`utun`, `ipsec`, `gif`, `stf`). PPP is a line and not a tunnel: it
//! mostly is one (PPPoE, modems), VPNs over PPP (PPTP, L2TP, SSTP) have become rare, and mistaking
//! a provider's dead line for the user's VPN would blame the wrong one. What hangs on a mobile modem
//! has no kind, and is a line.

#[cfg(any(target_os = "linux", test))]
mod judge;
#[cfg(target_os = "linux")]
mod netlink;
mod poll;
#[cfg(any(target_os = "macos", test))]
mod route_socket;

use std::{net::IpAddr, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{Interface, Link, Route};
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
    source: Source,
    /// When the burst that is being waited for is taken to be over.
    burst_ends: Option<Instant>,
}

#[derive(Debug)]
enum Source {
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
            Ok(events) => Source::Events(events),
            Err(_) => Source::Poll(poll::Poll::new()),
        };
        Self { source, burst_ends: None }
    }

    /// Whether the system tells of changes by itself, so that a pulled cable is known at once.
    pub fn is_told(&self) -> bool {
        matches!(self.source, Source::Events(_))
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
                if let Source::Events(events) = &mut self.source {
                    events.drain();
                }
                self.burst_ends = None;
                return;
            }
            match &mut self.source {
                Source::Poll(poll) => poll.changed().await,
                Source::Events(events) => {
                    if events.next().await.is_err() {
                        self.source = Source::Poll(poll::Poll::new());
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

/// How a packet to `anchor` would leave this device now.
pub fn link_to(anchor: IpAddr) -> Link {
    system::link_to(anchor).unwrap_or_else(|_| poll::link_to(anchor))
}

/// What is known of the neighbour `gateway` on the interface with number `index`.
pub fn neighbour(gateway: IpAddr, index: u32) -> Neighbour {
    system::neighbour(gateway, index).unwrap_or(Neighbour::Unknown)
}

/// The interface beneath the tunnel that `route` leads into: of those that are no tunnels, have a
/// carrier and a route to `anchor` of their own, the one that the kernel would prefer if there were
/// no tunnel. `None` when `route` leads into no tunnel, or nothing is beneath it.
///
/// VPNs leave the old route in place and win by a policy rule (WireGuard) or by two halves of the
/// address space (OpenVPN); a look-up that is bound to an interface steps over both, and so does a
/// socket that is bound to it.
pub fn beneath(route: &Route, anchor: IpAddr) -> Option<Interface> {
    if !route.tunnel {
        return None;
    }
    system::beneath(anchor).ok().flatten()
}
