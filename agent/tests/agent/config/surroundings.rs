//! Environment variables that are no settings of the agent but affect it.

use super::place::Setup;

#[test]
fn an_unknown_time_zone_causes_a_warning() {
    let mut setup = Setup::with_file("");
    for known in ["", "UTC", "CET-1CEST", "CET-1CEST,M3.5.0,M10.5.0/3"] {
        setup.variable("TZ", known);
        assert_eq!(setup.warnings(), "", "{known}");
    }
    setup.variable("TZ", "Nowhere/\u{1b}At");
    insta::assert_snapshot!(setup.warnings(), @r#"TZ is "Nowhere/\u{1b}At", which is no time zone that is known here, so times are shown in UTC; it takes one like Europe/Berlin (package tzdata) or CET-1CEST,M3.5.0,M10.5.0/3."#);
}

#[cfg(target_os = "linux")]
#[test]
fn missing_roots_cause_a_warning() {
    let mut setup = Setup::with_file("");
    let root = ispmon_testing::certificates::Authority::new("A").root_pem();
    let file = setup.write("roots.pem", &root, 0o644);
    let empty = setup.write("empty.pem", "", 0o644);
    let folder = setup.folder().join("roots");
    let path = |path: &std::path::Path| path.to_str().expect("the path is UTF-8").to_owned();
    setup.variable("SSL_CERT_FILE", &path(&file));
    assert_eq!(setup.warnings(), "");
    setup.variable("SSL_CERT_FILE", &path(&empty));
    insta::assert_snapshot!(setup.warnings(), @r#"SSL_CERT_FILE names "[folder]/empty.pem", which holds no certificate: it adds no trusted certificates. Correct it, or remove it from the agent's environment."#);
    setup.variable("SSL_CERT_FILE", "/nowhere/roots.pem");
    insta::assert_snapshot!(setup.warnings(), @r#"SSL_CERT_FILE names "/nowhere/roots.pem", which cannot be read (No such file or directory (os error 2)): it adds no trusted certificates. Correct it, or remove it from the agent's environment."#);

    setup.variable("SSL_CERT_FILE", "");
    setup.variable("SSL_CERT_DIR", &format!("/nowhere:{}", path(&folder)));
    std::fs::create_dir(&folder).expect("a folder");
    insta::assert_snapshot!(setup.warnings(), @r#"
    SSL_CERT_DIR names "/nowhere", which cannot be read (No such file or directory (os error 2)): it adds no trusted certificates. Correct it, or remove it from the agent's environment.
    SSL_CERT_DIR names "[folder]/roots", which holds no certificate: it adds no trusted certificates. Correct it, or remove it from the agent's environment.
    "#);
    std::fs::copy(&file, folder.join("a.pem")).expect("the file is copied");
    setup.variable("SSL_CERT_DIR", &path(&folder));
    assert_eq!(setup.warnings(), "");
}
