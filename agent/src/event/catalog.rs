//! The message catalog of systemd's journal, made from the kinds of events.

use std::fmt::Write;

use super::KINDS;

/// The width at which paragraphs are broken, in characters: `journalctl -x` does not break lines.
const WIDTH: usize = 110;

/// The text of `/usr/lib/systemd/catalog/ispmon-agent.catalog`
/// (<https://systemd.io/CATALOG/>): one entry for each kind of event that has an explanation.
pub fn catalog() -> String {
    let mut text = String::from(
        "# What `journalctl -x` says about the log events of ispmon-agent.\n\
         # Made by `ispmon-agent generate catalog`; the texts are in agent/src/event/.\n",
    );
    for kind in KINDS.iter().copied().flatten() {
        let Some(explanation) = &kind.explanation else { continue };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n-- {}\nSubject: {}\nDefined-By: ispmon-agent\nDocumentation: man:ispmon-agent(1)\n",
            kind.message_id, explanation.subject
        );
        for paragraph in explanation.text.split("\n\n") {
            text.push('\n');
            text.push_str(&wrapped(paragraph));
        }
    }
    text
}

/// A paragraph in lines of at most [`WIDTH`] characters; one that begins with spaces is kept as it is.
fn wrapped(paragraph: &str) -> String {
    if paragraph.starts_with(' ') {
        return format!("{paragraph}\n");
    }
    let (mut text, mut width) = (String::new(), 0);
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            text.push('\n');
            width = 0;
        } else if width > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += length;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::event::{Fields, SOURCES};

    /// The catalog that packages install and that `ispmon-agent install` writes.
    const INSTALLED: &str = include_str!("../../../packaging/systemd/ispmon-agent.catalog");

    #[test]
    fn the_installed_catalog_is_the_generated_one() {
        assert!(
            INSTALLED == catalog(),
            "run: cargo run -p ispmon-agent -- generate catalog >packaging/systemd/ispmon-agent.catalog"
        );
    }

    #[test]
    fn every_kind_that_is_defined_is_in_the_list() {
        let defined: usize =
            SOURCES.iter().map(|source| source.matches("&EventKind::new(").count()).sum();
        assert_eq!(KINDS.concat().len(), defined, "add the kind to KINDS of its file");
    }

    #[test]
    fn every_file_with_kinds_is_searched_for_them() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/event");
        let files = std::fs::read_dir(folder).expect("the folder can be read");
        let mut searched = SOURCES.to_vec();
        for file in files {
            let path = file.expect("its entries can be read").path();
            let text = std::fs::read_to_string(&path).expect("the file can be read");
            if text.contains("\npub(super) const KINDS") {
                let index = searched.iter().position(|source| *source == text);
                let index = index.unwrap_or_else(|| panic!("add {} to SOURCES", path.display()));
                searched.swap_remove(index);
            }
        }
    }

    #[test]
    fn each_kind_has_a_name_and_an_id_of_its_own() {
        let kinds = KINDS.concat();
        let names: HashSet<_> = kinds.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), kinds.len());
        let ids: HashSet<_> = kinds.iter().map(|kind| kind.message_id).collect();
        assert_eq!(ids.len(), kinds.len());
        for id in ids {
            let is_id = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            assert!(id.len() == 32 && id.bytes().all(is_id), "{id}");
        }
    }

    #[test]
    fn the_catalog_names_no_field_that_is_never_sent() {
        for field in catalog().split('@').skip(1).step_by(2) {
            let name = field.to_ascii_lowercase();
            assert!(Fields::NAMES.contains(&name.as_str()), "@{field}@");
        }
    }

    #[test]
    fn a_paragraph_is_broken_between_words_and_an_example_is_not() {
        let long = "seven77 ".repeat(30);
        let lines: Vec<_> = wrapped(&long).lines().map(str::len).collect();
        assert_eq!(lines, [103, 103, 31]);
        assert_eq!(wrapped("    ispmon-agent report"), "    ispmon-agent report\n");
    }
}
