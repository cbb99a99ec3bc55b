use std::collections::BTreeSet;

use super::*;
use crate::config::table::SETTINGS;

fn page(file_name: &str) -> String {
    let found = man::pages().into_iter().find(|page| page.file_name == file_name);
    found.unwrap_or_else(|| panic!("there is a page {file_name}")).text
}

fn completions(shell: Shell) -> String {
    let mut output = Vec::new();
    write_completions(shell, &mut output).expect("writing to memory cannot fail");
    String::from_utf8(output).expect("UTF-8")
}

/// The names of all visible commands, each with its parent commands.
fn shown_commands(command: &clap::Command, above: &str) -> Vec<String> {
    let name = format!("{above}{}", command.get_name());
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    let mut names: Vec<_> =
        below.flat_map(|below| shown_commands(below, &format!("{name}-"))).collect();
    names.push(name);
    names
}

#[test]
fn each_command_of_the_help_has_a_page_and_so_has_the_configuration() {
    let mut expected: BTreeSet<_> = shown_commands(&cli::definition(), "")
        .into_iter()
        .map(|name| format!("{name}.1"))
        .collect();
    assert!(expected.contains("ispmon-agent-journal-verify.1"), "{expected:?}");
    expected.insert("agent.toml.5".to_owned());
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("not/there/yet");
    write_man_pages(&target).expect("the pages are written");
    let written: BTreeSet<_> = fs::read_dir(&target)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn a_page_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("ispmon-agent.1")).expect("a folder in the way");
    let error = write_man_pages(folder.path()).expect_err("it is refused");
    assert!(error.to_string().ends_with("ispmon-agent.1"), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let error = write_man_pages(&file).expect_err("it is refused");
    assert!(error.to_string().contains("cannot create the folder"), "{error}");
}

#[test]
fn the_page_of_a_command_matches_its_help() {
    let page = page("ispmon-agent-pause.1").replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(page, @r#"
    .ie \n(.g .ds Aq \(aq
    .el .ds Aq '
    .TH ispmon-agent-pause 1  "ispmon-agent VERSION" ispmon
    .SH NAME
    ispmon\-agent\-pause \- Pause monitoring and heartbeats for a time, without an alarm
    .SH SYNOPSIS
    \fBispmon\-agent pause\fR [\fB\-\-config\fR] [\fB\-\-url\fR] [\fB\-\-device\fR] [\fB\-\-interval\fR] [\fB\-\-state\-dir\fR] [\fB\-v\fR|\fB\-\-verbose\fR] [\fB\-h\fR|\fB\-\-help\fR] <\fITIME\fR>
    .SH DESCRIPTION
    Pause monitoring and heartbeats for a time, without an alarm
    .PP
    The running agent neither monitors nor sends heartbeats until the time is over or you run
    \fBresume\fR, also across a restart. It announces the silence to the cloud, so that no mail comes
    during the pause; the alarm comes if no heartbeat arrives after it. Meant for work on the router
    or a move. The journal records the pause as not monitored.
    .PP
    Allowed for root and for members of the agent\*(Aqs group (ispmon).
    .SH OPTIONS
    .TP
    \fB\-\-config\fR \fI<FILE>\fR
    Configuration file [default: /etc/ispmon/agent.toml]
    .TP
    \fB\-h\fR, \fB\-\-help\fR
    Print help (see a summary with \*(Aq\-h\*(Aq)
    .TP
    <\fITIME\fR>
    Length of the pause, 1 s to 24 h: 2h, 90min, 45 (seconds)
    .SH SETTINGS
    .TP
    \fB\-\-url\fR \fI<URL>\fR
    Where heartbeats go [setting heartbeat.url]
    .TP
    \fB\-\-device\fR \fI<NAME>\fR
    The name of this device [setting device]
    .TP
    \fB\-\-interval\fR \fI<TIME>\fR
    The time between heartbeats: 60s, 5min or seconds [setting heartbeat.interval]
    .TP
    \fB\-\-state\-dir\fR \fI<FOLDER>\fR
    The folder of the journal [setting state_dir]
    .TP
    \fB\-v\fR, \fB\-\-verbose\fR
    Log in more detail [setting log.level, to debug]
    .SH "SEE ALSO"
    ispmon\-agent(1), agent.toml(5)
    "#);
}

#[test]
fn the_page_of_the_configuration_has_every_setting_in_its_section() {
    let page = page("agent.toml.5");
    let settings = &page[page.find(".SH SETTINGS").expect("the settings")..];
    let mut rest = settings;
    let mut section = "";
    for setting in SETTINGS {
        let (part, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if part != section {
            section = part;
            rest = rest.split_once(&format!(".SS [{section}]\n")).expect("its section").1;
        }
        rest = rest.split_once(&format!("\n\\fB{name}\\fR ")).expect(setting.key).1;
    }
    assert_eq!(settings.matches("\n.TP\n").count(), SETTINGS.len());
}

#[test]
fn completions_include_every_command_and_flag_that_the_help_shows() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let text = completions(shell);
        for command in cli::definition().get_subcommands() {
            let name = command.get_name();
            assert_eq!(text.contains(name), !command.is_hide_set(), "{shell:?}: {name}");
        }
        for flag in ["config", "state-dir", "since", "html", "version"] {
            assert!(text.contains(flag), "{shell:?}: {flag}");
        }
    }
}

#[test]
fn bash_finds_the_flags_of_each_command() {
    let script = completions(Shell::Bash);
    let chosen: BTreeSet<_> =
        script.split("cmd=\"").skip(1).filter_map(|rest| rest.split_once('"')).collect();
    assert!(chosen.len() > cli::definition().get_subcommands().count());
    for (command, _) in chosen.into_iter().filter(|(command, _)| !command.is_empty()) {
        assert!(script.contains(&format!("\n        {command})\n")), "{command}");
    }
}
