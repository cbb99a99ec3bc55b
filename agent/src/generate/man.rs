//! The man pages: `ispmon-agent.1`, one per command, and `agent.toml.5`.

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use crate::{
    cli,
    config::table::{SETTINGS, Setting},
};

/// The name of the manual, shown in the middle of each page's first line.
const MANUAL: &str = "ispmon";

/// The start of every page: it keeps apostrophes from becoming typographic quotes.
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// A man page.
#[derive(Debug)]
pub(super) struct ManPage {
    /// The name of its file, such as `ispmon-agent.1`.
    pub(super) file_name: String,
    /// Its roff source.
    pub(super) text: String,
}

/// Generates all pages, that of the program first.
pub(super) fn pages() -> Vec<ManPage> {
    let mut definition = cli::definition().disable_help_subcommand(true);
    definition.build();
    let mut pages = Vec::new();
    add_commands(&definition, &mut pages);
    pages.push(configuration_page());
    pages
}

/// Adds the page of a command and those of its subcommands.
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
        roff.control("SH", ["CONFIGURATION"]);
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
so the file may be empty or missing. Environment variables override the file, and flags override both.

Write durations like \"90s\", \"5 min\", \"1h 30m\", or as a number of seconds. The agent refuses unknown
settings and values that are not allowed, and reports all of them at once.

`ispmon-agent config --sample` prints a file with every setting and its default.
`ispmon-agent config` prints the current values and their sources. A running agent reads the file again
on SIGHUP (`systemctl reload ispmon-agent`), and keeps its old settings if the new ones are wrong.
A service receives the function key only when it starts: after a change of the key, run
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

/// Adds a text in which an empty line starts a new paragraph.
fn paragraphs(roff: &mut Roff, text: &str) {
    for line in text.lines() {
        if line.trim().is_empty() {
            roff.control("PP", []);
        } else {
            roff.text([roman(line)]);
        }
    }
}

/// Cleans up a page that was put together from parts: removes the repeated start of each part and spaces
/// at line ends, and sets text between backticks in bold.
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

/// The program and its version, shown on the left of each page's last line.
fn source() -> String {
    format!("ispmon-agent {}", env!("CARGO_PKG_VERSION"))
}

/// The roff source of a document.
fn lines(roff: &Roff) -> String {
    part(|output| roff.to_writer(output))
}

/// The output of one of the generator's functions.
fn part(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut text = Vec::new();
    write(&mut text).expect("writing to memory cannot fail");
    String::from_utf8(text).expect("man pages are UTF-8")
}
