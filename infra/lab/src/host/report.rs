//! The request item of an invocation.
//!
//! Source: azure-webjobs-sdk, `ApplicationInsightsLogger`; its format was recorded with Functions
//! host 4.1037. Only invocations are reported: a request that is refused earlier produces no item.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use hyper::{HeaderMap, Method, header};
use jiff::Timestamp;
use uuid::Uuid;

use super::identity::Identity;
use crate::telemetry::item::{Data, RequestItem, Severity, Table, Tags, TelemetryItem};

/// The category of request items.
pub const CATEGORY: &str = "Host.Results";

/// The start of an invocation.
#[derive(Clone, Debug)]
pub struct Invoked {
    /// The id of the invocation.
    pub id: String,
    /// `traceparent` of the host's activity, or the client's own.
    pub trace_parent: String,
    /// The name of the function.
    pub function: String,
    /// The request's method.
    pub method: Method,
    /// The request's path, without its query, which may contain a key.
    pub path: String,
    /// The value of the `Host` header.
    pub host: String,
    /// The client's address.
    pub caller: SocketAddr,
    /// When it began, in story time.
    pub time: Timestamp,
}

impl Invoked {
    /// Creates an invocation of `function` by a request with these headers.
    pub fn new(
        function: &str,
        method: Method,
        path: String,
        headers: &HeaderMap,
        caller: SocketAddr,
        time: Timestamp,
    ) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            id: Uuid::new_v4().to_string(),
            trace_parent: text("traceparent")
                .filter(|given| trace_id(given).is_some())
                .map_or_else(new_trace_parent, ToOwned::to_owned),
            function: function.to_owned(),
            method,
            path,
            host: text(header::HOST.as_str()).unwrap_or_default().to_owned(),
            caller,
            time,
        }
    }
}

/// Creates the item of an invocation that took `took`, of which the handler took `handler`.
///
/// `success` is the function's result, not the HTTP status: a response of 500 from the handler is a
/// success.
pub fn request(
    invoked: &Invoked,
    status: u16,
    success: bool,
    took: Duration,
    handler: Duration,
    host: &Identity,
) -> TelemetryItem {
    let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    TelemetryItem {
        name: Table::AppRequests,
        time: invoked.time,
        tags: Tags {
            operation_id: trace_id(&invoked.trace_parent).map(ToOwned::to_owned),
            operation_name: Some(invoked.function.clone()),
            location: invoked.caller.ip().to_string(),
            ..host.tags()
        },
        data: Data::RequestData(RequestItem {
            ver: 2,
            id: new_span(),
            name: invoked.function.clone(),
            duration: time_span(took),
            success,
            response_code: status.to_string(),
            url: format!("http://{}{}", invoked.host, invoked.path),
            properties: BTreeMap::from([
                property(
                    "TriggerReason",
                    "This function was programmatically called via the host APIs.",
                ),
                property("InvocationId", &invoked.id),
                property("FunctionExecutionTimeMs", &milliseconds(handler)),
                property("ProcessId", &host.process.to_string()),
                property("HostInstanceId", &host.instance),
                property("LogLevel", Severity::Information.name()),
                property(
                    "{OriginalFormat}",
                    "Result '{Name}' (started at={StartTime}, duration={Duration}, succeeded={Succeeded})",
                ),
                property("HttpMethod", invoked.method.as_str()),
                property("HttpPath", &invoked.path),
                property("Category", CATEGORY),
                property("FullName", &format!("Functions.{}", invoked.function)),
            ]),
        }),
    }
}

/// Returns the trace id in a `traceparent`, as defined by W3C Trace Context.
fn trace_id(trace_parent: &str) -> Option<&str> {
    let parts: Vec<&str> = trace_parent.split('-').collect();
    let [version, trace, span, flags] = parts[..] else { return None };
    let lengths = [version.len(), trace.len(), span.len(), flags.len()] == [2, 32, 16, 2];
    let digits = [version, trace, span, flags]
        .concat()
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (lengths && digits).then_some(trace)
}

fn new_trace_parent() -> String {
    format!("00-{}-{}-00", Uuid::new_v4().simple(), new_span())
}

fn new_span() -> String {
    format!("{:016x}", Uuid::new_v4().as_u64_pair().1)
}

/// Formats a duration as .NET does: `hh:mm:ss.fffffff`.
fn time_span(time: Duration) -> String {
    let seconds = time.as_secs();
    let ticks = time.subsec_nanos() / 100;
    format!("{:02}:{:02}:{:02}.{ticks:07}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Formats milliseconds with as many decimal places as needed.
fn milliseconds(time: Duration) -> String {
    ((time.as_nanos() / 100) as f64 / 10_000.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dotnet_does() {
        assert_eq!(time_span(Duration::from_nanos(142_856_500)), "00:00:00.1428565");
        assert_eq!(time_span(Duration::from_secs(3_725)), "01:02:05.0000000");
    }

    #[test]
    fn a_trace_parent_has_the_format_of_the_standard() {
        let own = new_trace_parent();
        assert_eq!(trace_id(&own).map(str::len), Some(32), "{own}");
        let recorded = "00-43b393234a905525e3ff2148d16d06c5-d6e05bffe64e3c18-00";
        assert_eq!(trace_id(recorded), Some("43b393234a905525e3ff2148d16d06c5"));
        for bad in ["", "00-1-2-00", "zz-43b393234a905525e3ff2148d16d06c5-d6e05bffe64e3c18-00"] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }
}
