//! Commands to try with a running cloud, ready to be pasted into a shell.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use super::key::{self, Key, KeySource};

/// The guide that is printed for a running cloud.
#[derive(Debug)]
pub struct Guide<'a> {
    /// The address on which it listens.
    pub address: SocketAddr,
    /// The key that clients need.
    pub key: &'a Key,
    /// The devices that the rules cover, at least one.
    pub devices: &'a [String],
    /// The folder with its mails.
    pub mail_folder: &'a Path,
}

impl fmt::Display for Guide<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = format!("http://{}{}", reachable(self.address), ispmon_wire::PING_PATH);
        let device = self.devices.first().map(String::as_str).unwrap_or_default();
        let body = serde_json::json!({ "device": device, "note": "test ping" }).to_string();
        let mails = self.mail_folder.display();
        let (key, header) = match self.key.source() {
            KeySource::Argument => ("as given", self.literal_header()),
            KeySource::Random => ("made up for this run", self.literal_header()),
            KeySource::Environment => {
                ("from the environment", format!("\"{}: ${}\"", HEADER, key::VARIABLE))
            }
            KeySource::File => {
                let file = quote(&self.key.file().display().to_string());
                ("from its file", format!("\"{HEADER}: $(cat {file})\""))
            }
        };
        writeln!(
            formatter,
            "The cloud side of ispmon is running, in real time. Ctrl-C stops it.\n"
        )?;
        writeln!(formatter, "  heartbeats   {url}")?;
        writeln!(formatter, "  key          {key}")?;
        writeln!(formatter, "  devices      {}", self.devices.join(", "))?;
        writeln!(formatter, "  mails        {mails}")?;
        if !self.address.ip().is_loopback() {
            writeln!(
                formatter,
                "\nOthers on your network can reach it, and keys travel unencrypted: use no key of yours.\nThe agent sends its key over http to its own machine only."
            )?;
        }
        writeln!(formatter, "\nSend one heartbeat:\n")?;
        writeln!(formatter, "  curl -X POST {url} -H {header} -d {}", quote(&body))?;
        writeln!(formatter, "\nOr let the agent send one a minute, from another terminal:\n")?;
        writeln!(
            formatter,
            "  HEARTBEAT_URL={url} HEARTBEAT_DEVICE={} ISPMON_HEARTBEAT_KEY_FILE={} \\\n    cargo run --locked -p ispmon-agent -- run",
            quote(device),
            quote(&self.key.file().display().to_string()),
        )?;
        writeln!(
            formatter,
            "\nThe rules are evaluated every five minutes. They mail about each device that has been silent for five minutes\nor has never sent a heartbeat, and about each outage of five minutes that a device hands over. Times are UTC."
        )
    }
}

const HEADER: &str = ispmon_wire::FUNCTION_KEY_HEADER;

impl Guide<'_> {
    fn literal_header(&self) -> String {
        quote(&format!("{HEADER}: {}", self.key.expose()))
    }
}

/// Returns an address that a client on this machine can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(any) if any.ip().is_unspecified() => {
            (Ipv4Addr::LOCALHOST, any.port()).into()
        }
        SocketAddr::V6(any) if any.ip().is_unspecified() => {
            (Ipv6Addr::LOCALHOST, any.port()).into()
        }
        address => address,
    }
}

/// Quotes a text as one word for a POSIX shell.
fn quote(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guide(address: &str, key: &Key, devices: &[&str]) -> String {
        let devices: Vec<String> = devices.iter().map(ToString::to_string).collect();
        let guide = Guide {
            address: address.parse().expect("an address"),
            key,
            devices: &devices,
            mail_folder: Path::new("mails"),
        };
        guide.to_string().replace(&key.file().display().to_string(), "KEYFILE")
    }

    #[test]
    fn the_guide_matches_the_snapshot() {
        let key = Key::choose(Some("secret"), None).expect("a key");
        insta::assert_snapshot!(guide("127.0.0.1:7071", &key, &["dl-home", "office"]), @r#"
        The cloud side of ispmon is running, in real time. Ctrl-C stops it.

          heartbeats   http://127.0.0.1:7071/api/ping
          key          as given
          devices      dl-home, office
          mails        mails

        Send one heartbeat:

          curl -X POST http://127.0.0.1:7071/api/ping -H 'x-functions-key: secret' -d '{"device":"dl-home","note":"test ping"}'

        Or let the agent send one a minute, from another terminal:

          HEARTBEAT_URL=http://127.0.0.1:7071/api/ping HEARTBEAT_DEVICE=dl-home ISPMON_HEARTBEAT_KEY_FILE=KEYFILE \
            cargo run --locked -p ispmon-agent -- run

        The rules are evaluated every five minutes. They mail about each device that has been silent for five minutes
        or has never sent a heartbeat, and about each outage of five minutes that a device hands over. Times are UTC.
        "#);
    }

    #[test]
    fn names_and_addresses_are_quoted_for_the_shell() {
        let key = Key::choose(Some("it's"), None).expect("a key");
        let text = guide("[::]:7071", &key, &["bob's"]);
        assert!(text.contains("http://[::1]:7071/api/ping"), "{text}");
        assert!(text.contains(r"-H 'x-functions-key: it'\''s'"), "{text}");
        assert!(text.contains(r"HEARTBEAT_DEVICE='bob'\''s'"), "{text}");
        assert!(text.contains("keys travel unencrypted"), "{text}");
    }

    #[test]
    fn a_key_from_a_file_is_not_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        std::fs::write(&path, "secret").expect("a file");
        let key = Key::choose(None, Some(&path)).expect("a key");
        let text = guide("127.0.0.1:7071", &key, &["dl-home"]);
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("$(cat KEYFILE)"), "{text}");
    }
}
