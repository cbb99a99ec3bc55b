use ispmon_agent::command::config::write_settings;
use proptest::prelude::*;

use super::place::Place;

/// Everything that a user could read somewhere.
fn everything_shown(place: &Place) -> String {
    match place.load() {
        Err(error) => format!("{error}\n{error:?}"),
        Ok(loaded) => {
            let mut output = Vec::new();
            write_settings(&loaded, &mut output).expect("a list of bytes takes everything");
            let output = String::from_utf8(output).expect("the output is text");
            format!("{output}\n{loaded:?}\n{}", loaded.warnings.join("\n"))
        }
    }
}

/// The places at which people put a secret, right and wrong ones.
fn place_with(secret: &str, position: usize) -> Place {
    let file = |text: String| Place::with_file(text);
    let url = "heartbeat.url = \"https://dl.example/api/ping\"\n";
    let plain = "heartbeat.kind = \"plain\"\n";
    let variable = |name: &str, value: String| {
        let mut place = Place::new();
        place.variable(name, &value);
        place
    };
    match position {
        0 => {
            let place = file(format!("{url}heartbeat.key_file = \"./a.key\"\n"));
            place.write("a.key", secret, 0o600);
            place
        }
        1 => {
            let place = file(format!("{url}heartbeat.key_file = \"./a.key\"\n"));
            place.write("a.key", format!("{secret} {secret}"), 0o600);
            place
        }
        2 => {
            let place = file(format!("{url}heartbeat.key_file = \"./a.key\"\n"));
            place.write("a.key", secret, 0o644);
            place
        }
        3 => {
            let mut place = file(url.to_owned());
            place.write("heartbeat-key", secret, 0o440);
            let folder = place.folder().display().to_string();
            place.variable("CREDENTIALS_DIRECTORY", &folder);
            place
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
            let mut place = file(plain.to_owned());
            place.variable("HEARTBEAT_URL", &format!("https://hc.example/{secret}"));
            place.variable("ISPMON_HEARTBEAT_URL", &format!("https://hc.example/{secret}/new"));
            place
        }
        22 => {
            let mut place = file(plain.to_owned());
            place.sources.flags.url = Some(format!("https://hc.example/{secret}"));
            place
        }
        23 => {
            let place = Place::new();
            place.write(".env", format!("HEARTBEAT_URL='https://hc.example/{secret}\n"), 0o600);
            place
        }
        24 => {
            let place = Place::new();
            let lines = format!("ISPMON_HEARTBEAT_KIND=plain\nHEARTBEAT_URL=\"$A/{secret}\"\n");
            place.write(".env", lines, 0o600);
            place
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
            let place = place_with(&secret, position);
            let shown = everything_shown(&place);
            prop_assert!(!shown.contains(&secret), "position {}: {}", position, shown);
            // Long enough a part of it would be of use to a stranger.
            prop_assert!(!shown.contains(&secret[..16]), "position {}: {}", position, shown);
            prop_assert!(!shown.contains(&secret[8..24]), "position {}: {}", position, shown);
        }
    }
}

#[test]
fn the_positions_are_what_they_claim_to_be() {
    // Those that are right must load, or the property would only ever see refusals.
    for position in 0..POSITIONS {
        let is_right = [0, 3, 8, 9, 22].contains(&position);
        let place = place_with("AbCdEfGhIjKlMnOpQrStUvWx", position);
        assert_eq!(place.load().is_ok(), is_right, "position {position}");
    }
}
