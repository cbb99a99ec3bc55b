//! The host name of this machine, the default of the device's name.

use ispmon_wire::{Device, limits};

/// The host name according to the kernel.
pub fn of_this_machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The part of a host name before the first dot, cut to the length of a device name.
pub(super) fn short(host_name: &str) -> String {
    let short = host_name.split('.').next().unwrap_or_default();
    let name: String = short
        .chars()
        .filter(|character| !character.is_control())
        .take(limits::DEVICE_CHARACTERS)
        .collect();
    match name.trim() {
        "" => Device::UNKNOWN.to_owned(),
        name => name.to_owned(),
    }
}

/// Whether a host name is so common that it does not identify the machine in a mail.
pub(super) fn is_generic(name: &str) -> bool {
    let name = name.to_lowercase();
    let stem = name.trim_end_matches(|last: char| last.is_ascii_digit() || last == '-');
    stem.is_empty() || GENERIC.contains(&stem)
}

/// The default host names of operating systems and board images.
const GENERIC: &[&str] = &[
    "(none)",
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
    fn the_domain_is_left_out() {
        assert_eq!(short("dl-home.fritz.box"), "dl-home");
        assert_eq!(short("dl-home"), "dl-home");
        assert_eq!(short(""), "unknown");
        assert_eq!(short(".local"), "unknown");
        assert_eq!(short(&"x".repeat(300)).len(), limits::DEVICE_CHARACTERS);
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
