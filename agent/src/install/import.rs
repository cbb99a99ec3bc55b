//! Imports an old `.env`: its settings become a configuration file, and its function key becomes a key
//! file.

use std::{
    io,
    path::{Path, PathBuf},
};

use reqwest::Url;

use crate::config::{self, ConfigError, Loaded, Sources, sample};

use super::layout::{Layout, Platform};

/// The result of importing an old `.env`.
#[derive(Clone, PartialEq, Eq)]
pub struct Imported {
    /// The path of the `.env`.
    pub from: PathBuf,
    /// The complete configuration file.
    pub configuration: String,
    /// The function key, if the URL or a key file contained one.
    pub key: Option<String>,
    /// Whether the configuration itself is secret, because the URL of a plain heartbeat is.
    pub is_secret: bool,
    /// The journal's folder in the `.env`. The service cannot use it: it may write to its own folder only.
    pub state_dir: Option<String>,
}

/// Never prints the key.
impl std::fmt::Debug for Imported {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Imported").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Why an old `.env` is not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The `.env`, or the configuration made from it, is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The `.env` sets nothing.
    #[error(
        "{} sets nothing that ispmon-agent knows, such as HEARTBEAT_URL=https://…; nothing was changed", .0.display()
    )]
    Empty(PathBuf),
    /// The `.env` names a key file that cannot be read.
    #[error("the key file {}, which {} names, cannot be read", .path.display(), .from.display())]
    KeyFile {
        /// The path of the `.env`.
        from: PathBuf,
        /// The path of the key file.
        path: PathBuf,
        /// The error of reading it.
        #[source]
        source: io::Error,
    },
}

/// Reads an old `.env`, and checks the resulting configuration as the service will, without any other
/// source.
///
/// # Errors
/// All problems together, without secrets.
pub fn import(
    path: &Path,
    platform: Platform,
    sources: &Sources,
) -> Result<(Imported, Loaded), ImportError> {
    let mut settings = config::dotenv_settings(path)?;
    if settings.is_empty() {
        return Err(ImportError::Empty(path.to_owned()));
    }
    let mut take = |wanted: &str| {
        let index = settings.iter().position(|(name, _)| *name == wanted)?;
        Some(settings.remove(index).1)
    };
    let record = take("state_dir");
    // The service reads its key from one file and may read no other.
    let mut key = take("heartbeat.key_file").map(|named| read_key(path, &named)).transpose()?;
    let is_secret = settings
        .iter()
        .any(|(name, value)| *name == "heartbeat.kind" && value.eq_ignore_ascii_case("plain"));
    for (name, value) in &mut settings {
        if *name == "heartbeat.url"
            && !is_secret
            && let Some((url, code)) = without_key(value)
        {
            *value = url;
            key = Some(code);
        }
    }
    for (name, value) in platform.own_settings() {
        if !settings.iter().any(|(set, _)| *set == name) {
            settings.push((name, value));
        }
    }
    let configuration = sample::with(&settings);
    let layout = Layout::of(platform);
    let key_file = (layout.key.as_path(), key.as_deref().unwrap_or_default());
    let loaded = config::load_text(&layout.configuration, &configuration, Some(key_file), sources)?;
    Ok((
        Imported { from: path.to_owned(), configuration, key, is_secret, state_dir: record },
        loaded,
    ))
}

/// Reads the key file that a `.env` names.
fn read_key(from: &Path, named: &str) -> Result<String, ImportError> {
    let (path, text) = config::dotenv_key_file(from, named);
    let text =
        text.map_err(|source| ImportError::KeyFile { from: from.to_owned(), path, source })?;
    Ok(text.trim().to_owned())
}

