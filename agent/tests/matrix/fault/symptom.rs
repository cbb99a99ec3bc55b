//! What a plain program on the device observes of each fault.

use super::{Check, CheckOutcome, Fault};
use crate::play::tunnel::Carries;

/// Checks, each with the outcomes it may have.
type Symptoms = &'static [(Check, &'static [CheckOutcome])];

impl Fault {
    /// Outcomes that a plain program on the device observes. Every other check succeeds.
    pub(crate) fn symptoms(self) -> Symptoms {
        /// A neighbour that does not answer becomes unreachable once the kernel's neighbour discovery
        /// has failed.
        const NO_WAY: &[CheckOutcome] = &[CheckOutcome::Silence, CheckOutcome::Unreachable];
        use Check::{AnchorV4, AnchorV6, Endpoint, Name, ProofV4, ProofV6, Router, ThirdProof};
        match self {
            Self::CablePulled | Self::RouterDead => {
                &[(AnchorV4, NO_WAY), (AnchorV6, NO_WAY), (Router, NO_WAY)]
            }
            Self::RouterDeaf => &[
                (Router, &[CheckOutcome::Silence]),
                (AnchorV4, &[CheckOutcome::Connected]),
                (AnchorV6, &[CheckOutcome::Connected]),
                (Name, &[CheckOutcome::Truth]),
            ],
            Self::IspSilent => &[
                (AnchorV4, &[CheckOutcome::Silence]),
                (AnchorV6, &[CheckOutcome::Silence]),
                (Endpoint, &[CheckOutcome::Silence]),
                (Name, &[CheckOutcome::Silence]),
                (Router, &[CheckOutcome::Refused]),
            ],
            Self::IspSilentFor("ipv4") => &[
                (AnchorV4, &[CheckOutcome::Silence]),
                (AnchorV6, &[CheckOutcome::Connected]),
                (Router, &[CheckOutcome::Refused]),
            ],
            Self::IspSilentFor(_) => &[
                (AnchorV4, &[CheckOutcome::Connected]),
                (AnchorV6, &[CheckOutcome::Silence]),
                (Router, &[CheckOutcome::Refused]),
            ],
            Self::IspRejects => &[
                (AnchorV4, &[CheckOutcome::Unreachable]),
                (AnchorV6, &[CheckOutcome::Unreachable]),
                (Endpoint, &[CheckOutcome::Unreachable]),
                (Router, &[CheckOutcome::Refused]),
            ],
            Self::RouterResets => &[
                (AnchorV4, &[CheckOutcome::Refused]),
                (AnchorV6, &[CheckOutcome::Refused]),
                (Name, &[CheckOutcome::Silence]),
                (Router, &[CheckOutcome::Refused]),
            ],
            Self::AnchorsBlocked => &[
                (AnchorV4, &[CheckOutcome::Silence]),
                (AnchorV6, &[CheckOutcome::Silence]),
                (Endpoint, &[CheckOutcome::Connected]),
                (Name, &[CheckOutcome::Truth]),
            ],
            Self::TunnelDead(Carries::Ipv6) => &[
                (ProofV4, &[CheckOutcome::Proved]),
                (AnchorV6, &[CheckOutcome::Silence]),
                (Router, &[CheckOutcome::Refused]),
            ],
            Self::TunnelDead(Carries::All) => &[
                (AnchorV4, &[CheckOutcome::Silence]),
                (AnchorV6, &[CheckOutcome::Silence]),
                (Router, &[CheckOutcome::Refused]),
            ],
            Self::SmallPacketsOnly => &[
                (AnchorV4, &[CheckOutcome::Connected]),
                (AnchorV6, &[CheckOutcome::Connected]),
                (ProofV4, &[CheckOutcome::Unproved]),
                (ProofV6, &[CheckOutcome::Unproved]),
                (Name, &[CheckOutcome::Truth]),
            ],
            Self::OneAnchorDead => {
                &[(ProofV4, &[CheckOutcome::Proved]), (ThirdProof, &[CheckOutcome::Silence])]
            }
            // Whether a packet is lost is random; the row checks the forwarder's counters instead.
            Self::Line(_) => &[],
            _ => self.symptoms_of_device(),
        }
    }

    /// Symptoms of faults of the device itself and of its local network.
    fn symptoms_of_device(self) -> Symptoms {
        use Check::{AnchorV4, AnchorV6, Name, Router};
        match self {
            Self::NoAddress | Self::Prohibited | Self::FirewallRejects => &[
                (AnchorV4, &[CheckOutcome::Unreachable]),
                (AnchorV6, &[CheckOutcome::Unreachable]),
                (Router, &[CheckOutcome::Unreachable]),
            ],
            Self::RouterDeadButKnown | Self::FirewallDrops => &[
                (AnchorV4, &[CheckOutcome::Silence]),
                (AnchorV6, &[CheckOutcome::Silence]),
                (Router, &[CheckOutcome::Silence]),
            ],
            Self::KillSwitch => &[
                (AnchorV4, &[CheckOutcome::Silence]),
                (AnchorV6, &[CheckOutcome::Silence]),
                (Router, &[CheckOutcome::Refused]),
                (Name, &[CheckOutcome::Truth]),
            ],
            Self::NoFreePort => &[
                (AnchorV4, &[CheckOutcome::NoPort]),
                (AnchorV6, &[CheckOutcome::NoPort]),
                (Router, &[CheckOutcome::NoPort]),
            ],
            _ => self.symptoms_of_names(),
        }
    }

