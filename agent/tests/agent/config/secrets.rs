use ispmon_agent::command::config::write_settings;
use proptest::prelude::*;

use super::place::Setup;

/// All output that a user could see.
fn all_output(setup: &Setup) -> String {
    match setup.load() {
        Err(error) => format!("{error}\n{error:?}"),
        Ok(loaded) => {
            let mut output = Vec::new();
            write_settings(&loaded, &mut output).expect("writing to a vector succeeds");
            let output = String::from_utf8(output).expect("the output is text");
            format!("{output}\n{loaded:?}\n{}", loaded.warnings.join("\n"))
        }
    }
}

/// A setup with the secret at one of the positions, right and wrong, where users put it.
fn setup_with(secret: &str, position: usize) -> Setup {
    let file = |text: String| Setup::with_file(text);
    let url = "heartbeat.url = \"https://dl.example/api/ping\"\n";
    let plain = "heartbeat.kind = \"plain\"\n";
    let variable = |name: &str, value: String| {
        let mut setup = Setup::new();
        setup.variable(name, &value);
        setup
    };
    match position {
        0 => {
            let setup = file(format!("{url}heartbeat.key_file = \"./a.key\"\n"));
            setup.write("a.key", secret, 0o600);
            setup
        }
        1 => {
            let setup = file(format!("{url}heartbeat.key_file = \"./a.key\"\n"));
            setup.write("a.key", format!("{secret} {secret}"), 0o600);
            setup
        }
        2 => {
            let setup = file(format!("{url}heartbeat.key_file = \"./a.key\"\n"));
            setup.write("a.key", secret, 0o644);
            setup
        }
        3 => {
            let mut setup = file(url.to_owned());
            setup.write("heartbeat-key", secret, 0o440);
            let folder = setup.folder().display().to_string();
            setup.variable("CREDENTIALS_DIRECTORY", &folder);
            setup
        }
        4 => file(format!("{url}heartbeat.key_file = \"{secret}\"\n")),
        5 => file(format!("{url}heartbeat.key = \"{secret}\"\n")),
        6 => file(format!("{url}[heartbeat.key]\nvalue = \"{secret}\"\n")),
        7 => file(format!("heartbeat.url = \"https://dl.example/api/ping?code={secret}\"\n")),
        8 => file(format!("{plain}heartbeat.url = \"https://hc.example/{secret}\"\n")),
        9 => file(format!("{plain}heartbeat.url = \"https://hc.example/?token={secret}\"\n")),
        10 => file(format!("{plain}heartbeat.url = \"hc.example/{secret}\"\n")),
        11 => file(format!("{plain}heartbeat.url = [\"https://hc.example/{secret}\"]\n")),
        12 => file(format!("{plain}heartbeat.url = \"https://hc.example/{secret}\n")),
        13 => file(format!("{plain}heartbeat.url = https://hc.example/{secret}\n")),
        14 => file(format!("heartbeat.url = \"https://{secret}@dl.example/\"\n")),
        15 => file(format!("heartbeat.url = \"https://dl.example/#{secret}\"\n")),
        16 => file(format!("heartbeat.kind = \"https://hc.example/{secret}\"\n")),
        17 => file(format!("heartbeat = \"https://hc.example/{secret}\"\n")),
        18 => variable("ISPMON_HEARTBEAT_KEY", secret.to_owned()),
        19 => variable("ISPMON_HEARTBEAT_KEY_FILE", secret.to_owned()),
        20 => variable("HEARTBEAT_URL", format!("https://dl.example/?code={secret}")),
        21 => {
            let mut setup = file(plain.to_owned());
            setup.variable("HEARTBEAT_URL", &format!("https://hc.example/{secret}"));
            setup.variable("ISPMON_HEARTBEAT_URL", &format!("https://hc.example/{secret}/new"));
            setup
        }
        22 => {
            let mut setup = file(plain.to_owned());
            setup.sources.flags.url = Some(format!("https://hc.example/{secret}"));
            setup
        }
        23 => {
            let setup = Setup::new();
            setup.write(".env", format!("HEARTBEAT_URL='https://hc.example/{secret}\n"), 0o600);
            setup
        }
        24 => {
            let setup = Setup::new();
            let lines = format!("ISPMON_HEARTBEAT_KIND=plain\nHEARTBEAT_URL=\"$A/{secret}\"\n");
            setup.write(".env", lines, 0o600);
            setup
        }
        _ => file(format!("{url}device = \"dl-home\" {secret}\n")),
    }
}

const POSITIONS: usize = 26;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn no_message_ever_shows_a_secret(secret in "[A-Za-z0-9_-]{24,56}(==)?") {
        for position in 0..POSITIONS {
            let setup = setup_with(&secret, position);
            let shown = all_output(&setup);
            prop_assert!(!shown.contains(&secret), "position {}: {}", position, shown);
            // A long part of a secret helps an attacker too.
            prop_assert!(!shown.contains(&secret[..16]), "position {}: {}", position, shown);
            prop_assert!(!shown.contains(&secret[8..24]), "position {}: {}", position, shown);
        }
    }
}

#[test]
fn only_the_right_positions_load() {
    // The right ones must load, or the property test would see nothing but problems.
    for position in 0..POSITIONS {
        let is_right = [0, 3, 8, 9, 22].contains(&position);
        let setup = setup_with("AbCdEfGhIjKlMnOpQrStUvWx", position);
        assert_eq!(setup.load().is_ok(), is_right, "position {position}");
    }
}
