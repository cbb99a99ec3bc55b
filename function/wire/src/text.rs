//! Cleans texts from outside.

/// Removes control characters and cuts the rest after `most` characters.
///
/// Control characters are removed because the text ends up in logs, mails and terminals. Cutting
/// counts characters, not bytes, so that no character is split.
pub(crate) fn clean(text: &str, most: usize) -> String {
    text.chars().filter(|character| !character.is_control()).take(most).collect()
}

/// Cleans a text; a blank result counts as absent.
pub(crate) fn present(text: Option<&str>, most: usize) -> Option<String> {
    text.map(|text| clean(text, most)).filter(|text| !text.trim().is_empty())
}
