//! What a plain program on the device observes of each fault.

use super::{Fault, Question, Seen};
use crate::play::tunnel::Carries;

/// Checks, each with the outcomes it may have.
type Symptoms = &'static [(Question, &'static [Seen])];

impl Fault {
    /// Outcomes that a plain program on the device observes. Every other check succeeds.
    pub(crate) fn symptoms(self) -> Symptoms {
        /// A neighbour that does not answer becomes unreachable once the kernel's neighbour discovery
        /// has failed.
        const NO_WAY: &[Seen] = &[Seen::Silence, Seen::Unreachable];
        use Question::{AnchorV4, AnchorV6, Endpoint, Name, ProofV4, ProofV6, Router, ThirdProof};
        match self {
            Self::CablePulled | Self::RouterDead => {
                &[(AnchorV4, NO_WAY), (AnchorV6, NO_WAY), (Router, NO_WAY)]
            }
            Self::RouterDeaf => &[
                (Router, &[Seen::Silence]),
                (AnchorV4, &[Seen::Connected]),
                (AnchorV6, &[Seen::Connected]),
                (Name, &[Seen::Truth]),
            ],
            Self::IspSilent => &[
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Endpoint, &[Seen::Silence]),
                (Name, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
            ],
            Self::IspSilentFor("ipv4") => &[
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Connected]),
                (Router, &[Seen::Refused]),
            ],
            Self::IspSilentFor(_) => &[
                (AnchorV4, &[Seen::Connected]),
                (AnchorV6, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
            ],
            Self::IspRejects => &[
                (AnchorV4, &[Seen::Unreachable]),
                (AnchorV6, &[Seen::Unreachable]),
                (Endpoint, &[Seen::Unreachable]),
                (Router, &[Seen::Refused]),
            ],
            Self::RouterResets => &[
                (AnchorV4, &[Seen::Refused]),
                (AnchorV6, &[Seen::Refused]),
                (Name, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
            ],
            Self::AnchorsBlocked => &[
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Endpoint, &[Seen::Connected]),
                (Name, &[Seen::Truth]),
            ],
            Self::TunnelDead(Carries::Ipv6) => &[
                (ProofV4, &[Seen::Proved]),
                (AnchorV6, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
            ],
            Self::TunnelDead(Carries::All) => &[
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
            ],
            Self::SmallPacketsOnly => &[
                (AnchorV4, &[Seen::Connected]),
                (AnchorV6, &[Seen::Connected]),
                (ProofV4, &[Seen::Unproved]),
                (ProofV6, &[Seen::Unproved]),
                (Name, &[Seen::Truth]),
            ],
            Self::OneAnchorDead => &[(ProofV4, &[Seen::Proved]), (ThirdProof, &[Seen::Silence])],
            // Whether a packet is lost is random; the row checks the forwarder's counters instead.
            Self::Line(_) => &[],
            _ => self.symptoms_of_device(),
        }
    }

