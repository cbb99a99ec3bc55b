//! The command `simulate` as a user runs it.

use assert_cmd::Command;

fn simulate(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("ispmon-lab").expect("the lab");
    command.arg("simulate").args(arguments);
    command
}

fn stdout(arguments: &[&str]) -> String {
    let output = simulate(arguments).assert().success().get_output().clone();
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert!(stderr.starts_with("Simulated in ") && stderr.lines().count() == 1, "{stderr}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_year_of_a_bad_connection_is_shown_as_a_table() {
    let text = stdout(&[
        "--seeds",
        "1",
        "--outages",
        "100",
        "--pauses",
        "0",
        "--platform-down",
        "0",
        "--overtaking",
        "--compare",
        "threshold=5,10",
    ]);
    insta::assert_snapshot!(text, @r"
    1 world of 1 year, seed 1

    | threshold of silence, minutes |     5 |    10 |
    |-------------------------------|------:|------:|
    | evaluation every … minutes    |     5 |     5 |
    | heartbeat every … seconds     |    60 |    60 |
    | outages of 12 min or longer   |    31 |    31 |
    |   mailed                      |    31 |    30 |
    |   missed                      |     0 |     1 |
    |   missed while Azure failed   |     0 |     0 |
    | false alarms                  |     0 |     0 |
    |   in 100 years                |  0.00 |  0.00 |
    | alarms while Azure failed     |     0 |     0 |
    | alarms about shorter outages  |     1 |     0 |
    | false resolves                |     0 |     0 |
    | first mail: median, minutes   |   6.7 |  11.3 |
    | first mail: 95 of 100 within  |   9.4 |  13.6 |
    | first mail: worst             |   9.8 |  13.7 |
    | mails a year                  | 321.0 | 294.0 |
    |   silent                      |  45.0 |  32.0 |
    |   resolved                    |  45.0 |  32.0 |
    |   reminders                   | 186.0 | 185.0 |
    |   reports                     |  45.0 |  45.0 |
    | mails kept back by the limit  |     0 |     0 |
    | years of one device           |     1 |     1 |
    | price a month, US dollars     |  4.50 |  4.50 |
    ");
}

#[test]
fn equal_arguments_give_equal_json_and_a_self_contained_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("years.html");
    let page = page.to_str().expect("a path");
    let arguments = ["--seeds", "2", "--first-seed", "5", "--json", "--html", page];
    let one = stdout(&arguments);
    assert_eq!(one, stdout(&arguments));
    let document: serde_json::Value = serde_json::from_str(&one).expect("JSON");
    let result = &document["results"][0];
    assert_eq!(result["device_years"], 2.0);
    let number = |name: &str| result[name].as_u64().expect(name);
    assert_eq!(
        number("mailed") + number("missed") + number("missed_while_azure_failed"),
        number("outages")
    );
    let html = std::fs::read_to_string(page).expect("a page");
    assert!(
        html.starts_with("<!DOCTYPE html>")
            && html.contains("<svg")
            && html.contains("seeds 5 to 6")
    );
    for foreign in ["<script", "http://", "https://", "@import", "url("] {
        assert!(!html.contains(foreign), "{foreign}");
    }
}

#[test]
fn a_page_that_cannot_be_written_is_an_error() {
    let assert =
        simulate(&["--seeds", "1", "--outages", "0", "--html", "/nowhere/page.html"]).assert();
    let output = assert.failure().get_output().clone();
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert!(stderr.contains("cannot write `/nowhere/page.html`"), "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn invalid_arguments_are_rejected() {
    simulate(&["--threshold", "soon"]).assert().code(64);
    simulate(&["--compare", "colour=red"]).assert().code(64);
}
