//! The outcome of one heartbeat, its proof about the connection, and its sentence for users.

use std::{fmt, net::IpAddr, time::Duration};

use jiff::Timestamp;
use reqwest::StatusCode;

use super::{
    failure::{FailureKind, HeartbeatFailure},
    network_path::NetworkPath,
};
use crate::{duration::Readable, printable::shortened};

/// How many characters of an unexpected answer a sentence shows.
const SHOWN_CHARACTERS: usize = 60;

/// The outcome of one heartbeat. Its Display is a sentence for users, without any secret.
#[derive(Clone, Debug, PartialEq)]
pub enum HeartbeatOutcome {
    /// The server answered with a 2xx and the expected body.
    Delivered {
        /// The source address of the heartbeat as the cloud saw it, if the answer contains it.
        client_address: Option<IpAddr>,
        /// Whether an alert rule expects this device, if the answer states it.
        expected: Option<bool>,
        /// The time of the server's clock, in whole seconds, if the answer is proof and its date is
        /// plausible: any host on the path can forge the date of an answer that is no proof.
        date: Option<Timestamp>,
        /// The proof of the answer ([`HeartbeatOutcome::proof`]).
        proof: Option<NetworkPath>,
        /// The time from the start of the lookup to the end of the answer.
        took: Duration,
    },
    /// The server answered, but not as expected: the heartbeat does not count.
    Refused {
        /// The status of the answer.
        status: u16,
        /// The reason.
        refusal: AnswerRefusal,
        /// The answer's `Retry-After`, unbounded.
        retry_after: Option<Duration>,
        /// The proof of the answer ([`HeartbeatOutcome::proof`]).
        proof: Option<NetworkPath>,
        /// The time from the start of the lookup to the end of the answer.
        took: Duration,
    },
    /// No answer came.
    Failed(HeartbeatFailure),
}

/// Why an answer does not count as a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerRefusal {
    /// Its status is not the expected one, such as a 4xx.
    Status,
    /// Azure answered for an app that is stopped.
    AppStopped,
    /// Its status is the expected one, but not its body: a service that does not know this device, or a
    /// login page.
    OtherAnswer {
        /// The expected body, as a phrase.
        expected: String,
        /// The beginning of the body, safe to print; empty if the body is empty.
        answer: String,
    },
}

impl AnswerRefusal {
    /// The refusal of an answer with the body `answer` instead of `expected`.
    pub(super) fn other_answer(expected: impl Into<String>, answer: &str) -> Self {
        let answer = shortened(answer.trim(), SHOWN_CHARACTERS);
        Self::OtherAnswer { expected: expected.into(), answer }
    }
}

/// An outcome without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutcomeKind {
    /// The server accepted the heartbeat.
    Delivered,
    /// The server answered with this status, which is not the expected one.
    Refused(u16),
    /// Azure answered for an app that is stopped, so the key was not checked.
    AppStopped,
    /// The server answered with the expected status, but another body.
    OtherAnswer,
    /// No answer came.
    Failed(FailureKind),
}

impl OutcomeKind {
    /// Whether it failed because the host name could not be looked up.
    pub fn hints_at_dns(self) -> bool {
        use FailureKind::{NameUnknown, ResolveFailed, ResolveTimeout};
        matches!(self, Self::Failed(NameUnknown | ResolveFailed | ResolveTimeout))
    }

    /// Whether it failed because the server's certificate is not valid yet by this device's clock.
    pub fn hints_at_clock(self) -> bool {
        matches!(self, Self::Failed(FailureKind::TlsNotYetValid))
    }

    /// Whether the server refuses this device. An app that is just starting gives the same answers.
    pub fn refuses_device(self) -> bool {
        matches!(self, Self::Refused(401 | 403 | 404))
    }

    /// The name in the journal.
    pub fn journal_name(self) -> String {
        match self {
            Self::Delivered => "delivered".to_owned(),
            Self::Refused(status) => format!("status_{status}"),
            Self::AppStopped => "app_stopped".to_owned(),
            Self::OtherAnswer => "other_answer".to_owned(),
            Self::Failed(kind) => kind.as_str().to_owned(),
        }
    }
}

impl HeartbeatOutcome {
    /// The outcome without its details.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Delivered { .. } => OutcomeKind::Delivered,
            Self::Refused { status, refusal, .. } => match refusal {
                AnswerRefusal::Status => OutcomeKind::Refused(*status),
                AnswerRefusal::AppStopped => OutcomeKind::AppStopped,
                AnswerRefusal::OtherAnswer { .. } => OutcomeKind::OtherAnswer,
            },
            Self::Failed(failure) => OutcomeKind::Failed(failure.kind),
        }
    }

    /// Whether the server accepted it.
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Delivered { .. })
    }

    /// The path that it proves to work. `None` unless the server proved its identity by a verified
    /// certificate, whatever it then answered. A certificate whose only fault is that it is not valid yet
    /// by this device's clock is proof too, although such a heartbeat fails.
    pub fn proof(&self) -> Option<NetworkPath> {
        match self {
            Self::Delivered { proof, .. } | Self::Refused { proof, .. } => *proof,
            Self::Failed(failure) => failure.proof,
        }
    }

    /// Why the message was not delivered, as the end of a sentence.
    pub fn reason(&self) -> impl fmt::Display {
        Reason(self)
    }
}

