//! Values that the templates reject, and how they split the longest names. These tests need the Bicep
//! CLI, which evaluates a deployment offline.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use ispmon_wire::unusable_character;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    deployment::{self, RULE},
    limits::RULE_BYTES,
};

const SECRET: &str = "https://hooks.example.org/secret";

/// A copy of the templates, and the program that evaluates them; without the program `None`, with a
/// printed note.
struct Templates {
    folder: TempDir,
    bicep: PathBuf,
}

impl Templates {
    fn copied() -> Option<Self> {
        let tools = env::var_os("ISPMON_TOOLS").into_iter().collect::<Vec<_>>();
        let path = env::var_os("PATH").unwrap_or_default();
        let mut folders = env::split_paths(&path).chain(tools.into_iter().map(PathBuf::from));
        let Some(bicep) = folders.find_map(|folder| fs::canonicalize(folder.join("bicep")).ok())
        else {
            let note = "SKIPPED: no bicep on PATH or in ISPMON_TOOLS\n";
            let _ = std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes());
            return None;
        };
        let folder = TempDir::new().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for part in ["", "modules", "queries", "queries/self-monitoring", "queries/workbook"] {
            let target = folder.path().join(part);
            fs::create_dir_all(&target).unwrap();
            for file in fs::read_dir(source.join(part)).unwrap() {
                let file = file.unwrap();
                if file.file_type().unwrap().is_file() {
                    fs::copy(file.path(), target.join(file.file_name())).unwrap();
                }
            }
        }
        Some(Self { folder, bicep })
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Evaluates a parameter file with these environment variables.
    fn evaluate(&self, name: &str, variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(&self.bicep);
        command.current_dir(self.folder.path()).env_clear();
        for kept in ["PATH", "HOME"] {
            command.envs(env::var_os(kept).map(|value| (kept, value)));
        }
        command.envs([("HEARTBEAT_DEVICE", "dl-home"), ("ALERT_EMAIL", "owner@example.org")]);
        command.envs(variables.iter().copied());
        command.args(["snapshot", &format!("{name}.bicepparam"), "--mode", "overwrite"]);
        for (option, value) in [
            ("--tenant-id", "00000000-0000-0000-0000-000000000001"),
            ("--subscription-id", "00000000-0000-0000-0000-000000000002"),
            ("--resource-group", "ispmon"),
            ("--location", "westeurope"),
            ("--deployment-name", "ispmon"),
        ] {
            command.args([option, value]);
        }
        command.output().unwrap()
    }

    fn snapshot(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(format!("{name}.snapshot.json"))).unwrap()
    }
}

#[test]
fn invalid_values_are_rejected_with_a_message_that_names_the_variable() {
    let Some(templates) = Templates::copied() else { return };
    for (variables, reason) in [
        (vec![("PREFIX", "home-")], "PREFIX must contain only letters"),
        (vec![("HEARTBEAT_DEVICE", "dl-home,İstanbul")], "HEARTBEAT_DEVICE: device names"),
        (vec![("ALERT_EMAIL", "owner@example")], "ALERT_EMAIL must contain mail addresses"),
        (vec![("ALERT_EMAIL", "a@example.org,A@Example.org")], "ALERT_EMAIL must contain each"),
        (vec![("DAILY_CAP_GB", "0")], "set it to 1 or more"),
        (vec![("BUDGET_AMOUNT", "5"), ("BUDGET_START", "2026-12-02")], "BUDGET_START"),
    ] {
        let output = templates.evaluate("main", &variables);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(reason), "{variables:?}: {text}");
    }
}

