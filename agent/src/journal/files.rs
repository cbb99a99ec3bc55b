//! The names of the files in a state folder.

/// The file that records are appended to.
pub(super) const CURRENT: &str = "journal.ndjson";
/// The sign of life that is overwritten in place.
pub(super) const ALIVE: &str = "alive";
/// The file whose lock says that an agent uses the folder.
pub(super) const LOCK: &str = "lock";
/// A copy that is not complete yet.
pub(super) const PARTIAL: &str = "journal.partial";
/// The file in which the outbox keeps what was acknowledged; the journal never touches it.
pub const HANDED_OVER_FILE: &str = "handed-over.json";

/// How long a file may become, in bytes; a record that would make it longer starts the next one.
pub(super) const FILE_BYTES: u64 = 4 << 20;
/// How many files are kept, the current one included.
pub(super) const FILES: usize = 16;

/// The name of a full file whose first record has this number.
pub(super) fn rolled(first_seq: u64) -> String {
    format!("journal.{first_seq:012}.ndjson")
}

/// The number of the first record in a full file, from its name; `None` for every other file.
pub(super) fn first_seq(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("journal.")?.strip_suffix(".ndjson")?;
    (digits.len() >= 12 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

/// The name under which a file is set aside for the `number`th time.
pub(super) fn set_aside(number: u32) -> String {
    format!("journal.set-aside-{number}.ndjson")
}

/// The full files among these names, oldest first, each with the number of its first record.
pub(super) fn rolled_files(names: &[String]) -> Vec<(u64, String)> {
    let mut files: Vec<_> =
        names.iter().filter_map(|name| Some((first_seq(name)?, name.clone()))).collect();
    files.sort_unstable();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_sort_by_their_first_record_whatever_else_lies_there() {
        let names =
            [CURRENT, ALIVE, LOCK, HANDED_OVER_FILE, PARTIAL, "journal.000000000x12.ndjson"];
        let mut names: Vec<String> = names.map(str::to_owned).to_vec();
        names.extend([rolled(1_000_000_000_000), rolled(12), set_aside(3), rolled(5)]);
        let sequence: Vec<u64> = rolled_files(&names).into_iter().map(|(seq, _)| seq).collect();
        assert_eq!(sequence, [5, 12, 1_000_000_000_000]);
        assert_eq!(rolled(5), "journal.000000000005.ndjson");
    }
}
