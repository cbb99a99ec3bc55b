//! The layers of this crate, and the test that each module uses lower layers only.

use std::path::Path;

/// The top-level modules, the lowest layer first. A module may use modules of lower layers, but none of
/// its own layer.
const LAYERS: &[&[&str]] = &[
    &[
        "clock",
        "duration",
        "error_chain",
        "exit",
        "installation",
        "loopback",
        "printable",
        "program",
        "runtime",
        "signals",
        "state_dir",
    ],
    &["file_access", "pause", "resolver", "summary", "tls", "unit"],
    &["control"],
    &["probe"],
    &["config"],
    &["heartbeat"],
    &["outage"],
    &["event", "journal"],
    &["history", "install", "logging", "sleep", "status"],
    &["notify"],
    &["cli", "doctor", "monitor", "report"],
    &["generate", "outbox"],
    &["service"],
    &["command"],
];

/// Uses that violate the layers: user, used module, reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

#[test]
fn modules_use_lower_layers_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    ispmon_testing::layers::check(&source, LAYERS, EXCEPTIONS);
}
