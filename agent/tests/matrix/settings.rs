//! What differs from the agent's defaults.

use std::{fmt::Write as _, path::Path, time::Duration};

use crate::play::{
    addresses::{ENDPOINT_NAME, HOME_ENDPOINT_V6, ROUTER_V4, ROUTER_V6},
    router_services,
};

/// Where heartbeats go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Heartbeats {
    /// To the function.
    #[default]
    Function,
    /// To the function by the proxy of the house.
    ByProxy,
    /// To a server in the house, by its global IPv6 address.
    AtHome,
    /// To a plain dead-man's switch without TLS.
    PlainHttp,
    /// Nowhere: the agent monitors locally.
    Nowhere,
}

/// Which name servers the device has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Names {
    /// The router's, by both families.
    #[default]
    Router,
    /// One of its own.
    Own,
}

/// What differs from the agent's defaults.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Where heartbeats go.
    pub(crate) heartbeats: Heartbeats,
    /// The time between two heartbeats; 60 s by default.
    pub(crate) heartbeat: Duration,
    /// How long one may take; 30 s by default.
    pub(crate) timeout: Duration,
    /// The time between two probes; 5 s by default.
    pub(crate) probe: Duration,
    /// How long after a start the line may take to come up; 60 s by default.
    pub(crate) grace: Duration,
    /// The anchors; the agent's own by default.
    pub(crate) anchors: Option<&'static str>,
    /// A name server of the agent's own choice.
    pub(crate) resolver: Option<String>,
    /// The least severe level that is logged; `debug` here, so that the log tells of every heartbeat.
    pub(crate) log: &'static str,
    /// The name servers of the device.
    pub(crate) names: Names,
    /// Whether the device knows the authority of the anchors and the endpoint.
    pub(crate) trusts: bool,
    /// Whether the system lets the agent use netlink.
    pub(crate) netlink: bool,
    /// The size of a file system for the record alone; without one it is on the disk.
    pub(crate) disk: Option<&'static str>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeats: Heartbeats::default(),
            heartbeat: Duration::from_mins(1),
            timeout: Duration::from_secs(30),
            probe: Duration::from_secs(5),
            grace: Duration::from_mins(1),
            anchors: None,
            resolver: None,
            log: "debug",
            names: Names::default(),
            trusts: true,
            netlink: true,
            disk: None,
        }
    }
}

impl Settings {
    /// The same without a URL for heartbeats.
    pub(crate) fn locally(self) -> Self {
        Self { heartbeats: Heartbeats::Nowhere, ..self }
    }

    /// The configuration file of an agent whose record is in `state`.
    pub(super) fn toml(&self, state: &Path) -> String {
        let Self { heartbeat, timeout, probe, grace, log, .. } = self;
        let target = match self.heartbeats {
            Heartbeats::Function | Heartbeats::ByProxy => {
                format!("url = \"https://{ENDPOINT_NAME}/api/ping\"\nkey_file = \"./key\"\n")
            }
            Heartbeats::AtHome => {
                format!("url = \"https://[{HOME_ENDPOINT_V6}]/api/ping\"\nkey_file = \"./key\"\n")
            }
            Heartbeats::PlainHttp => {
                format!("kind = \"plain\"\nurl = \"http://{ENDPOINT_NAME}/matrix\"\n")
            }
            Heartbeats::Nowhere => String::new(),
        };
        let mut text = format!(
            "device = \"matrix\"\n\
             state_dir = \"{}\"\n\
             [log]\n\
             level = \"{log}\"\n\
             [heartbeat]\n\
             {target}\
             interval = \"{}ms\"\n\
             timeout = \"{}ms\"\n\
             [probe]\n\
             interval = \"{}ms\"\n\
             grace = \"{}ms\"\n",
            state.display(),
            heartbeat.as_millis(),
            timeout.as_millis(),
            probe.as_millis(),
            grace.as_millis(),
        );
        if let Some(anchors) = self.anchors {
            let _ = writeln!(text, "anchors = \"{anchors}\"");
        }
        if let Some(resolver) = &self.resolver {
            let _ = writeln!(text, "resolver = \"{resolver}\"");
        }
        text
    }

    /// The device's `/etc/resolv.conf`.
    pub(super) fn resolv_conf(&self) -> String {
        match self.names {
            Names::Router => {
                format!("nameserver {}\nnameserver {}\n", ROUTER_V4[0], ROUTER_V6[0])
            }
            Names::Own => "nameserver 127.0.0.1\n".to_owned(),
        }
    }

    /// The proxy that the environment names.
    pub(super) fn proxy(&self) -> Option<String> {
        let proxied = self.heartbeats == Heartbeats::ByProxy;
        proxied.then(|| format!("http://{}:{}", ROUTER_V4[0], router_services::PROXY))
    }
}
