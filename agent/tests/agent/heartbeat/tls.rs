//! Heartbeats over TLS, with valid and invalid certificates.

use std::{fs, sync::Arc};

use ispmon_testing::{
    certificates::Authority,
    server::{OK, TestServer},
};

use super::ping::{PingOutput, ping};

/// Pings a server with a certificate of `issuer` for `name`, trusting only `trusted`; `None` on systems
/// where no file can set the trusted roots.
fn ping_tls(
    issuer: &Authority,
    name: &str,
    years: std::ops::Range<i32>,
    trusted: &str,
) -> Option<PingOutput> {
    ping_server(issuer.server(name, years), trusted)
}

/// Like `ping_tls`, with any server configuration.
fn ping_server(configuration: Arc<rustls::ServerConfig>, trusted: &str) -> Option<PingOutput> {
    if !cfg!(target_os = "linux") {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: only on Linux does SSL_CERT_FILE name the trusted roots\n"),
        );
        return None;
    }
    let server =
        TestServer::with_tls(configuration, |connection, _| connection.write_all(OK.as_bytes()));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let roots = folder.path().join("roots.pem");
    fs::write(&roots, trusted).expect("the roots are written");
    let url = format!("https://localhost:{}/api/ping", server.port());
    Some(ping(&url, &[("SSL_CERT_FILE", roots.to_str().expect("the path is UTF-8"))]))
}

#[test]
fn a_server_with_a_trusted_certificate_gets_the_heartbeat() {
    let authority = Authority::new("A");
    let pinged = ping_tls(&authority, "localhost", 2000..2100, &authority.root_pem());
    let Some(pinged) = pinged else { return };
    assert_eq!(pinged.code, Some(0), "{pinged:?}");
    assert!(
        pinged.output.contains("The heartbeat of dl-home reached https://localhost:"),
        "{pinged:?}"
    );
}

#[test]
fn an_untrusted_server_gets_no_heartbeat_and_the_reason_is_reported() {
    let trusted = Authority::new("B").root_pem();
    let pinged = ping_tls(&Authority::new("A"), "localhost", 2000..2100, &trusted);
    let Some(pinged) = pinged else { return };
    assert_eq!(pinged.code, Some(1), "{pinged:?}");
    assert!(
        pinged.errors.contains("is not signed by anybody whom this system trusts."),
        "{pinged:?}"
    );
}

#[test]
fn other_invalid_certificates_are_distinguished() {
    let authority = Authority::new("A");
    for (name, years, expected) in [
        ("localhost", 2000..2001, "expired on 2001-01-01 00:00:00 UTC"),
        ("localhost", 2100..2101, "is not valid before 2100-01-01 00:00:00 UTC"),
        ("portal.example", 2000..2100, "is for another host: portal.example."),
    ] {
        let Some(pinged) = ping_tls(&authority, name, years, &authority.root_pem()) else { return };
        assert_eq!(pinged.code, Some(1), "{pinged:?}");
        assert!(pinged.errors.contains(expected), "{pinged:?}");
    }
}

#[test]
fn a_server_with_a_ca_certificate_is_refused_with_a_clear_message() {
    let authority = Authority::new("A");
    let configuration = authority.server_with_authority("localhost");
    let Some(pinged) = ping_server(configuration, &authority.root_pem()) else { return };
    assert_eq!(pinged.code, Some(1), "{pinged:?}");
    assert!(pinged.errors.contains("is that of an authority and not of a server."), "{pinged:?}");
    assert!(!pinged.errors.contains("CaUsed"), "{pinged:?}");
}

#[test]
fn without_roots_the_error_says_what_to_install() {
    let pinged = ping_tls(&Authority::new("A"), "localhost", 2000..2100, "");
    let Some(pinged) = pinged else { return };
    assert_eq!(pinged.code, Some(1), "{pinged:?}");
    assert!(pinged.errors.contains("ca-certificates"), "{pinged:?}");
}

#[test]
fn without_roots_a_server_without_tls_is_still_reached() {
    let server = TestServer::answering(OK);
    let pinged = ping(&server.url("/"), &[("SSL_CERT_FILE", "/nowhere/roots.pem")]);
    assert_eq!(pinged.code, Some(0), "{pinged:?}");
    let expected = "warning: SSL_CERT_FILE names \"/nowhere/roots.pem\", which cannot be read";
    assert_eq!(pinged.errors.contains(expected), cfg!(target_os = "linux"), "{pinged:?}");
}
