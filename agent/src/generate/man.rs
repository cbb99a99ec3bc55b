//! The man pages: `ispmon-agent.1`, one for each command, and `agent.toml.5`.

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use crate::{
    cli,
    config::table::{SETTINGS, Setting},
};

/// The manual that the pages belong to, in the middle of their first line.
const MANUAL: &str = "ispmon";

/// What every page begins with: apostrophes that stay what they are.
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// A man page.
#[derive(Debug)]
pub(super) struct ManPage {
    /// The name of its file, such as `ispmon-agent.1`.
    pub(super) file_name: String,
    /// Its source, for `man`.
    pub(super) text: String,
}

/// Makes all pages, that of the program first.
pub(super) fn pages() -> Vec<ManPage> {
    let mut definition = cli::definition().disable_help_subcommand(true);
    definition.build();
    let mut pages = Vec::new();
    add_commands(&definition, &mut pages);
    pages.push(configuration_page());
    pages
}

/// Adds the page of a command and those of its commands.
fn add_commands(command: &Command, pages: &mut Vec<ManPage>) {
    pages.push(command_page(command));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        add_commands(below, pages);
    }
}

fn command_page(command: &Command) -> ManPage {
    let command = command.clone().subcommand_help_heading("COMMANDS");
    let man = Man::new(command.clone()).manual(MANUAL).source(source());
    let is_root = command.get_name() == "ispmon-agent";
    let mut text = part(|output| man.render_title(output));
    text += &part(|output| man.render_name_section(output));
    text += &part(|output| man.render_synopsis_section(output));
    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]);
    let about = command.get_long_about().or_else(|| command.get_about());
    paragraphs(&mut roff, &about.map(ToString::to_string).unwrap_or_default());
    text += &lines(&roff);
    text += &part(|output| man.render_options_section(output));
    if command.has_subcommands() {
        text += &part(|output| man.render_subcommands_section(output));
    }
    let mut roff = Roff::new();
    if let Some(more) = command.get_after_help() {
        roff.control("SH", [if is_root { "CONFIGURATION" } else { "NOTES" }]);
        paragraphs(&mut roff, &more.to_string());
    }
    let others: &[_] =
        if is_root { &["agent.toml(5)"] } else { &["ispmon-agent(1)", "agent.toml(5)"] };
    see_also(&mut roff, others);
    text += &lines(&roff);
    ManPage { file_name: man.get_filename(), text: finished(&text) }
}

fn configuration_page() -> ManPage {
    let mut roff = Roff::new();
    roff.control("TH", ["agent.toml", "5", "", &source(), MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("agent.toml - configuration of ispmon-agent")]);
    roff.control("SH", ["DESCRIPTION"]);
    paragraphs(
        &mut roff,
        "\
The settings of ispmon-agent(1), in TOML. The file is /etc/ispmon/agent.toml, with Homebrew
etc/ispmon/agent.toml below its prefix, or the one that `--config` names. Every setting has a default,
so a file may be empty or missing. Variables override the file, and flags override both.

Durations are written like \"90s\", \"5 min\", \"1h 30m\", or as a number of seconds. A setting that does
not exist and a value that is not allowed are refused, with all others that are wrong.

`ispmon-agent config --sample` prints a file with every setting and its default, and
`ispmon-agent config` what is in force and where it came from. A running agent reads the file again
on SIGHUP (`systemctl reload ispmon-agent`), and keeps its old settings when the new ones are wrong.
The function key of a service is handed over when the service starts: after a change of the key,
`systemctl restart ispmon-agent`.",
    );
    roff.control("SH", ["SETTINGS"]);
    let mut section = "";
    for setting in SETTINGS {
        let (part, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if part != section {
            section = part;
            roff.control("SS", [format!("[{section}]").as_str()]);
        }
        describe(&mut roff, setting, name);
    }
    see_also(&mut roff, &["ispmon-agent(1)", "ispmon-agent-config(1)"]);
    ManPage { file_name: "agent.toml.5".to_owned(), text: finished(&lines(&roff)) }
}

fn describe(roff: &mut Roff, setting: &Setting, name: &str) {
    roff.control("TP", []);
    if setting.is_optional() {
        roff.text([bold(name), roman(" (not set)")]);
    } else {
        roff.text([bold(name), roman(format!(" = \"{}\"", setting.default))]);
    }
    paragraphs(roff, setting.description);
    for line in setting.takes().into_iter().chain([setting.overridden_by()]) {
        roff.control("br", []);
        paragraphs(roff, &line);
    }
}

fn see_also(roff: &mut Roff, pages: &[&str]) {
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(pages.join(", "))]);
}

/// Adds a text in which an empty line begins a paragraph.
fn paragraphs(roff: &mut Roff, text: &str) {
    for line in text.lines() {
        if line.trim().is_empty() {
            roff.control("PP", []);
        } else {
            roff.text([roman(line)]);
        }
    }
}

/// A page whose parts were put together: each of them begins with the same lines, the synopsis ends in a
/// space, and what stands between backticks is typed.
fn finished(text: &str) -> String {
    let text = text.replace(APOSTROPHE, "").replace(" \n", "\n");
    let mut page = APOSTROPHE.to_owned();
    for (index, part) in text.split('`').enumerate() {
        if index > 0 {
            page.push_str(if index % 2 == 1 { "\\fB" } else { "\\fR" });
        }
        page.push_str(part);
    }
    page
}

/// What is written on the left of the last line of each page.
fn source() -> String {
    format!("ispmon-agent {}", env!("CARGO_PKG_VERSION"))
}

/// The source of what has been put together.
fn lines(roff: &Roff) -> String {
    part(|output| roff.to_writer(output))
}

/// What one of the generator's functions writes.
fn part(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut text = Vec::new();
    write(&mut text).expect("memory takes it");
    String::from_utf8(text).expect("man pages are text")
}
