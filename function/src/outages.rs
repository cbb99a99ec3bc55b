//! `/api/outages`: writes one line for each handed-over incident.

use hyper::{Request, body::Incoming};
use ispmon_wire::OutageReport;

use crate::{
    answer::{self, FunctionResponse},
    body::BodyReader,
    device, line,
    stdout::LineWriter,
};

/// Responds to a report once every line has been written.
///
/// After a failure halfway the agent sends the whole report again; queries keep the first row of
/// each id.
pub(crate) async fn answer(
    bodies: &BodyReader,
    writer: &LineWriter,
    request: Request<Incoming>,
) -> FunctionResponse {
    let (head, body) = request.into_parts();
    let report = match bodies.read(body, OutageReport::parse).await {
        Err(error) => return answer::bad_body(&error),
        Ok(Err(error)) => return answer::bad_message(&error),
        Ok(Ok(report)) => report,
    };
    let OutageReport { device, mut journal, incidents } = report;
    let device = device::choose(device.as_deref(), &head.headers);
    let count = incidents.len();
    // The journal head applies to the whole report; only the first line carries it.
    let lines = incidents
        .into_iter()
        .map(move |incident| line::outage(&device, &incident, journal.take().as_ref()));
    if writer.write(lines).await.is_err() {
        return answer::not_written();
    }
    answer::accepted(count)
}
