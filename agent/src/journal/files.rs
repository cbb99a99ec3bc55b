//! The names of the files in a state folder.

/// The file that records are appended to.
pub(super) const CURRENT: &str = "journal.ndjson";
/// The alive file, which is overwritten in place.
pub(super) const ALIVE: &str = "alive";
/// The lock file; the agent that uses the folder holds its lock.
pub(super) const LOCK: &str = "lock";
/// The file in which the outbox records what the cloud acknowledged; the journal never touches it.
pub const HANDED_OVER_FILE: &str = "handed-over.json";

/// The largest size of a file in bytes; a record that would exceed it starts the next file.
pub(super) const FILE_BYTES: u64 = 4 << 20;
/// The largest number of files, the current one included.
pub(super) const FILES: usize = 16;

/// The name of a full file whose first record has this number.
pub(super) fn rolled(first_seq: u64) -> String {
    format!("journal.{first_seq:012}.ndjson")
}

/// The number in the name of a full file; `None` for every other file. It is that of the first
/// record in the file unless a user renamed it.
pub(super) fn first_seq(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("journal.")?.strip_suffix(".ndjson")?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// The name under which a file is set aside for the `number`th time.
pub(super) fn set_aside(number: u32) -> String {
    format!("journal.set-aside-{number}.ndjson")
}

/// Whether a file with this name was set aside.
pub(super) fn is_set_aside(name: &str) -> bool {
    name.starts_with("journal.set-aside-") && name.ends_with(".ndjson")
}

/// A name for a full file whose first record has this number that is none of `names`.
pub(super) fn free_rolled(first_seq: u64, names: &[String]) -> String {
    // Files are read in the order of their content, so any free number will do.
    let free = (first_seq..u64::MAX).map(rolled).find(|name| !names.contains(name));
    free.unwrap_or_else(|| rolled(u64::MAX))
}

/// Those of `names` that are full files.
pub(super) fn full_files(names: &[String]) -> Vec<String> {
    names.iter().filter(|name| first_seq(name).is_some()).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_are_recognised_by_their_names() {
        let names =
            [CURRENT, ALIVE, LOCK, HANDED_OVER_FILE, "journal.x12.ndjson", "journal..ndjson"];
        let mut names: Vec<String> = names.map(str::to_owned).to_vec();
        let full = [rolled(1_000_000_000_000), rolled(12), rolled(u64::MAX), rolled(5)];
        names.extend([set_aside(3)]);
        names.extend(full.clone());
        assert_eq!(full_files(&names), full);
        assert_eq!(rolled(5), "journal.000000000005.ndjson");
        assert_eq!(first_seq("journal.99999999999999999999.ndjson"), Some(u64::MAX));
        assert_eq!(free_rolled(5, &names), rolled(6));
        assert_eq!(names.iter().filter(|name| is_set_aside(name)).count(), 1);
    }
}
