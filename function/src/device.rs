//! The device that a request is about.

use hyper::HeaderMap;
use ispmon_wire::{DEVICE_HEADER, Device};

/// Returns the device name: from the body, else from the header, else `unknown`.
pub(crate) fn choose(body: Option<&str>, headers: &HeaderMap) -> Device {
    let header = headers.get(DEVICE_HEADER).map(|value| String::from_utf8_lossy(value.as_bytes()));
    Device::choose(body, header.as_deref())
}
