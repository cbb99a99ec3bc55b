//! The error about a value that the lab does not support.

/// The lab does not support the value of a property.
#[derive(Debug, thiserror::Error)]
#[error("its `{property}` is `{value}`, but the lab supports only {supported}")]
pub struct UnsupportedValue {
    property: &'static str,
    value: String,
    supported: &'static str,
}

/// Returns the error for the property with this path below `properties`.
pub(super) fn unsupported<E: From<UnsupportedValue>>(
    property: &'static str,
    value: &str,
    supported: &'static str,
) -> E {
    UnsupportedValue { property, value: value.to_owned(), supported }.into()
}
