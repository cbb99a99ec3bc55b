//! What can break, how it is broken, and what a plain program on the device sees of it.

mod device;
mod impostors;
mod question;
mod rules;
mod symptom;

use std::io;

use crate::play::{
    addresses::{ADVERTISER_V4, ADVERTISER_V6, v6},
    endpoint::{Certificate, Reply},
    forwarder::Weather,
    house::House,
    name_server::Manner,
    tunnel::Carries,
    world::World,
};
pub(crate) use device::TakenPorts;
pub(crate) use question::{Question, Seen};

/// Something that is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Somebody pulled the cable.
    CablePulled,
    /// The device lost its addresses, and with them its routes.
    NoAddress,
    /// The router is dead: it does not even answer for its own address on the wire.
    RouterDead,
    /// The router's software is dead, but the neighbour table goes on being confirmed.
    RouterDeadButKnown,
    /// The router never answers a probe, although it forwards. Not a failure by itself.
    RouterDeaf,
    /// The provider swallows everything.
    IspSilent,
    /// The provider swallows one address family: `ipv4` or `ipv6`.
    IspSilentFor(&'static str),
    /// The provider answers everything with "administratively prohibited".
    IspRejects,
    /// The router answers connects with a reset in the name of whoever was called.
    RouterResets,
    /// The name server does not answer.
    NamesSilent,
    /// The first of the two name servers that the device knows does not answer.
    FirstNameServerSilent,
    /// The name server gives an address for every name.
    NamesLie,
    /// The name of the endpoint does not exist any more.
    EndpointNameGone,
    /// A login page answers plain HTTP; the rest is swallowed.
    Portal,
    /// A login page accepts every connection.
    PortalAcceptsAll,
    /// Nobody listens where heartbeats go.
    EndpointRefuses,
    /// The endpoint does something else with each request.
    Endpoint(Reply),
    /// The endpoint shows another certificate.
    EndpointShows(Certificate),
    /// Somebody on the way keeps the device from the anchors alone. Not a failure by itself.
    AnchorsBlocked,
    /// The line loses or delays packets.
    Line(Weather),
    /// The peer of a tunnel that carries this is gone.
    TunnelDead(Carries),
    /// The provider drops everything above 500 bytes.
    SmallPacketsOnly,
    /// The anchors of one organisation of three are gone. Not a failure by itself.
    OneAnchorDead,
    /// The router answers in the name of `1.1.1.1`, and the provider swallows everything.
    RouterOwnsAnchor,
    /// The router answers in the name of all anchors with TLS of its own, and the provider swallows
    /// everything.
    RouterSpeaksTls,
    /// A proxy on the router accepts every TCP connection and names are answered, but the line is dead.
    ProxyAccepts,
    /// The router leads every name and every web page to its own page "WAN down", and the provider swallows
    /// everything.
    RouterPage,
    /// A login page answers plain HTTP with status 200; the rest is swallowed.
    PortalSaysOk,
    /// Whatever is asked by plain HTTP is answered with 403. Not a failure by itself.
    WebForbidden,
    /// Nothing passes the router but what goes through its proxy. Not a failure by itself.
    ProxyOnly,
    /// The name server fails for every name.
    NamesFail,
    /// The router does not answer look-ups any more.
    RouterNamesSilent,
    /// The name server on the device itself has ended.
    OwnNamesGone,
    /// A policy rule of the device prohibits every destination.
    Prohibited,
    /// The device's own packet filter refuses what it sends.
    FirewallRejects,
    /// The device's own packet filter drops what it sends.
    FirewallDrops,
    /// The device's own packet filter drops what it sends beyond its own network.
    KillSwitch,
    /// All ports of the device for outgoing connections are taken.
    NoFreePort,
}

impl Fault {
    /// Breaks it.
    pub(crate) fn strike(self, world: &World) -> io::Result<()> {
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
                servers.endpoint.show(certificate);
                Ok(())
            }
            Self::NamesLie => {
                let advertiser = [ADVERTISER_V4.into(), v6(ADVERTISER_V6).into()];
                servers.names.behave(Manner::Claims(advertiser));
                Ok(())
            }
            Self::NamesFail => {
                servers.names.behave(Manner::Fails);
                Ok(())
            }
            Self::EndpointNameGone => {
                servers.names.behave(Manner::WithoutEndpoint);
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
            _ => self.rules(house).iter().try_for_each(|(place, rules)| place.nft(rules)),
        }
    }

    /// Repairs it.
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
                servers.endpoint.show(Certificate::Valid);
                Ok(())
            }
            Self::NamesLie | Self::NamesFail | Self::EndpointNameGone => {
                servers.names.behave(Manner::Truth);
                Ok(())
            }
            Self::OwnNamesGone => world.serve_own_names(),
            Self::Prohibited => device::prohibit(house, false),
            Self::NoFreePort => world.free_ports(),
            Self::Line(_) => {
                world.forwarder().set(Weather::default());
                Ok(())
            }
            _ => self.rules(house).iter().try_for_each(|(place, _)| place.nft(self.delete())),
        }
    }
}
