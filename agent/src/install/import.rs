//! Imports an old `.env`: its settings become a configuration file, and its function key becomes a key
//! file.

use std::{
    io,
    path::{Path, PathBuf},
};

use reqwest::Url;

use crate::config::{
    self, ConfigError, ImportedFrom, ImportedKeySource, KeyToWrite, Loaded, Sources, sample,
};

use super::{
    facts::{FileContent, PathEntry},
    layout::{Layout, Platform},
};

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
        "{} sets nothing that ispmon-agent knows, such as HEARTBEAT_URL=https://…", .0.display()
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
/// source. `key_file` is what exists at the path of the service's key file: it stays if the `.env` has no
/// key.
///
/// # Errors
/// All problems together, without secrets. A problem with a value names its line in the `.env`.
pub fn import(
    path: &Path,
    platform: Platform,
    key_file: Option<&PathEntry>,
    sources: &Sources,
) -> Result<(Imported, Loaded), ImportError> {
    let mut settings = config::dotenv_settings(path)?;
    if settings.is_empty() {
        return Err(ImportError::Empty(path.to_owned()));
    }
    let mut take = |wanted: &str| {
        let index = settings.iter().position(|setting| setting.key == wanted)?;
        Some(settings.remove(index).text)
    };
    let record = take("state_dir");
    // The service reads its key from one file and may read no other.
    let mut found = take("heartbeat.key_file").map(|named| read_key(path, &named)).transpose()?;
    let is_secret = settings.iter().any(|setting| {
        setting.key == "heartbeat.kind" && setting.text.trim().eq_ignore_ascii_case("plain")
    });
    for setting in &mut settings {
        if setting.key == "heartbeat.url"
            && !is_secret
            && let Some((url, code)) = without_key(&setting.text)
        {
            setting.text = url;
            found = Some((code, ImportedKeySource::Url));
        }
    }
    let mut texts: Vec<_> =
        settings.iter().map(|setting| (setting.key, setting.text.clone())).collect();
    // A plain heartbeat carries no key, so its configuration names no key file.
    let own_settings = if is_secret { Vec::new() } else { platform.own_settings() };
    for (name, value) in own_settings {
        if !texts.iter().any(|(set, _)| *set == name) {
            texts.push((name, value));
        }
    }
    let configuration = sample::with(&texts);
    let layout = Layout::of(platform);
    let key = found.as_ref().map(|(key, _)| key.clone());
    let (text, source) = match found {
        Some((key, source)) => (Some(key), source),
        None => (kept_key(key_file), ImportedKeySource::File(layout.key.clone())),
    };
    let from =
        ImportedFrom { settings: &settings, key: KeyToWrite { path: layout.key, text, source } };
    let loaded = config::load_text(&layout.configuration, &configuration, Some(&from), sources)?;
    Ok((
        Imported { from: path.to_owned(), configuration, key, is_secret, state_dir: record },
        loaded,
    ))
}

/// Reads the key file that a `.env` names.
fn read_key(from: &Path, named: &str) -> Result<(String, ImportedKeySource), ImportError> {
    match config::dotenv_key_file(from, named) {
        (path, Ok(text)) => Ok((text.trim().to_owned(), ImportedKeySource::File(path))),
        (path, Err(source)) => Err(ImportError::KeyFile { from: from.to_owned(), path, source }),
    }
}