/// Secrets are not evaluated offline, so the validation functions are called directly.
#[test]
fn each_value_is_accepted_or_rejected_correctly() {
    let Some(templates) = Templates::copied() else { return };
    templates.write("trial.bicepparam", "using './trial.bicep'\n");
    templates.write(
        "trial.bicep",
        r"
import { checkedUrls, isDeviceName, isMailAddress, isPrefix, isSecureUrl } from 'modules/checks.bicep'
var table = loadJsonContent('trial.json')
output prefixes bool[] = map(table.prefixes, text => isPrefix(text))
output addresses bool[] = map(table.addresses, text => isMailAddress(text))
output devices bool[] = map(table.devices, text => isDeviceName(text))
output urls bool[] = map(table.urls, text => isSecureUrl(text))
output lists (string[])[] = map(table.lists, text => checkedUrls(text))
",
    );
    let good = json!({
        "prefixes": ["ispmon", "Net-Watch-16-xyz", "ab", "a1-2"],
        "addresses": ["owner@example.org", "a.b+c@x-y.example.co.uk", "ö@example.org"],
        "devices": [
            "007", "1e5", "1.50", "true", "2026-11-28", "it's", "a\"b", "back\\slash", " padded ", "東京 🏠",
            "'] | take 0", "ß", "ǆ", "7c9e6679-7425-40de-944b-e07fc1f90ae7", "tab\there", "Ärger;",
        ],
        "urls": [SECRET, "HTTPS://x"],
        "lists": ["", " ", "https://a.example, https://b.example"],
    });
    let bad = json!({
        "prefixes": ["home-", "a--b", "1a", "-a", "a_b", "ä-b", "a b", ""],
        "addresses": [
            "owner", "owner@example", "@example.org", "a@b@example.org", "a b@example.org", "a@.org", "a@example.",
            "a@example..org", "Me <me@example.org>", "a@example.org;b@example.org", "a@example.org,b@example.org", "",
        ],
        "devices": [
            "", "  ", "a,b", "a\nb", "a\r", "İ", "ı", "ẞ", "Σ", "ς", "\u{212a}", "\u{212b}", "\u{2126}", "ϴ", "ǅ", "Ǆ",
            "ǈ", "ǋ", "ǲ", "a\u{85}b", "a\u{2028}b", "a\u{2029}b", "a\u{0}b",
        ],
        "urls": ["http://x.example", "https://", "ftp://x", "x", "https://a b", ""],
        "lists": [],
    });
    // The agent rejects the same letters. The rest is blank or has a control character or a line break.
    for (table, is_good) in [(&good, true), (&bad, false)] {
        for name in table["devices"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
            let is_plain = !name.trim().is_empty()
                && !name.chars().any(|letter| {
                    letter.is_control() || letter == '\u{2028}' || letter == '\u{2029}'
                });
            if is_good || is_plain || name.contains(',') {
                assert_eq!(unusable_character(name).is_none(), is_good, "{name:?}");
            }
        }
    }
    for (table, is_good) in [(&good, true), (&bad, false)] {
        templates.write("trial.json", &table.to_string());
        let output = templates.evaluate("trial", &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let outputs: Value = serde_json::from_str(&templates.snapshot("trial")).unwrap();
        for name in ["prefixes", "addresses", "devices", "urls"] {
            let (texts, verdicts) = (&table[name], &outputs["outputs"][name]);
            for (text, verdict) in
                texts.as_array().unwrap().iter().zip(verdicts.as_array().unwrap())
            {
                assert_eq!(verdict, is_good, "{name}: {text}");
            }
        }
        if is_good {
            let lists = json!([[], [], ["https://a.example", "https://b.example"]]);
            assert_eq!(outputs["outputs"]["lists"], lists);
        }
    }
    for list in [format!("{SECRET},{SECRET}"), "http://hooks.example.org/secret".to_owned()] {
        templates.write(
            "trial.json",
            &json!({"prefixes": [], "addresses": [], "devices": [], "urls": [], "lists": [list]})
                .to_string(),
        );
        let output = templates.evaluate("trial", &[]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains("ALERT_WEBHOOK"), "{text}");
    }
}

/// Evaluates the templates for these devices, checks that every device is in exactly one rule of each
/// kind and that no rule is too large, and returns the number of sets.
fn split(templates: &Templates, devices: &[String], variables: &[(&str, &str)]) -> usize {
    // An environment variable on Linux holds less than the list of all devices.
    let lists: Vec<_> = devices.chunks(625.min(devices.len())).map(|part| part.join(",")).collect();
    let names: Vec<_> = (1..=lists.len())
        .map(|number| match number {
            1 => "HEARTBEAT_DEVICE".to_owned(),
            _ => format!("HEARTBEAT_DEVICE_{number}"),
        })
        .collect();
    let mut variables = variables.to_vec();
    variables.extend(names.iter().zip(&lists).map(|(name, list)| (name.as_str(), list.as_str())));
    let output = templates.evaluate("main", &variables);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let snapshot = templates.snapshot("main");
    let deployment = deployment::read("long", "ispmon", "westeurope", vec![], &snapshot);
    for rule in deployment.of_type(RULE) {
        let size = rule["properties"].to_string().len();
        assert!(size <= RULE_BYTES, "{} has {size} bytes: {}", rule["name"], devices[0]);
    }
    let rules = deployment.rules();
    for kind in &deployment::KINDS {
        let mut starts: Vec<&str> = rules
            .iter()
            .filter(|rule| rule.kind.name == kind.name)
            .flat_map(|rule| rule.query().split('\'').filter(|part| part.starts_with("device-")))
            .filter_map(|part| part.get(..11))
            .collect();
        assert_eq!(starts.len(), devices.len(), "{}", kind.name);
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts.len(), devices.len(), "{}", kind.name);
    }
    rules.len() / deployment::KINDS.len()
}

