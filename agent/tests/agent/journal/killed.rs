//! `kill -9` of a writer at random points.

use std::{collections::HashMap, env};

use ispmon_agent::journal::{JournalReader, verify};

use super::child::Writer;

/// The default number of processes to kill; the writer's own tests cover thousands of random points.
const KILLS: usize = 25;
const KILLS_VARIABLE: &str = "ISPMON_TEST_KILLS";

#[test]
fn acknowledged_records_survive_a_kill_and_the_chain_stays_valid() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut acknowledged: HashMap<u64, String> = HashMap::new();
    let kills = env::var(KILLS_VARIABLE).ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    for kill in 0..kills {
        let writer = Writer::start(folder.path(), None);
        for (seq, digest) in writer.kill_after(1 + kill * 13 % 40) {
            assert_eq!(acknowledged.insert(seq, digest), None, "record {seq} was there already");
        }
        let verified = verify(folder.path()).expect("the journal exists");
        assert!(verified.first_problem.is_none(), "{:?}", verified.first_problem);
    }
    assert!(acknowledged.len() > kills);
    for read in JournalReader::open(folder.path()).expect("the journal exists") {
        let located = read.expect("no record is damaged");
        if let Some(digest) = acknowledged.remove(&located.record.seq) {
            assert_eq!(digest, located.digest.as_str());
        }
    }
    assert!(acknowledged.is_empty(), "these are lost: {acknowledged:?}");
}
