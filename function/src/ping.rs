//! `/api/ping`: writes one line for each heartbeat.

use std::collections::HashSet;

use hyper::{Request, body::Incoming};
use ispmon_wire::{Device, Heartbeat, client_address};

use crate::{
    answer::{self, FunctionResponse},
    body::BodyReader,
    device, line,
    stdout::LineWriter,
};

/// The header in which Azure's front end and every proxy before it record the client's address.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Responds to a heartbeat once its line has been written. `expected` are the monitored devices,
/// `None` when the list is not set.
pub(crate) async fn answer(
    bodies: &BodyReader,
    writer: &LineWriter,
    expected: Option<&HashSet<Device>>,
    request: Request<Incoming>,
) -> FunctionResponse {
    let (head, body) = request.into_parts();
    let heartbeat = match bodies.read(body, Heartbeat::parse).await {
        Err(error) => return answer::bad_body(&error),
        Ok(Err(error)) => return answer::bad_message(&error),
        Ok(Ok(heartbeat)) => heartbeat,
    };
    let device = device::choose(heartbeat.device(), &head.headers);
    let address = client_address::parse(
        // A value that is not text counts as an unusable entry, but keeps its position.
        head.headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or_default()),
    );
    if writer.write([line::heartbeat(&device, address, &heartbeat)]).await.is_err() {
        return answer::not_written();
    }
    answer::heartbeat(address, expected.map(|devices| devices.contains(&device)))
}
