//! `/api/ping`: writes one line for each heartbeat.

use hyper::{HeaderMap, Request, body::Incoming};
use ispmon_wire::{DEVICE_HEADER, Device, Heartbeat, client_address};

use crate::{
    answer::{self, FunctionResponse},
    line,
    routes::Handler,
};

/// The header in which Azure's front end and every proxy before it record the client's address.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Responds to a heartbeat once its line has been written.
pub(crate) async fn answer(handler: &Handler, request: Request<Incoming>) -> FunctionResponse {
    let (head, body) = request.into_parts();
    let heartbeat = match handler.bodies.read(body, Heartbeat::parse).await {
        Err(error) => return answer::bad_body(&error),
        Ok(Err(error)) => return answer::bad_message(&error),
        Ok(Ok(heartbeat)) => heartbeat,
    };
    let device = device(heartbeat.device(), &head.headers);
    let address = client_address::parse(
        // A value that is not text counts as an unusable entry, but keeps its position.
        head.headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or_default()),
    );
    if handler.lines.write([line::heartbeat(&device, address, &heartbeat)]).await.is_err() {
        return answer::not_written();
    }
    let expected = handler.settings.expected.as_ref().map(|devices| devices.contains(&device));
    answer::heartbeat(address, expected)
}

/// Returns the device name: from the body, else from the header, else `unknown`.
pub(crate) fn device(body: Option<&str>, headers: &HeaderMap) -> Device {
    let header = headers.get(DEVICE_HEADER).map(|value| String::from_utf8_lossy(value.as_bytes()));
    Device::choose(body, header.as_deref())
}