fn devices(count: usize, filling: &str) -> Vec<String> {
    (0..count).map(|number| format!("device-{number:04}{}", filling.repeat(89))).collect()
}

#[test]
fn the_longest_names_are_split_so_that_no_rule_is_too_large() {
    let Some(templates) = Templates::copied() else { return };
    for (filling, sets) in [(r"\", 3), ("'", 2), ("東", 2)] {
        assert_eq!(split(&templates, &devices(300, filling), &[]), sets, "{filling}");
    }
}

#[test]
fn the_maximum_number_of_devices_fits_into_one_deployment() {
    let Some(templates) = Templates::copied() else { return };
    let sets = split(&templates, &devices(5_000, "'"), &[("DAILY_CAP_GB", "15")]);
    assert!((25..=40).contains(&sets), "{sets}");
}

#[test]
fn without_rules_all_other_resources_are_deployed() {
    let Some(templates) = Templates::copied() else { return };
    let output = templates
        .evaluate("main", &[("RULES_ENABLED", "false"), ("HEARTBEAT_DEVICE_8", "attic, DL-Home")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bare =
        deployment::read("bare", "ispmon", "westeurope", vec![], &templates.snapshot("main"));
    let left_out =
        [RULE, "Microsoft.AlertsManagement/actionRules", "Microsoft.Insights/activityLogAlerts"];
    for kind in left_out {
        assert!(bare.of_type(kind).is_empty(), "{kind}");
    }
    assert_eq!(bare.outputs["ruleNames"], json!([]));
    let main = deployment::main();
    let kept =
        main.resources.iter().filter(|each| !left_out.contains(&each["type"].as_str().unwrap()));
    let ids = |deployment: &deployment::Deployment| -> Vec<_> {
        deployment.resources.iter().map(|each| each["id"].clone()).collect()
    };
    assert_eq!(ids(&bare), kept.map(|each| each["id"].clone()).collect::<Vec<_>>());
    // A list continues in further variables, and a device that is listed twice is one device.
    let settings = &bare.only(deployment::SITE)["properties"]["siteConfig"]["appSettings"];
    assert!(settings.to_string().contains(r#""dl-home,attic""#), "{settings}");
}
