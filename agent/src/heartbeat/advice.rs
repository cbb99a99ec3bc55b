//! What the user can do about a message that was not delivered.

use super::{
    failure::{FailureKind, HeartbeatFailure},
    outcome::{AnswerRefusal, HeartbeatOutcome},
};

impl HeartbeatOutcome {
    /// A sentence with what the user can do about it; `None` if nothing.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Delivered { .. } => None,
            Self::Refused { status, refusal, .. } => match (refusal, status) {
                (AnswerRefusal::AppStopped, _) => Some(
                    "Start it: in the Azure portal, or with `az functionapp start`. The function key \
                     has nothing to do with it.",
                ),
                (AnswerRefusal::OtherAnswer { .. }, _) => Some(
                    "Check `heartbeat.url`: the other side does not know it, or a login page of this \
                     network answered in its place.",
                ),
                (AnswerRefusal::Status, 300..=399) => Some(
                    "Redirects are not followed: set `heartbeat.url` to the final address, or \
                     sign in if this network has a login page.",
                ),
                (AnswerRefusal::Status, 401 | 403) => Some(
                    "Check the function key, which a service gets only when it starts, or the whole URL if it \
                     is a plain heartbeat. An app that is just starting may answer so too.",
                ),
                (AnswerRefusal::Status, 404 | 405) => Some(
                    "Check the path of `heartbeat.url`. An app that is just starting may answer \
                     so too.",
                ),
                (AnswerRefusal::Status, 407) => Some(PROXY_ADVICE),
                (AnswerRefusal::Status, _) => None,
            },
            Self::Failed(failure) => failure_advice(failure),
        }
    }

    /// The same for a hand-over, which is tried only while heartbeats are delivered, so that the
    /// heartbeat URL is known to be right.
    pub fn hand_over_advice(&self) -> Option<&'static str> {
        match self {
            Self::Refused { refusal: AnswerRefusal::Status, status: 401 | 403, .. } => Some(
                "Check the function key: a key of the app (a host key) opens both addresses, that of one \
                 function only its own.",
            ),
            Self::Refused { refusal: AnswerRefusal::OtherAnswer { .. }, .. }
            | Self::Refused {
                refusal: AnswerRefusal::Status, status: 200..=400 | 404 | 405, ..
            } => Some(
                "Heartbeats arrive, but the address beside theirs, which ends in `outages`, is not \
                     that of ispmon's function, or something on the way answers in its place.",
            ),
            _ => self.advice(),
        }
    }
}

const PROXY_ADVICE: &str = "Check the proxy in the agent's environment (https_proxy, http_proxy or \
                            all_proxy), or take it out of there.";

fn failure_advice(failure: &HeartbeatFailure) -> Option<&'static str> {
    use FailureKind as Kind;

    match failure.kind {
        Kind::ResolveTimeout
        | Kind::NameUnknown
        | Kind::ResolveFailed
        | Kind::ConnectRefused
        | Kind::HostUnreachable
        | Kind::ConnectTimeout
        | Kind::ConnectFailed
        | Kind::ProxyRefused
            if failure.is_proxy_failure =>
        {
            Some(PROXY_ADVICE)
        }
        Kind::ProxyRefused => Some(PROXY_ADVICE),
        Kind::NameUnknown => Some("Check the host name in `heartbeat.url`."),
        Kind::ConnectForbidden => Some(
            "Check the firewall of this device, that of the router, and the sandbox of the agent's \
             service.",
        ),
        Kind::TlsExpired | Kind::TlsNotYetValid => Some("Check the clock of this device."),
        Kind::TlsUntrusted => Some(
            "Either something on this network reads encrypted traffic, or this system's list of \
             trusted roots lacks one.",
        ),
        Kind::TlsWrongName => Some(
            "Check the host name in `heartbeat.url`; a login page of this network may answer in its \
             place.",
        ),
        Kind::TlsCertificate => Some(
            "The server needs another certificate; a login page of this network may answer in its \
             place.",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::tests::{refused, refused_with};

    #[test]
    fn advice_is_given_where_the_user_can_do_something() {
        assert!(refused(302, None).advice().is_some_and(|advice| advice.contains("Redirects")));
        assert!(refused(401, None).advice().is_some_and(|advice| advice.contains("key")));
        assert!(refused(404, None).advice().is_some_and(|advice| advice.contains("path")));
        assert_eq!(refused(503, None).advice(), None);
        let stopped = refused_with(403, AnswerRefusal::AppStopped, None);
        assert!(stopped.advice().is_some_and(|advice| advice.contains("az functionapp start")));
    }
}
