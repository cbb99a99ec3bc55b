//! Variables that are none of the agent's settings and are obeyed all the same.

use super::place::Place;

#[test]
fn a_time_zone_that_is_not_known_is_warned_of() {
    let mut place = Place::with_file("");
    for known in ["", "UTC", "CET-1CEST", "CET-1CEST,M3.5.0,M10.5.0/3"] {
        place.variable("TZ", known);
        assert_eq!(place.warnings(), "", "{known}");
    }
    place.variable("TZ", "Nowhere/\u{1b}At");
    insta::assert_snapshot!(place.warnings(), @r#"TZ is "Nowhere/\u{1b}At", which is no time zone that is known here, so times are shown in UTC; it takes one like Europe/Berlin (package tzdata) or CET-1CEST,M3.5.0,M10.5.0/3."#);
}

#[cfg(target_os = "linux")]
#[test]
fn roots_that_are_not_there_are_warned_of() {
    let mut place = Place::with_file("");
    let root = ispmon_testing::certificates::Authority::new("A").root_pem();
    let file = place.write("roots.pem", &root, 0o644);
    let empty = place.write("empty.pem", "", 0o644);
    let folder = place.folder().join("roots");
    let path = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    place.variable("SSL_CERT_FILE", &path(&file));
    assert_eq!(place.warnings(), "");
    place.variable("SSL_CERT_FILE", &path(&empty));
    insta::assert_snapshot!(place.warnings(), @r#"SSL_CERT_FILE names "[folder]/empty.pem", which holds no certificate: it adds no trusted certificates. Correct it, or remove it from the agent's environment."#);
    place.variable("SSL_CERT_FILE", "/nowhere/roots.pem");
    insta::assert_snapshot!(place.warnings(), @r#"SSL_CERT_FILE names "/nowhere/roots.pem", which cannot be read (No such file or directory (os error 2)): it adds no trusted certificates. Correct it, or remove it from the agent's environment."#);

    place.variable("SSL_CERT_FILE", "");
    place.variable("SSL_CERT_DIR", &format!("/nowhere:{}", path(&folder)));
    std::fs::create_dir(&folder).expect("a folder");
    insta::assert_snapshot!(place.warnings(), @r#"
    SSL_CERT_DIR names "/nowhere", which cannot be read (No such file or directory (os error 2)): it adds no trusted certificates. Correct it, or remove it from the agent's environment.
    SSL_CERT_DIR names "[folder]/roots", which holds no certificate: it adds no trusted certificates. Correct it, or remove it from the agent's environment.
    "#);
    std::fs::copy(&file, folder.join("a.pem")).expect("it is copied");
    place.variable("SSL_CERT_DIR", &path(&folder));
    assert_eq!(place.warnings(), "");
}