    /// Symptoms of faults of the device itself and of its local network.
    fn symptoms_of_device(self) -> Symptoms {
        use Question::{AnchorV4, AnchorV6, Name, Router};
        match self {
            Self::NoAddress | Self::Prohibited | Self::FirewallRejects => &[
                (AnchorV4, &[Seen::Unreachable]),
                (AnchorV6, &[Seen::Unreachable]),
                (Router, &[Seen::Unreachable]),
            ],
            Self::RouterDeadButKnown | Self::FirewallDrops => &[
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Router, &[Seen::Silence]),
            ],
            Self::KillSwitch => &[
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
                (Name, &[Seen::Truth]),
            ],
            Self::NoFreePort => &[
                (AnchorV4, &[Seen::NoPort]),
                (AnchorV6, &[Seen::NoPort]),
                (Router, &[Seen::NoPort]),
            ],
            _ => self.symptoms_of_names(),
        }
    }

    /// Symptoms of faults of lookups and of the endpoint.
    fn symptoms_of_names(self) -> Symptoms {
        use Question::{AnchorV4, AnchorV6, Endpoint, Name, ProofV4, ProofV6};
        match self {
            Self::NamesSilent | Self::FirstNameServerSilent => {
                &[(Name, &[Seen::Silence]), (AnchorV4, &[Seen::Connected])]
            }
            Self::EndpointNameGone => &[(Name, &[Seen::Truth]), (AnchorV4, &[Seen::Connected])],
            Self::NamesLie => &[(Name, &[Seen::Lie]), (AnchorV4, &[Seen::Connected])],
            Self::EndpointRefuses => {
                &[(Endpoint, &[Seen::Refused]), (AnchorV4, &[Seen::Connected])]
            }
            Self::Endpoint(_) | Self::EndpointShows(_) => &[
                (Endpoint, &[Seen::Connected]),
                (AnchorV4, &[Seen::Connected]),
                (AnchorV6, &[Seen::Connected]),
            ],
            Self::NamesFail => &[(ProofV4, &[Seen::Proved]), (ProofV6, &[Seen::Proved])],
            Self::RouterNamesSilent => {
                &[(Name, &[Seen::Silence]), (ProofV4, &[Seen::Proved]), (ProofV6, &[Seen::Proved])]
            }
            Self::OwnNamesGone => &[(Name, &[Seen::Truth]), (ProofV4, &[Seen::Proved])],
            _ => self.symptoms_of_impostors(),
        }
    }

    /// Symptoms of hosts that answer under the addresses of others.
    fn symptoms_of_impostors(self) -> Symptoms {
        use Question::{
            AnchorV4, AnchorV6, Endpoint, Name, ProofV4, ProofV6, Router, ThirdProof, Web,
        };
        match self {
            Self::Portal => &[
                (Web, &[Seen::Connected]),
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Endpoint, &[Seen::Silence]),
                (Name, &[Seen::Truth]),
                (Router, &[Seen::Refused]),
            ],
            Self::PortalAcceptsAll => &[
                (Web, &[Seen::Connected]),
                (AnchorV4, &[Seen::Connected]),
                (AnchorV6, &[Seen::Connected]),
                (Endpoint, &[Seen::Connected]),
                (Router, &[Seen::Refused]),
            ],
            Self::RouterOwnsAnchor => &[
                (AnchorV4, &[Seen::Connected]),
                (ProofV4, &[Seen::Unproved]),
                (AnchorV6, &[Seen::Silence]),
                (Name, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
            ],
            Self::RouterSpeaksTls => &[
                (AnchorV4, &[Seen::Connected]),
                (AnchorV6, &[Seen::Connected]),
                (ProofV4, &[Seen::Unproved]),
                (ProofV6, &[Seen::Unproved]),
                (ThirdProof, &[Seen::Unproved]),
                (Endpoint, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
            ],
            Self::ProxyAccepts => &[
                (AnchorV4, &[Seen::Connected]),
                (AnchorV6, &[Seen::Connected]),
                (ProofV4, &[Seen::Unproved]),
                (ProofV6, &[Seen::Unproved]),
                (Endpoint, &[Seen::Connected]),
                (Name, &[Seen::Truth]),
                (Router, &[Seen::Refused]),
            ],
            Self::RouterPage => &[
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Web, &[Seen::Connected]),
                (Name, &[Seen::Lie]),
                (Router, &[Seen::Connected]),
            ],
            Self::PortalSaysOk => &[
                (Web, &[Seen::Connected]),
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Name, &[Seen::Truth]),
            ],
            Self::WebForbidden => &[
                (Web, &[Seen::Connected]),
                (ProofV4, &[Seen::Proved]),
                (ProofV6, &[Seen::Proved]),
                (Endpoint, &[Seen::Connected]),
            ],
            Self::ProxyOnly => &[
                (Web, &[Seen::Connected]),
                (AnchorV4, &[Seen::Silence]),
                (AnchorV6, &[Seen::Silence]),
                (Endpoint, &[Seen::Silence]),
                (Name, &[Seen::Silence]),
                (Router, &[Seen::Refused]),
            ],
            _ => unreachable!("{self:?} is listed above"),
        }
    }
}
