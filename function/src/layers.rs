//! The layers of this crate, and the test that each module uses lower layers only.

use std::path::Path;

/// The top-level modules, the lowest layer first. A module may use modules of lower layers, but none of
/// its own layer.
const LAYERS: &[&[&str]] = &[
    &["body", "device", "limits", "line", "settings"],
    &["answer", "stdout"],
    &["failure", "outages", "ping", "shared"],
    &["routes"],
    &["server"],
];

#[test]
fn modules_use_lower_layers_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    ispmon_testing::layers::check(&source, LAYERS, &[]);
}
