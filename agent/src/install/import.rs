//! Taking an old `.env` over: its settings become a configuration file, a function key in its URL a key file.

use std::path::{Path, PathBuf};

use reqwest::Url;

use crate::config::{self, ConfigError, Loaded, Sources, sample};

use super::layout::{Layout, Platform};

/// What an old `.env` becomes.
#[derive(Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its path.
    pub from: PathBuf,
    /// The whole configuration file.
    pub configuration: String,
    /// The function key, when the URL held one.
    pub key: Option<String>,
}

/// The key stays secret.
impl std::fmt::Debug for Imported {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Imported").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Why an old `.env` is not taken over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It, or what it would become, is no valid configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It sets nothing.
    #[error(
        "{} sets nothing that ispmon-agent knows, such as HEARTBEAT_URL=https://…; nothing was changed", .0.display()
    )]
    Empty(PathBuf),
}

/// Reads an old `.env`, and checks what it becomes as the service will: with no other source.
///
/// # Errors
/// All problems that there are, none of them with a secret.
pub fn import(
    path: &Path,
    platform: Platform,
    sources: &Sources,
) -> Result<(Imported, Loaded), ImportError> {
    let mut settings = config::dotenv_settings(path)?;
    if settings.is_empty() {
        return Err(ImportError::Empty(path.to_owned()));
    }
    let mut key = None;
    for (name, value) in &mut settings {
        if *name == "heartbeat.url"
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
    Ok((Imported { from: path.to_owned(), configuration, key }, loaded))
}

/// The address without the function key in its query, and the key; nothing when it has none.
fn without_key(address: &str) -> Option<(String, String)> {
    let mut url = Url::parse(address.trim()).ok()?;
    let query = url.query()?.to_owned();
    // A key is text of base64, where a plus is a plus.
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
    fn the_old_settings_are_set_in_the_sample() {
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
        assert!(!imported.configuration.contains("abc"), "the key stands nowhere else");
        assert!(!format!("{imported:?}").contains("abc"));
        let comments = |text: &str| text.lines().filter(|line| line.starts_with("# ")).count();
        assert_eq!(comments(&imported.configuration), comments(sample::SAMPLE) - 3);
    }

    #[test]
    fn macos_is_told_where_the_key_is() {
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
    fn a_key_that_is_missing_is_asked_for_where_the_service_looks() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        std::fs::write(&path, "HEARTBEAT_URL=https://a.example/api/ping\n").expect("it is written");
        let sources = Sources::of_this_process(None, config::Flags::default()).expect("a folder");
        let (_, loaded) = import(&path, Platform::Linux, &sources).expect("it is taken over");
        let warnings = loaded.warnings.join("\n");
        assert!(warnings.contains("/etc/ispmon/heartbeat.key is empty"), "{warnings}");
    }

    #[test]
    fn a_key_in_the_url_is_taken_out_whatever_is_around_it() {
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
    fn what_the_service_would_refuse_is_refused_now() {
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
