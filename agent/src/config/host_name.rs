//! The host name of this machine, from which the default device name is made.

use ispmon_wire::{Device, limits};

/// The host name according to the kernel.
pub fn of_this_machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The device name for a host name: the part before the first dot, without control characters, cut to the
/// permitted length; `unknown` if nothing is left.
pub(super) fn device_name(host_name: &str) -> String {
    let label = host_name.split('.').next().unwrap_or_default();
    let name: String = label
        .chars()
        .filter(|character| !character.is_control())
        .take(limits::DEVICE_CHARACTERS)
        .collect();
    match name.trim() {
        "" => Device::UNKNOWN.to_owned(),
        name => name.to_owned(),
    }
}

/// Whether a device name is so common that a mail with it does not show which machine is meant.
pub(super) fn is_generic(name: &str) -> bool {
    let name = name.to_lowercase();
    // A number does not make it distinctive: `raspberrypi-2`, or the `192` of an IP address.
    let stem = name.trim_end_matches(|last: char| last.is_ascii_digit() || last == '-');
    stem.is_empty() || GENERIC.contains(&stem)
}

/// The default host names of operating systems and board images, without their numbers.
const GENERIC: &[&str] = &[
    "(none)", // Linux, before a host name is set.
    "alarmpi",
    "alpine",
    "arch",
    "archlinux",
    "armbian",
    "bananapi",
    "computer",
    "debian",
    "desktop",
    "dietpi",
    "fedora",
    "homeassistant",
    "host",
    "imac",
    "kali",
    "laptop",
    "linux",
    "localhost",
    "mac",
    "mac-mini",
    "macbook",
    "macbook-air",
    "macbook-pro",
    "macmini",
    "manjaro",
    "nixos",
    "odroid",
    "opensuse",
    "openwrt",
    "orangepi",
    "pi",
    "raspberry",
    "raspberrypi",
    "raspbian",
    "rockpi",
    "server",
    "ubuntu",
    "unknown",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_name_is_the_first_part_of_a_host_name() {
        assert_eq!(device_name("dl-home.fritz.box"), "dl-home");
        assert_eq!(device_name("dl-home"), "dl-home");
        assert_eq!(device_name(""), "unknown");
        assert_eq!(device_name(".local"), "unknown");
        assert_eq!(device_name(&"x".repeat(300)).len(), limits::DEVICE_CHARACTERS);
    }

    #[test]
    fn default_host_names_are_generic() {
        for name in
            ["localhost", "RaspberryPi", "raspberrypi-2", "ubuntu", "Mac-mini", "192", "unknown"]
        {
            assert!(is_generic(name), "{name}");
        }
        for name in ["dl-home", "pi-hole", "annas-macbook", "office1"] {
            assert!(!is_generic(name), "{name}");
        }
    }
}
