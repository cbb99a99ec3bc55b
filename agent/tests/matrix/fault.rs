//! The faults, how each is made, and what a plain program on the device observes of it.

mod device;
mod impostors;
mod question;
mod rules;
mod symptom;

use std::io;

use crate::play::{
    addresses::{ADVERTISER_V4, ADVERTISER_V6, v6},
    endpoint::{Certificate, Reply},
    forwarder::Impairment,
    house::House,
    name_server::Behaviour,
    tunnel::Carries,
    world::World,
};
pub(crate) use device::TakenPorts;
pub(crate) use question::{Check, CheckOutcome};

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The cable is unplugged.
    CablePulled,
    /// The device loses its addresses, and with them its routes.
    NoAddress,
    /// The router is dead: it does not even answer ARP for its own address.
    RouterDead,
    /// The router's software is dead, but the neighbour table is still confirmed.
    RouterDeadButKnown,
    /// The router answers no probes, although it forwards. Not a failure by itself.
    RouterDeaf,
    /// The provider drops everything.
    IspSilent,
    /// The provider drops one address family: `ipv4` or `ipv6`.
    IspSilentFor(&'static str),
    /// The provider rejects everything with "administratively prohibited".
    IspRejects,
    /// The router answers TCP connects with a reset from the destination address.
    RouterResets,
    /// The name server does not answer.
    NamesSilent,
    /// The first of the device's two name servers does not answer.
    FirstNameServerSilent,
    /// The name server returns an address for every name.
    NamesLie,
    /// The name of the endpoint no longer exists.
    EndpointNameGone,
    /// A login page answers plain HTTP; the rest is dropped.
    Portal,
    /// A login page accepts every TCP connection.
    PortalAcceptsAll,
    /// Nothing listens on the endpoint's port.
    EndpointRefuses,
    /// The endpoint gives another response to each request.
    Endpoint(Reply),
    /// The endpoint presents another certificate.
    EndpointShows(Certificate),
    /// Something on the path blocks the anchors alone. Not a failure by itself.
    AnchorsBlocked,
    /// The connection loses or delays packets.
    Line(Impairment),
    /// The peer of a tunnel that carries this traffic is gone.
    TunnelDead(Carries),
    /// The provider drops everything above 500 bytes.
    SmallPacketsOnly,
    /// The anchors of one organisation of three are gone. Not a failure by itself.
    OneAnchorDead,
    /// The router answers as `1.1.1.1`, and the provider drops everything.
    RouterOwnsAnchor,
    /// The router answers as all anchors, with TLS certificates of its own, and the provider drops
    /// everything.
    RouterSpeaksTls,
    /// A proxy on the router accepts every TCP connection and lookups are answered, but the internet is
    /// down.
    ProxyAccepts,
    /// The router resolves every name to its own page "WAN down", answers plain HTTP with it, and the
    /// provider drops everything.
    RouterPage,
    /// A login page answers plain HTTP with status 200; the rest is dropped.
    PortalSaysOk,
    /// Every plain HTTP request is answered with 403. Not a failure by itself.
    WebForbidden,
    /// Only the router's proxy reaches the internet. Not a failure by itself.
    ProxyOnly,
    /// The name server fails every lookup.
    NamesFail,
    /// The router no longer answers lookups.
    RouterNamesSilent,
    /// The name server on the device itself has stopped.
    OwnNamesGone,
    /// A policy rule of the device prohibits every destination.
    Prohibited,
    /// The device's own packet filter rejects outgoing packets.
    FirewallRejects,
    /// The device's own packet filter drops outgoing packets.
    FirewallDrops,
    /// The device's own packet filter drops packets to destinations outside its own network.
    KillSwitch,
    /// All ephemeral ports of the device are taken.
    NoFreePort,
}

impl Fault {
    /// Injects the fault.
    pub(crate) fn inject(self, world: &World) -> io::Result<()> {
        let World { house, servers, .. } = world;
        match self {
            Self::CablePulled => house.router.ip("link set lan0 down"),
            Self::NoAddress => {
                house.device.ip("addr flush dev eth0 scope global\nroute del ::/0 dev eth0\n")
            }
            Self::Endpoint(reply) => {
                servers.endpoint.reply_with(reply);
                Ok(())
            }
            Self::EndpointShows(certificate) => {
                servers.endpoint.present(certificate);
                Ok(())
            }
            Self::NamesLie => {
                let advertiser = [ADVERTISER_V4.into(), v6(ADVERTISER_V6).into()];
                servers.names.set_behaviour(Behaviour::Claims(advertiser));
                Ok(())
            }
            Self::NamesFail => {
                servers.names.set_behaviour(Behaviour::Fails);
                Ok(())
            }
            Self::EndpointNameGone => {
                servers.names.set_behaviour(Behaviour::WithoutEndpoint);
                Ok(())
            }
            Self::OwnNamesGone => {
                world.stop_own_names();
                Ok(())
            }
            Self::Prohibited => device::prohibit(house, true),
            Self::NoFreePort => world.take_ports(),
            Self::Line(weather) => {
                world.forwarder().set(weather);
                Ok(())
            }
            _ => self.rules(house).iter().try_for_each(|(namespace, rules)| namespace.nft(rules)),
        }
    }

    /// Repairs the fault.
    pub(crate) fn repair(self, world: &World) -> io::Result<()> {
        let World { house, servers, .. } = world;
        match self {
            Self::CablePulled => house.router.ip("link set lan0 up"),
            Self::NoAddress => house.device.ip(&House::device_addresses(0)),
            Self::Endpoint(_) => {
                servers.endpoint.reply_with(Reply::Genuine);
                Ok(())
            }
            Self::EndpointShows(_) => {
                servers.endpoint.present(Certificate::Valid);
                Ok(())
            }
            Self::NamesLie | Self::NamesFail | Self::EndpointNameGone => {
                servers.names.set_behaviour(Behaviour::Truth);
                Ok(())
            }
            Self::OwnNamesGone => world.serve_own_names(),
            Self::Prohibited => device::prohibit(house, false),
            Self::NoFreePort => world.free_ports(),
            Self::Line(_) => {
                world.forwarder().set(Impairment::default());
                Ok(())
            }
            _ => {
                self.rules(house).iter().try_for_each(|(namespace, _)| namespace.nft(self.delete()))
            }
        }
    }
}
