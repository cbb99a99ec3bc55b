//! Names and comparison of devices.

use std::collections::HashSet;

use ispmon_wire::{Device, comparison_key, limits};
use proptest::prelude::*;

#[test]
fn the_name_in_the_body_has_precedence_over_the_header() {
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
fn a_key_cannot_be_parsed_as_another_type() {
    for (name, key) in [
        ("dl-home", "d:dl-home"),
        (" DL-Home\t", "d:dl-home"),
        ("007", "d:007"),
        ("1e5", "d:1e5"),
        ("1.50", "d:1.50"),
        ("-0", "d:-0"),
        ("True", "d:true"),
        ("null", "d:null"),
        ("2026-11-28", "d:2026-11-28"),
        ("2026-11-28T12:00:00Z", "d:2026-11-28t12:00:00z"),
        ("01936F3E-0000-7000-8000-000000000001", "d:01936f3e-0000-7000-8000-000000000001"),
        ("d:dl-home", "d:d:dl-home"),
        ("it's \"quoted\"", "d:it's \"quoted\""),
        ("raspberry pi\u{a0}4\u{3000}", "d:raspberry pi\u{a0}4"),
        ("x', 'y | take 1", "d:x', 'y | take 1"),
        ("Büro-ÄÖÜ", "d:büro-äöü"),
        ("🏠", "d:🏠"),
        ("ẞ", "d:ß"),
        ("ß", "d:ß"),
    ] {
        assert_eq!(comparison_key(name), key, "{name:?}");
        assert_eq!(Device::from(name).comparison_key(), key, "{name:?}");
    }
}

#[test]
fn letters_are_lowered_one_by_one() {
    // Neighbouring letters do not matter: a final sigma is the same letter.
    assert_eq!(comparison_key("ΟΔΟΣ"), "d:οδοσ");
    assert_eq!(comparison_key("ς"), "d:ς");
    // Its lower case is two characters.
    assert_eq!(comparison_key("İstanbul"), "d:İstanbul");
    let longer = |character: &char| character.to_lowercase().count() != 1;
    assert_eq!(('\0'..=char::MAX).filter(longer).collect::<String>(), "İ");
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
        let key = device.comparison_key();
        let name = key.strip_prefix("d:").expect("the prefix");
        prop_assert_eq!(name, name.trim());
        prop_assert_eq!(name.chars().count(), device.as_str().trim().chars().count());
        prop_assert_eq!(comparison_key(name), key, "a key is its own key");
    }
}
