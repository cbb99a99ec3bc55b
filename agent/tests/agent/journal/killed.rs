//! `kill -9` at random points.

use std::{collections::HashMap, env};

use ispmon_agent::journal::{JournalReader, verify};

use super::child::Writer;

/// How many processes are killed unless the variable says so; the thousands of random points are those of
/// the writer's own tests.
const KILLS: usize = 25;
const KILLS_VARIABLE: &str = "ISPMON_TEST_KILLS";

#[test]
fn what_a_killed_agent_has_acknowledged_is_there_and_the_chain_is_valid() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut acknowledged: HashMap<u64, String> = HashMap::new();
    let kills = env::var(KILLS_VARIABLE).ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    for kill in 0..kills {
        let writer = Writer::start(folder.path(), None);
        for (seq, digest) in writer.kill_after(1 + kill * 13 % 40) {
            assert_eq!(acknowledged.insert(seq, digest), None, "record {seq} was there already");
        }
        let verified = verify(folder.path()).expect("there is a journal");
        assert!(verified.first_problem.is_none(), "{:?}", verified.first_problem);
    }
    assert!(acknowledged.len() > kills);
    for read in JournalReader::open(folder.path()).expect("there is a journal") {
        let located = read.expect("nothing is damaged");
        if let Some(digest) = acknowledged.remove(&located.record.seq) {
            assert_eq!(digest, located.digest.as_str());
        }
    }
    assert!(acknowledged.is_empty(), "these are lost: {acknowledged:?}");
}