impl fmt::Display for HeartbeatOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered { client_address: Some(address), took, .. } => write!(
                formatter,
                "Heartbeat delivered in {}; the cloud saw it come from {address}.",
                Readable(*took)
            ),
            Self::Delivered { took, .. } => {
                write!(formatter, "Heartbeat delivered in {}.", Readable(*took))
            }
            Self::Refused { .. } => write!(formatter, "Heartbeat refused: {}.", self.reason()),
            Self::Failed(failure) => failure.fmt(formatter),
        }
    }
}

/// Why a message was not delivered.
struct Reason<'a>(&'a HeartbeatOutcome);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            HeartbeatOutcome::Delivered { .. } => formatter.write_str("it was delivered"),
            HeartbeatOutcome::Refused { status, refusal, retry_after, .. } => {
                write!(formatter, "the answer was {}", HttpStatus(*status))?;
                match refusal {
                    AnswerRefusal::Status => {}
                    AnswerRefusal::AppStopped => {
                        formatter.write_str(", because the app is stopped")?;
                    }
                    AnswerRefusal::OtherAnswer { expected, answer } if answer.is_empty() => {
                        write!(formatter, ", but empty in place of {expected}")?;
                    }
                    AnswerRefusal::OtherAnswer { expected, answer } => {
                        write!(formatter, ", but \"{answer}\" in place of {expected}")?;
                    }
                }
                match retry_after {
                    Some(wait) => write!(formatter, ", and asks to wait {}", Readable(*wait)),
                    None => Ok(()),
                }
            }
            HeartbeatOutcome::Failed(failure) => formatter.write_str(failure.reason()),
        }
    }
}

/// A status with its standard name, such as `401 Unauthorized`.
struct HttpStatus(u16);

impl fmt::Display for HttpStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let status = StatusCode::from_u16(self.0).ok();
        match status.and_then(|status| status.canonical_reason()) {
            Some(reason) => write!(formatter, " {reason}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::tests::{refused, refused_with};

    #[test]
    fn each_outcome_is_a_sentence() {
        let delivered = HeartbeatOutcome::Delivered {
            client_address: Some("203.0.113.7".parse().expect("an address")),
            expected: None,
            date: None,
            proof: Some(NetworkPath::Unknown),
            took: Duration::from_millis(132),
        };
        insta::assert_snapshot!(delivered, @"Heartbeat delivered in 132 ms; the cloud saw it come from 203.0.113.7.");
        insta::assert_snapshot!(refused(401, None), @"Heartbeat refused: the answer was 401 Unauthorized.");
        insta::assert_snapshot!(refused(599, None), @"Heartbeat refused: the answer was 599.");
        insta::assert_snapshot!(
            refused(429, Some(Duration::from_secs(90))),
            @"Heartbeat refused: the answer was 429 Too Many Requests, and asks to wait 1 min 30 s."
        );
        insta::assert_snapshot!(
            refused_with(403, AnswerRefusal::AppStopped, None),
            @"Heartbeat refused: the answer was 403 Forbidden, because the app is stopped."
        );
        for (answer, sentence) in [
            (
                "OK (not found)",
                "Heartbeat refused: the answer was 200 OK, but \"OK (not found)\" in place of \"OK\".",
            ),
            ("", "Heartbeat refused: the answer was 200 OK, but empty in place of \"OK\"."),
            (
                "\u{1b}[2J<html>\n<title>Please log in to the wireless network of this hotel, then go on",
                "Heartbeat refused: the answer was 200 OK, but \"[2J<html><title>Please log in to the \
                 wireless network of thi…\" in place of \"OK\".",
            ),
        ] {
            let outcome = refused_with(200, AnswerRefusal::other_answer("\"OK\"", answer), None);
            assert_eq!(outcome.to_string(), sentence);
        }
    }

    #[test]
    fn only_a_refusal_by_its_status_refuses_the_device() {
        let refused = |status, refusal| refused_with(status, refusal, None).kind();
        let other =
            AnswerRefusal::OtherAnswer { expected: "\"ok\"".to_owned(), answer: String::new() };
        for (outcome, word, refuses_device) in [
            (refused(403, AnswerRefusal::Status), "status_403", true),
            (refused(503, AnswerRefusal::Status), "status_503", false),
            (refused(403, AnswerRefusal::AppStopped), "app_stopped", false),
            (refused(200, other), "other_answer", false),
        ] {
            assert_eq!(
                (outcome.journal_name().as_str(), outcome.refuses_device()),
                (word, refuses_device)
            );
        }
    }
}
