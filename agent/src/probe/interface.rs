//! A network interface, and how a socket is bound to it.

use std::{io, num::NonZeroU32};

use socket2::Socket;

use super::{Family, Route};

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: String,
    /// Its index, unique while it exists.
    pub index: u32,
}

impl Interface {
    /// Makes a socket send and receive through this interface only, regardless of the routes.
    ///
    /// # Errors
    /// The interface is gone, or the system forbids it: Linux allows it to every user since 5.7.
    pub(super) fn bind(&self, socket: &Socket, family: Family) -> io::Result<()> {
        let index = NonZeroU32::new(self.index);
        match family {
            Family::Ipv4 => socket.bind_device_by_index_v4(index),
            Family::Ipv6 => socket.bind_device_by_index_v6(index),
        }
    }
}

impl From<&Route> for Interface {
    fn from(route: &Route) -> Self {
        Self { name: route.interface.clone(), index: route.index }
    }
}
