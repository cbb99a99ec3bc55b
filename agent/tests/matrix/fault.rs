//! What can break, how it is broken, and what a plain program on the device sees of it.

mod rules;
mod symptom;

use std::io;

use crate::play::{
    endpoint::{Certificate, Reply},
    forwarder::Weather,
    house::House,
    world::World,
};
pub(crate) use symptom::{Question, Seen};

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
    /// The tunnel's peer is gone.
    TunnelDead,
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
                servers.names.lie(true);
                Ok(())
            }
            Self::EndpointNameGone => {
                servers.names.forget(true);
                Ok(())
            }
            Self::Line(weather) => {
                world.forwarder().set(weather);
                Ok(())
            }
            _ => {
                let (place, rules) = self.rules(house);
                place.nft(&rules)
            }
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
            Self::NamesLie => {
                servers.names.lie(false);
                Ok(())
            }
            Self::EndpointNameGone => {
                servers.names.forget(false);
                Ok(())
            }
            Self::Line(_) => {
                world.forwarder().set(Weather::default());
                Ok(())
            }
            _ => self.rules(house).0.nft(&self.delete()),
        }
    }
}