/// Splits a URL into the URL without its function key, and the key; `None` when it has no key.
fn without_key(address: &str) -> Option<(String, String)> {
    let mut url = Url::parse(address.trim()).ok()?;
    let query = url.query()?.to_owned();
    // A key is base64, so a plus sign means a plus sign and not a space.
    let decoded = |part: &str| {
        let mut url = url.clone();
        url.set_query(Some(&part.replace('+', "%2B")));
        url.query_pairs().next().map(|(name, value)| (name.into_owned(), value.into_owned()))
    };
    let is_key = |name: &str| name.eq_ignore_ascii_case("code");
    let mut key = None;
    let mut others = Vec::new();
    for part in query.split('&') {
        match decoded(part) {
            Some((name, value)) if is_key(&name) => key = Some(value),
            _ => others.push(part),
        }
    }
    let key = key.filter(|key| !key.is_empty())?;
    url.set_query(if others.is_empty() { None } else { Some(others.join("&")) }.as_deref());
    Some((url.to_string(), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(text: &str, platform: Platform) -> Result<Imported, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        std::fs::write(&path, text).expect("it is written");
        let sources = Sources::of_this_process(None, config::Flags::default()).expect("a folder");
        import(&path, platform, &sources)
            .map(|(imported, _)| imported)
            .map_err(|error| error.to_string().replace(&path.display().to_string(), "[.env]"))
    }

    fn set(imported: &Imported) -> Vec<&str> {
        let lines = imported.configuration.lines();
        lines.filter(|line| line.contains(" = ") && !line.starts_with('#')).collect()
    }

    #[test]
    fn old_settings_replace_the_defaults_in_the_sample() {
        let text = "\
RG=rg-ispmon
HEARTBEAT_URL=https://app.azurewebsites.net/api/ping?code=abc%3D%3D
HEARTBEAT_DEVICE=\"dl \\\"home\\\"\"
HEARTBEAT_INTERVAL=60
";
        let imported = imported(text, Platform::Linux).expect("it is taken over");
        assert_eq!(
            set(&imported),
            [
                r#"device = "dl \"home\"""#,
                r#"url = "https://app.azurewebsites.net/api/ping""#,
                r#"interval = "60""#
            ]
        );
        assert_eq!(imported.key.as_deref(), Some("abc=="));
        assert!(!imported.configuration.contains("abc"), "the key is nowhere else");
        assert!(!format!("{imported:?}").contains("abc"));
        let comments = |text: &str| text.lines().filter(|line| line.starts_with("# ")).count();
        assert_eq!(comments(&imported.configuration), comments(sample::SAMPLE) - 3);
    }

    #[test]
    fn a_key_file_becomes_the_key_and_the_state_dir_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        std::fs::write(folder.path().join("key"), "k3y==\n").expect("it is written");
        let text = "HEARTBEAT_URL=https://a.example/p\nISPMON_HEARTBEAT_KEY_FILE=./key\nISPMON_STATE_DIR=/home/a/record\n";
        std::fs::write(&path, text).expect("it is written");
        let sources = Sources::of_this_process(None, config::Flags::default()).expect("a folder");
        let (imported, _) = import(&path, Platform::Linux, &sources).expect("it is taken over");
        assert_eq!(set(&imported), [r#"url = "https://a.example/p""#]);
        assert_eq!(imported.key.as_deref(), Some("k3y=="));
        assert_eq!(imported.state_dir.as_deref(), Some("/home/a/record"));
        std::fs::remove_file(folder.path().join("key")).expect("this process owns it");
        let error = import(&path, Platform::Linux, &sources).expect_err("it is gone").to_string();
        assert!(
            error.starts_with("the key file ") && error.ends_with(" cannot be read"),
            "{error}"
        );
    }

    #[test]
    fn with_a_plain_heartbeat_the_configuration_is_secret() {
        let text = "ISPMON_HEARTBEAT_KIND=Plain\nISPMON_HEARTBEAT_URL=https://a.example/push/x";
        let taken_over = imported(text, Platform::Linux).expect("it is taken over");
        assert!(set(&taken_over).contains(&r#"url = "https://a.example/push/x""#));
        assert!(taken_over.is_secret && taken_over.key.is_none());
        // The function key stays in the URL, so that the URL is refused as in any configuration.
        let refusal = imported(&format!("{text}?code=y"), Platform::Linux).expect_err("a code");
        assert!(refusal.contains("heartbeat.url holds a function key"), "{refusal}");
    }

    #[test]
    fn on_macos_the_key_file_is_set() {
        let imported = imported("HEARTBEAT_URL=http://127.0.0.1:7071/api/ping\n", Platform::MacOs);
        let imported = imported.expect("it is taken over");
        assert_eq!(
            set(&imported),
            [
                r#"url = "http://127.0.0.1:7071/api/ping""#,
                r#"key_file = "/etc/ispmon/heartbeat.key""#
            ]
        );
    }

    #[test]
    fn a_missing_key_warning_names_the_services_key_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        std::fs::write(&path, "HEARTBEAT_URL=https://a.example/api/ping\n").expect("it is written");
        let sources = Sources::of_this_process(None, config::Flags::default()).expect("a folder");
        let (_, loaded) = import(&path, Platform::Linux, &sources).expect("it is taken over");
        let warnings = loaded.warnings.join("\n");
        assert!(warnings.contains("/etc/ispmon/heartbeat.key is empty"), "{warnings}");
    }

    #[test]
    fn a_key_anywhere_in_the_query_is_taken_out() {
        for (address, expected) in [
            (
                "https://a.example/api/ping?code=ab/c+d==",
                Some(("https://a.example/api/ping", "ab/c+d==")),
            ),
            ("https://a.example/p?x=1&CODE=k%2B&y=2", Some(("https://a.example/p?x=1&y=2", "k+"))),
            ("https://a.example/p?code=", None),
            ("https://a.example/p?x=1", None),
            ("nonsense?code=a", None),
        ] {
            let expected = expected.map(|(url, key)| (url.to_owned(), key.to_owned()));
            assert_eq!(without_key(address), expected, "{address}");
        }
    }

    #[test]
    fn invalid_configurations_are_refused() {
        for (text, part) in [
            ("RG=x\n", "[.env] sets nothing that ispmon-agent knows"),
            ("HEARTBEAT_URL=$(id)\n", "[.env], line 1 (HEARTBEAT_URL)"),
            ("HEARTBEAT_INTERVAL=often\n", "heartbeat.interval is \"often\""),
            ("HEARTBEAT_URL=app.example/api/ping\n", "heartbeat.url does not begin with https://"),
            (
                "HEARTBEAT_URL=http://a.example/api/ping?code=abc\n",
                "the function key could be read on its way",
            ),
            ("HEARTBEAT_URL=https://a.example/?code=a%20b\n", "holds more than a key"),
            ("ISPMON_DEVISE=x\n", "did you mean ISPMON_DEVICE?"),
        ] {
            let error = imported(text, Platform::Linux).expect_err(text);
            assert!(error.contains(part), "{error}");
            assert!(!error.contains("abc"), "{error}");
        }
    }
}
