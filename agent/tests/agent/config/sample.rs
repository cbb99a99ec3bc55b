use ispmon_agent::config::{sample::SAMPLE, table::SETTINGS};

use super::place::Setup;

/// The sample with every setting uncommented.
fn uncommented() -> String {
    let is_setting = |line: &str| {
        line.strip_prefix("# ").and_then(|rest| rest.split_once(" = ")).is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        })
    };
    SAMPLE
        .lines()
        .map(|line| if is_setting(line) { &line[2..] } else { line })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_sample_equals_the_defaults() {
    let defaults = Setup::new().loaded().settings;
    assert_eq!(Setup::with_file(SAMPLE).loaded().settings, defaults);
    assert_eq!(Setup::with_file(uncommented()).loaded().settings, defaults);
}

#[test]
fn the_sample_sets_every_setting() {
    let setup = Setup::with_file(uncommented());
    for setting in SETTINGS.iter().filter(|setting| !setting.default.is_empty()) {
        let (_, source) = setup.shown(setting.key);
        assert!(source.contains("[folder]/agent.toml, line "), "{}: {source}", setting.key);
    }
    // Settings with an empty value count as not set, so compare the names in the text.
    let names: Vec<_> = uncommented()
        .lines()
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name.to_owned()))
        .filter(|name| !name.starts_with('#'))
        .collect();
    let expected: Vec<_> =
        SETTINGS.iter().map(|setting| setting.key.rsplit('.').next().unwrap_or_default()).collect();
    assert_eq!(names, expected);
}

#[test]
fn the_readme_lists_every_setting_with_its_default_and_its_names() {
    let readme = include_str!("../../../../README.md");
    let listed: Vec<String> = readme
        .lines()
        .filter(|line| {
            SETTINGS.iter().any(|setting| line.starts_with(&format!("| `{}` |", setting.key)))
        })
        .map(|line| line.rsplit_once(" | ").map_or(line, |(before, _)| before).to_owned())
        .collect();
    let known = SETTINGS.iter().map(|setting| {
        let names = [
            Some(setting.variable()),
            setting.old_variable.map(str::to_owned),
            setting.flag.map(str::to_owned),
        ];
        let names: Vec<String> =
            names.into_iter().flatten().map(|name| format!("`{name}`")).collect();
        let default = if setting.default.is_empty() {
            String::new()
        } else {
            format!("`{}` ", setting.default)
        };
        format!("| `{}` | {default}| {}", setting.key, names.join(", "))
    });
    assert_eq!(listed, known.collect::<Vec<_>>());
}
