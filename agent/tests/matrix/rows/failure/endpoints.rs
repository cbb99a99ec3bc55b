//! Failures of the endpoint alone.

use std::time::Duration;

use ispmon_agent::outage::Cause;

use super::{
    FirstSign,
    build::{endpoint, frequent_heartbeats_soon},
};
use crate::play::{
    endpoint::{Certificate, Reply},
    fault::Fault,
    rows::Row,
    settings::Heartbeats,
};

/// All rows, in the order of the table.
pub(super) fn rows() -> Vec<Row> {
    use Fault::{
        Endpoint, EndpointNameGone, EndpointRefuses, EndpointShows, ProxyOnly, WebForbidden,
    };
    vec![
        endpoint(
            "endpoint-refuses",
            "The endpoint refuses connections.",
            EndpointRefuses,
            Cause::Endpoint,
        ),
        endpoint(
            "endpoint-hangs",
            "The endpoint does not answer.",
            Endpoint(Reply::Silence),
            Cause::Endpoint,
        ),
        endpoint(
            "endpoint-gone",
            "The endpoint's name no longer exists.",
            EndpointNameGone,
            Cause::Endpoint,
        ),
        endpoint(
            "endpoint-500",
            "The endpoint answers 500.",
            Endpoint(Reply::Status(500)),
            Cause::Endpoint,
        ),
        endpoint(
            "web-forbidden",
            "The endpoint answers 503 in a network that answers plain HTTP with 403.",
            Endpoint(Reply::Status(503)),
            Cause::Endpoint,
        )
        .with(|failure| failure.habit = Some(WebForbidden)),
        endpoint(
            "proxy-only",
            "The endpoint answers 503, in a network that lets nothing pass but its proxy.",
            Endpoint(Reply::Status(503)),
            Cause::Endpoint,
        )
        .with(|failure| {
            failure.habit = Some(ProxyOnly);
            failure.adjust = |settings| settings.heartbeats = Heartbeats::ByProxy;
        }),
        endpoint(
            "endpoint-401",
            "The endpoint answers 401 for a minute.",
            Endpoint(Reply::Status(401)),
            Cause::Endpoint,
        ),
        endpoint(
            "tls-name",
            "The endpoint shows a certificate of another name.",
            EndpointShows(Certificate::WrongName),
            Cause::Endpoint,
        ),
        endpoint(
            "tls-expired",
            "The endpoint shows an expired certificate.",
            EndpointShows(Certificate::Expired),
            Cause::Endpoint,
        ),
        endpoint(
            "tls-untrusted",
            "The endpoint shows a certificate of an untrusted authority.",
            EndpointShows(Certificate::Untrusted),
            Cause::Endpoint,
        ),
        endpoint(
            "tls-future",
            "The endpoint's certificate is not valid yet, by the device's clock.",
            EndpointShows(Certificate::NotYetValid),
            Cause::Clock,
        )
        .with(|failure| {
            failure.witness = FirstSign::Heartbeat;
            failure.settings = frequent_heartbeats_soon;
        }),
        endpoint(
            "credentials",
            "The endpoint answers 401 for 30 minutes.",
            Endpoint(Reply::Status(401)),
            Cause::Credentials,
        )
        .only_in_full(1_950)
        .with(|failure| failure.lasts = [Duration::from_mins(30); 2]),
    ]
}
