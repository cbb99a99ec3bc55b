//! Naming and comparing devices.

use std::collections::HashSet;

use ispmon_wire::{Device, comparison_key, limits};
use proptest::prelude::*;

#[test]
fn the_body_names_the_device_before_the_header() {
    for (body, header, name) in [
        (Some("dl-home"), Some("other"), "dl-home"),
        (Some("dl-home"), None, "dl-home"),
        (None, Some("other"), "other"),
        (Some(" \t"), Some("other"), "other"),
        (Some("\u{7}"), Some("other"), "other"),
        (Some(""), Some(" "), "unknown"),
        (None, None, "unknown"),
    ] {
        assert_eq!(Device::choose(body, header).as_str(), name, "{body:?} {header:?}");
    }
}

#[test]
fn names_are_compared_trimmed_and_in_lower_case() {
    for (one, other) in [
        ("dl-home", "DL-Home"),
        (" dl-home", "dl-home  "),
        ("BÜRO", "büro"),
        ("ΟΔΟΣ", "οδοσ"),
        ("dl\u{0}-home", "dl-home"),
    ] {
        assert_eq!(Device::from(one), Device::from(other));
        assert!(HashSet::from([Device::from(one)]).contains(&Device::from(other)), "{one:?}");
    }
    for (one, other) in [("dl-home", "dl-home2"), ("dl-home", "dl home"), ("büro", "buero")] {
        assert_ne!(Device::from(one), Device::from(other));
    }
}

#[test]
fn a_name_alone_has_the_key_of_its_device() {
    for name in ["dl-home", " DL-Home\t", "ΟΔΟΣ", "İstanbul", "ẞ", "ß"] {
        assert_eq!(comparison_key(name), Device::from(name).comparison_key(), "{name:?}");
    }
    // Neighbours play no part: a sigma at the end is the same letter.
    assert_eq!(comparison_key("ΟΔΟΣ"), "οδοσ");
}

#[test]
fn a_name_is_shown_as_written() {
    assert_eq!(Device::from(" DL-Home ").to_string(), " DL-Home ");
}

#[test]
fn a_long_name_is_cut_after_100_characters_not_bytes() {
    let long = "ü".repeat(101);
    assert_eq!(Device::from(long.as_str()).as_str(), "ü".repeat(100));
}

proptest! {
    #[test]
    fn any_text_names_a_device(body in any::<Option<String>>(), header in any::<Option<String>>()) {
        let device = Device::choose(body.as_deref(), header.as_deref());
        prop_assert!(!device.as_str().trim().is_empty());
        prop_assert!(device.as_str().chars().count() <= limits::DEVICE_CHARACTERS);
        prop_assert!(!device.as_str().chars().any(char::is_control));
        prop_assert_eq!(&device, &Device::from(device.as_str()));
        prop_assert_eq!(device.comparison_key(), device.comparison_key().trim().to_owned());
    }
}