/// The content of the service's key file, which may not exist; `None` if this user may not read it.
fn kept_key(key_file: Option<&PathEntry>) -> Option<String> {
    match key_file {
        Some(PathEntry::File { content: FileContent::Bytes(bytes), .. }) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        Some(PathEntry::File { .. }) => None,
        _ => Some(String::new()),
    }
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
        import(&path, platform, None, &sources)
            .map(|(imported, _)| imported)
            .map_err(|error| error.to_string().replace(&path.display().to_string(), "[.env]"))
    }

    /// The warnings about an imported text, with this content in the service's key file.
    fn warnings(text: &str, platform: Platform, key: Option<FileContent>) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        std::fs::write(&path, text).expect("it is written");
        let sources = Sources::of_this_process(None, config::Flags::default()).expect("a folder");
        let key = key.map(|content| PathEntry::File { content, mode: 0o600, uid: 0, gid: 0 });
        let imported = import(&path, platform, key.as_ref(), &sources);
        imported.expect("it is taken over").1.warnings.join("\n")
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
        let (imported, _) =
            import(&path, Platform::Linux, None, &sources).expect("it is taken over");
        assert_eq!(set(&imported), [r#"url = "https://a.example/p""#]);
        assert_eq!(imported.key.as_deref(), Some("k3y=="));
        assert_eq!(imported.state_dir.as_deref(), Some("/home/a/record"));
        let refusal = || import(&path, Platform::Linux, None, &sources).expect_err("a bad key");
        std::fs::write(folder.path().join("key"), "k3y==\nk3y==\n").expect("it is written");
        let error = refusal().to_string();
        let key = folder.path().join("key");
        assert!(error.starts_with(&format!("{}: it holds more than", key.display())), "{error}");
        assert!(!error.contains("k3y"), "{error}");
        std::fs::remove_file(key).expect("this process owns it");
        let error = refusal().to_string();
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
        let text = "HEARTBEAT_DEVICE=a\nHEARTBEAT_URL=https://a.example/api/ping\n";
        for empty in [None, Some(FileContent::Bytes(b"\n".into()))] {
            assert_eq!(
                warnings(text, Platform::Linux, empty),
                "There is no function key, so the function will refuse the heartbeats; write its key to \
                 /etc/ispmon/heartbeat.key."
            );
        }
    }

    #[test]
    fn a_key_file_that_exists_counts() {
        let text = "HEARTBEAT_DEVICE=a\nHEARTBEAT_URL=https://a.example/api/ping\n";
        for held in [FileContent::Bytes(b"k3y==\n".into()), FileContent::Unknown] {
            assert_eq!(warnings(text, Platform::Linux, Some(held)), "");
        }
    }

    #[test]
    fn a_secret_url_is_not_called_readable_for_others() {
        for kind in ["plain", "'Plain '"] {
            let text = format!(
                "HEARTBEAT_DEVICE=a\nISPMON_HEARTBEAT_KIND={kind}\nISPMON_HEARTBEAT_URL=https://a.example/x\n"
            );
            for platform in [Platform::Linux, Platform::MacOs] {
                assert_eq!(warnings(&text, platform, None), "");
                assert!(imported(&text, platform).expect("it is taken over").is_secret);
            }
        }
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
            (
                "# old\nHEARTBEAT_INTERVAL=often\n",
                "[.env], line 2 (HEARTBEAT_INTERVAL): heartbeat.interval is \"often\", which is no duration",
            ),
            (
                "HEARTBEAT_URL=app.example/api/ping\n",
                "[.env], line 1 (HEARTBEAT_URL): heartbeat.url does not begin with https://",
            ),
            (
                "\nHEARTBEAT_URL=http://a.example/api/ping?code=abc\n",
                "[.env], line 2 (HEARTBEAT_URL): heartbeat.url begins with http://, and the function key could be read",
            ),
            (
                "HEARTBEAT_DEVICE=x\nHEARTBEAT_URL='https://a.example/?code=abc def'\n",
                "[.env], line 2 (HEARTBEAT_URL): the function key holds more than a key",
            ),
            (
                "HEARTBEAT_URL=https://a.example/?code=abc%20def\n",
                "[.env], line 1 (HEARTBEAT_URL): the function key holds more than a key",
            ),
            (
                "ISPMON_HEARTBEAT_BACKOFF_BASE=60\nISPMON_HEARTBEAT_BACKOFF_CAP=30\n",
                "is 1min ([.env], line 1 (ISPMON_HEARTBEAT_BACKOFF_BASE)), longer than heartbeat.backoff_cap",
            ),
            ("ISPMON_DEVISE=x\n", "did you mean ISPMON_DEVICE?"),
        ] {
            for platform in [Platform::Linux, Platform::MacOs] {
                let error = imported(text, platform).expect_err(text);
                assert!(error.contains(part), "{error}");
                assert!(!error.contains("abc") && !error.contains("agent.toml"), "{error}");
            }
        }
    }
}