    /// Symptoms of faults of lookups and of the endpoint.
    fn symptoms_of_names(self) -> Symptoms {
        use Check::{AnchorV4, AnchorV6, Endpoint, Name, ProofV4, ProofV6};
        match self {
            Self::NamesSilent | Self::FirstNameServerSilent => {
                &[(Name, &[CheckOutcome::Silence]), (AnchorV4, &[CheckOutcome::Connected])]
            }
            Self::EndpointNameGone => {
                &[(Name, &[CheckOutcome::Truth]), (AnchorV4, &[CheckOutcome::Connected])]
            }
            Self::NamesLie => {
                &[(Name, &[CheckOutcome::Lie]), (AnchorV4, &[CheckOutcome::Connected])]
            }
            Self::EndpointRefuses => {
                &[(Endpoint, &[CheckOutcome::Refused]), (AnchorV4, &[CheckOutcome::Connected])]
            }
            Self::Endpoint(_) | Self::EndpointShows(_) => &[
                (Endpoint, &[CheckOutcome::Connected]),
                (AnchorV4, &[CheckOutcome::Connected]),
                (AnchorV6, &[CheckOutcome::Connected]),
            ],
            Self::NamesFail => {
                &[(ProofV4, &[CheckOutcome::Proved]), (ProofV6, &[CheckOutcome::Proved])]
            }
            Self::RouterNamesSilent => &[
                (Name, &[CheckOutcome::Silence]),
                (ProofV4, &[CheckOutcome::Proved]),
                (ProofV6, &[CheckOutcome::Proved]),
            ],
            Self::OwnNamesGone => {
                &[(Name, &[CheckOutcome::Truth]), (ProofV4, &[CheckOutcome::Proved])]
            }
            _ => self.symptoms_of_impostors(),
        }
    }

    /// Symptoms of hosts that answer under the addresses of others.
    fn symptoms_of_impostors(self) -> Symptoms {
        use Check::{
            AnchorV4, AnchorV6, Endpoint, Name, ProofV4, ProofV6, Router, ThirdProof, Web,
        };
        match self {
            Self::Portal => &[
                (Web, &[CheckOutcome::Connected]),
                (AnchorV4, &[CheckOutcome::Silence]),
                (AnchorV6, &[CheckOutcome::Silence]),
                (Endpoint, &[CheckOutcome::Silence]),
                (Name, &[CheckOutcome::Truth]),
                (Router, &[CheckOutcome::Refused]),
            ],
            Self::PortalAcceptsAll => &[
                (Web, &[CheckOutcome::Connected]),
                (AnchorV4, &[CheckOutcome::Connected]),
                (AnchorV6, &[CheckOutcome::Connected]),
                (Endpoint, &[CheckOutcome::Connected]),
                (Router, &[CheckOutcome::Refused]),
            ],
            Self::RouterOwnsAnchor => &[
                (AnchorV4, &[CheckOutcome::Connected]),
                (ProofV4, &[CheckOutcome::Unproved]),
                (AnchorV6, &[CheckOutcome::Silence]),
                (Name, &[CheckOutcome::Silence]),
                (Router, &[CheckOutcome::Refused]),
            ],
            Self::RouterSpeaksTls => &[
                (AnchorV4, &[CheckOutcome::Connected]),
                (AnchorV6, &[CheckOutcome::Connected]),
                (ProofV4, &[CheckOutcome::Unproved]),
                (ProofV6, &[CheckOutcome::Unproved]),
                (ThirdProof, &[CheckOutcome::Unproved]),
                (Endpoint, &[CheckOutcome::Silence]),
                (Router, &[CheckOutcome::Refused]),
            ],
            Self::ProxyAccepts => &[
                (AnchorV4, &[CheckOutcome::Connected]),
                (AnchorV6, &[CheckOutcome::Connected]),
                (ProofV4, &[CheckOutcome::Unproved]),
                (ProofV6, &[CheckOutcome::Unproved]),
                (Endpoint, &[CheckOutcome::Connected]),
                (Name, &[CheckOutcome::Truth]),
                (Router, &[CheckOutcome::Refused]),
            ],
            Self::RouterPage => &[
                (AnchorV4, &[CheckOutcome::Silence]),
                (AnchorV6, &[CheckOutcome::Silence]),
                (Web, &[CheckOutcome::Connected]),
                (Name, &[CheckOutcome::Lie]),
                (Router, &[CheckOutcome::Connected]),
            ],
            Self::PortalSaysOk => &[
                (Web, &[CheckOutcome::Connected]),
                (AnchorV4, &[CheckOutcome::Silence]),
                (AnchorV6, &[CheckOutcome::Silence]),
                (Name, &[CheckOutcome::Truth]),
            ],
            Self::WebForbidden => &[
                (Web, &[CheckOutcome::Connected]),
                (ProofV4, &[CheckOutcome::Proved]),
                (ProofV6, &[CheckOutcome::Proved]),
                (Endpoint, &[CheckOutcome::Connected]),
            ],
            Self::ProxyOnly => &[
                (Web, &[CheckOutcome::Connected]),
                (AnchorV4, &[CheckOutcome::Silence]),
                (AnchorV6, &[CheckOutcome::Silence]),
                (Endpoint, &[CheckOutcome::Silence]),
                (Name, &[CheckOutcome::Silence]),
                (Router, &[CheckOutcome::Refused]),
            ],
            _ => unreachable!("{self:?} is listed above"),
        }
    }
}
