//! Heartbeats by TLS, with certificates that are good and bad.

use std::{fs, sync::Arc};

use ispmon_testing::{
    certificates::Authority,
    server::{OK, TestServer},
};

use super::ping::{Pinged, ping};

/// Pings a server with a certificate of `issuer` for `name`, trusting `trusted` alone; `None` where
/// no file can name whom to trust.
fn ping_tls(
    issuer: &Authority,
    name: &str,
    years: std::ops::Range<i32>,
    trusted: &str,
) -> Option<Pinged> {
    ping_server(issuer.server(name, years), trusted)
}

/// The same with any configuration of the server.
fn ping_server(configuration: Arc<rustls::ServerConfig>, trusted: &str) -> Option<Pinged> {
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
    Some(ping(&url, &[("SSL_CERT_FILE", roots.to_str().expect("a path of text"))]))
}

#[test]
fn a_server_that_is_vouched_for_gets_the_heartbeat() {
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
fn an_untrusted_server_gets_nothing_and_the_reason_is_told() {
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
fn other_bad_certificates_are_told_apart() {
    let authority = Authority::new("A");
    for (name, years, told) in [
        ("localhost", 2000..2001, "expired on 2001-01-01 00:00:00 UTC"),
        ("localhost", 2100..2101, "is not valid before 2100-01-01 00:00:00 UTC"),
        ("portal.example", 2000..2100, "is for another host: portal.example."),
    ] {
        let Some(pinged) = ping_tls(&authority, name, years, &authority.root_pem()) else { return };
        assert_eq!(pinged.code, Some(1), "{pinged:?}");
        assert!(pinged.errors.contains(told), "{pinged:?}");
    }
}

#[test]
fn the_certificate_of_an_authority_is_refused_in_plain_words() {
    let authority = Authority::new("A");
    let configuration = authority.server_with_authority("localhost");
    let Some(pinged) = ping_server(configuration, &authority.root_pem()) else { return };
    assert_eq!(pinged.code, Some(1), "{pinged:?}");
    assert!(pinged.errors.contains("is that of an authority and not of a server."), "{pinged:?}");
    assert!(!pinged.errors.contains("CaUsed"), "{pinged:?}");
}

#[test]
fn a_system_without_roots_is_told_what_to_install() {
    let pinged = ping_tls(&Authority::new("A"), "localhost", 2000..2100, "");
    let Some(pinged) = pinged else { return };
    assert_eq!(pinged.code, Some(1), "{pinged:?}");
    assert!(pinged.errors.contains("ca-certificates"), "{pinged:?}");
}

#[test]
fn a_system_without_roots_can_still_reach_a_server_without_tls() {
    let server = TestServer::answering(OK);
    let pinged = ping(&server.url("/"), &[("SSL_CERT_FILE", "/nowhere/roots.pem")]);
    assert_eq!(pinged.code, Some(0), "{pinged:?}");
    let told = "warning: SSL_CERT_FILE names \"/nowhere/roots.pem\", which cannot be read";
    assert_eq!(pinged.errors.contains(told), cfg!(target_os = "linux"), "{pinged:?}");
}
