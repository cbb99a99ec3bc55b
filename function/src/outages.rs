//! `/api/outages`: each handed-over incident becomes a line.

use hyper::{Request, body::Incoming};
use ispmon_wire::OutageReport;

use crate::{
    answer::{self, FunctionResponse},
    line, ping,
    routes::Handler,
};

/// Answers a report once every line has been written.
///
/// A report that is refused halfway is sent again whole; queries keep the first row of each id.
pub(crate) async fn answer(handler: &Handler, request: Request<Incoming>) -> FunctionResponse {
    let (head, body) = request.into_parts();
    let report = match handler.bodies.read(body, OutageReport::parse).await {
        Err(error) => return answer::bad_body(&error),
        Ok(Err(error)) => return answer::bad_message(&error),
        Ok(Ok(report)) => report,
    };
    let OutageReport { device, mut journal, incidents } = report;
    let device = ping::device(device.as_deref(), &head.headers);
    let count = incidents.len();
    // The journal's head covers the whole report; the first line carries it.
    let lines = incidents
        .into_iter()
        .map(move |incident| line::outage(&device, &incident, journal.take().as_ref()));
    if handler.lines.write(lines).await.is_err() {
        return answer::not_written();
    }
    answer::accepted(count)
}
