//! The settings of a row that differ from the agent's defaults.

use std::{fmt::Write as _, path::Path, time::Duration};

use crate::play::{
    addresses::{ENDPOINT_NAME, HOME_ENDPOINT_V6, ROUTER_V4, ROUTER_V6},
    router_services,
};

/// The target of heartbeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Heartbeats {
    /// The function.
    #[default]
    Function,
    /// The function, through the proxy of the house.
    ByProxy,
    /// A server in the house, by its global IPv6 address.
    AtHome,
    /// A plain dead-man's switch without TLS.
    PlainHttp,
    /// None: the agent only monitors locally.
    Nowhere,
}

/// The name servers of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Names {
    /// The router, by both families.
    #[default]
    Router,
    /// One on the device itself.
    Own,
}

/// The settings of one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// The target of heartbeats.
    pub(crate) heartbeats: Heartbeats,
    /// Heartbeat interval; 60 s by default.
    pub(crate) heartbeat: Duration,
    /// Heartbeat timeout; 30 s by default.
    pub(crate) timeout: Duration,
    /// Probe interval; 5 s by default.
    pub(crate) probe: Duration,
    /// Grace period after a start; 60 s by default.
    pub(crate) grace: Duration,
    /// The anchors; the agent's defaults if `None`.
    pub(crate) anchors: Option<&'static str>,
    /// A name server for the agent alone.
    pub(crate) resolver: Option<String>,
    /// The log level; `debug` by default, so that every heartbeat is logged.
    pub(crate) log: &'static str,
    /// The name servers of the device.
    pub(crate) names: Names,
    /// Whether the device trusts the authority of the anchors and the endpoint.
    pub(crate) trusts: bool,
    /// Whether the agent may use netlink.
    pub(crate) netlink: bool,
    /// Size of a tmpfs for the state directory; without one it is on the disk.
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
    /// The same settings without a URL for heartbeats.
    pub(crate) fn locally(self) -> Self {
        Self { heartbeats: Heartbeats::Nowhere, ..self }
    }

    /// The configuration file of an agent whose state directory is `state`.
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

    /// The value of `HTTPS_PROXY`.
    pub(super) fn proxy(&self) -> Option<String> {
        let proxied = self.heartbeats == Heartbeats::ByProxy;
        proxied.then(|| format!("http://{}:{}", ROUTER_V4[0], router_services::PROXY))
    }
}
