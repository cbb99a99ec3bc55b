//! Counts records that only a newer version understands, by kind and unknown word.

use std::collections::BTreeMap;

use super::record::UnknownRecord;

/// How many kinds and words are counted separately; further ones are counted together.
const MOST: usize = 16;
/// How many characters of a name are shown.
const LONGEST_NAME: usize = 40;

/// Counts of records that this version cannot show. Each output names them, so that nothing is
/// missing silently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnknownRecords {
    counts: BTreeMap<(String, Option<String>), u64>,
    more: u64,
}

impl UnknownRecords {
    /// Counts one record.
    pub fn count(&mut self, unknown: &UnknownRecord) {
        let name = (shown(&unknown.kind), unknown.word.as_deref().map(shown));
        let room = self.counts.len() < MOST;
        match self.counts.get_mut(&name) {
            Some(count) => *count += 1,
            None if room => {
                self.counts.insert(name, 1);
            }
            None => self.more += 1,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// One sentence for each unknown kind, and for each unknown word in a known kind.
    pub fn sentences(&self) -> Vec<String> {
        let named = self.counts.iter().map(|((kind, word), count)| {
            let word = word.as_ref().map(|word| format!(" with the word \"{word}\""));
            let what = format!("of kind \"{kind}\"{}", word.unwrap_or_default());
            sentence(*count, &what)
        });
        let more = (self.more > 0).then(|| sentence(self.more, "of further kinds"));
        named.chain(more).collect()
    }
}

fn sentence(count: u64, what: &str) -> String {
    if count == 1 {
        format!("1 record {what} comes from a newer version and is not shown.")
    } else {
        format!("{count} records {what} come from a newer version and are not shown.")
    }
}

/// A name from a file, shortened and escaped for a terminal.
fn shown(name: &str) -> String {
    let cut: String = name.chars().take(LONGEST_NAME).collect();
    cut.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_records_are_counted_by_kind_and_word() {
        let mut records = UnknownRecords::default();
        let unknown = |kind: &str, word: Option<&str>| UnknownRecord {
            kind: kind.to_owned(),
            word: word.map(str::to_owned),
            incident: None,
        };
        assert_eq!(records.sentences(), [""; 0]);
        records.count(&unknown("moon", None));
        records.count(&unknown("moon", None));
        records.count(&unknown("gap", Some("blind\u{1b}[31m")));
        assert_eq!(
            records.sentences(),
            [
                r#"1 record of kind "gap" with the word "blind\u{1b}[31m" comes from a newer version and is not shown."#,
                r#"2 records of kind "moon" come from a newer version and are not shown."#,
            ]
        );
        for number in 0..20 {
            records.count(&unknown(&number.to_string(), None));
        }
        let last = "6 records of further kinds come from a newer version and are not shown.";
        assert_eq!(records.sentences().last().map(String::as_str), Some(last));
    }
}
