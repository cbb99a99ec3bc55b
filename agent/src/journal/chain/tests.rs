//! Random edits of a chain: no changed line is accepted, and few others are lost.

use std::{collections::HashSet, sync::Arc};

use fastrand::Rng;
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    clock::{BootId, Stamp},
    journal::record::{FORMAT, Record},
};

/// Lines of a chain, and the hash of each.
fn written(count: u64) -> (Vec<Vec<u8>>, Vec<Digest>) {
    let at = Stamp { boot: BootId::UNKNOWN, boot_ms: 1_000, wall: Timestamp::UNIX_EPOCH };
    let mut prev = Digest::none();
    let (mut lines, mut digests) = (Vec::new(), Vec::new());
    for seq in 1..=count {
        let device = "dl-home".to_owned();
        let entry = if seq == 1 {
            let (reason, set_aside, after) = (None, Vec::new(), None);
            Entry::ChainStarted { format: FORMAT, device, reason, set_aside, after }
        } else {
            Entry::AgentStopped { reason: format!("reason {}", seq * 1_001) }
        };
        let record = Record { seq, prev, at, entry };
        let line = serde_json::to_vec(&record).expect("a record serialises");
        prev = Digest::of(&line);
        lines.push(line);
        digests.push(prev.clone());
    }
    (lines, digests)
}

/// The hashes of the accepted lines, and the number of damages. The newest record has a noted hash.
fn believed(lines: &[Vec<u8>], newest: (u64, &Digest)) -> (Vec<Digest>, usize) {
    let hash = newest.1.as_str()[..12].to_owned();
    let mut chain = Chain::new(Some(NotedHash { seq: newest.0, hash }));
    let file: Arc<str> = "journal.ndjson".into();
    let (mut believed, mut damages) = (Vec::new(), 0);
    for (index, line) in lines.iter().enumerate() {
        let place = LineLocation { file: Arc::clone(&file), line: index as u64 + 1 };
        // An unreadable line is reported as damage by the chain.
        let _ = chain.line(line, place, index == 0);
    }
    chain.finish();
    while let Some(verdict) = chain.next() {
        match verdict {
            LineVerdict::Accepted(located) => believed.push(located.digest),
            LineVerdict::Damaged(_) => damages += 1,
        }
    }
    (believed, damages)
}

/// Applies one edit; returns how many of the written lines it may cost.
fn edit(lines: &mut Vec<Vec<u8>>, kind: u8, random: &mut Rng) -> usize {
    let place = random.usize(..lines.len());
    let other = random.usize(..lines.len());
    match kind {
        0 => {
            lines.remove(place);
            1
        }
        1 => {
            lines.swap(place, other);
            // Both lines remain, and their neighbours confirm them at their new positions.
            0
        }
        2 => {
            let copy = lines[place].clone();
            lines.insert(other, copy);
            0
        }
        3 => {
            // One digit of a number, a hash or a time.
            let digits: Vec<_> = (0..lines[place].len())
                .filter(|index| lines[place][*index].is_ascii_digit())
                .collect();
            if digits.is_empty() {
                return 0;
            }
            let index = digits[random.usize(..digits.len())];
            let old = lines[place][index];
            lines[place][index] = if old == b'7' { b'3' } else { b'7' };
            1
        }
        4 => {
            let junk = [&b"{}"[..], b"", b"\0\0\0", b"not a record"][random.usize(..4)];
            lines.insert(place, junk.to_vec());
            0
        }
        _ => {
            // A forged record, inserted at the position of another.
            let text = String::from_utf8(lines[place].clone()).expect("a record is UTF-8");
            lines.insert(other, text.replace("reason ", "reason 9").into_bytes());
            0
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn one_edit_costs_only_the_lines_it_touches_and_is_detected(
        kind in 0_u8..6, count in 3_u64..20, seed: u64,
    ) {
        let (whole, digests) = written(count);
        let newest = (count, digests.last().expect("at least three lines"));
        let mut lines = whole.clone();
        let touched = edit(&mut lines, kind, &mut Rng::with_seed(seed));
        let (found, damages) = believed(&lines, newest);
        let known: HashSet<_> = digests.iter().map(Digest::as_str).collect();
        for digest in &found {
            prop_assert!(known.contains(digest.as_str()), "a record that was never written");
        }
        let found: HashSet<_> = found.iter().map(Digest::as_str).collect();
        let order = shown(&lines, &digests);
        prop_assert!(found.len() + touched >= digests.len(), "{} of {order}", found.len());
        // The first and the last line can be missing without a trace in the others; the reader
        // detects that the journal does not begin with its first record.
        let begins_as_written = lines.first() == whole.first();
        if lines != whole && kind != 0 && begins_as_written {
            prop_assert!(damages > 0, "the edit is detected");
        }
    }
}

/// The lines as the numbers that they were written with, and X for a line that was not written.
fn shown(lines: &[Vec<u8>], digests: &[Digest]) -> String {
    let name = |line: &Vec<u8>| {
        let digest = Digest::of(line);
        let number = digests.iter().position(|known| *known == digest);
        number.map_or("X".to_owned(), |number| (number + 1).to_string())
    };
    lines.iter().map(name).collect::<Vec<_>>().join(" ")
}
