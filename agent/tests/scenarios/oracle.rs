//! Runs random worlds for hours of virtual time, and independently judges the journal of the agent.
//!
//! - [`sketch`] generates a world from a seed: a setup, and faults that come and go.
//! - [`witness`] derives from the world, without the machine, what is certain at each time.
//! - [`judge`] runs the world and compares the journal with that: liveness and truth.
//! - [`shrink`] reduces a failing world until it is small enough to read.
//!
//! `ISPMON_WORLDS` sets the number of worlds, `ISPMON_SEED` the first seed, or without `ISPMON_WORLDS`
//! the only one. `ISPMON_TRACE` prints all evidence of the shrunk world of a failure.

mod judge;
mod shrink;
mod sketch;
mod witness;

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use judge::Violation;
use sketch::RandomWorld;

/// Default number of worlds.
const WORLDS: u64 = 500;
/// Number of failing worlds shown for each broken rule.
const SHOWN: usize = 3;

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Runs the worlds of these seeds on all processors, and returns the violations by seed.
fn play(seeds: std::ops::Range<u64>) -> BTreeMap<u64, Vec<Violation>> {
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(BTreeMap::new()));
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let found = judge::broken(&RandomWorld::random(seed));
                    if !found.is_empty() {
                        failed.lock().expect("the lock is not poisoned").insert(seed, found);
                    }
                }
            });
        }
    });
    failed.into_inner().expect("the lock is not poisoned")
}

#[test]
fn the_journal_of_random_worlds_is_live_and_true() {
    let replayed = number("ISPMON_SEED");
    let seeds = match replayed {
        Some(seed) => seed..seed + number("ISPMON_WORLDS").unwrap_or(1),
        None => 0..number("ISPMON_WORLDS").unwrap_or(WORLDS),
    };
    let worlds = seeds.end - seeds.start;
    let failed = play(seeds);
    let mut by_rule: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (seed, found) in &failed {
        let mut rules: Vec<_> = found.iter().map(|violation| violation.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        for rule in rules {
            by_rule.entry(rule).or_default().push(*seed);
        }
    }
    let mut report = String::new();
    for (rule, seeds) in &by_rule {
        // Writing to a String cannot fail.
        let _ = writeln!(
            report,
            "\n== {rule}: {} worlds, seeds {:?}",
            seeds.len(),
            &seeds[..seeds.len().min(20)]
        );
        for seed in seeds.iter().take(SHOWN) {
            let small = shrink::shrink(RandomWorld::random(*seed), rule);
            if env::var_os("ISPMON_TRACE").is_some() {
                judge::trace(&small);
            }
            let found = judge::broken(&small);
            let violation = found.iter().find(|violation| violation.rule == *rule);
            let details = violation.map_or("", |violation| &violation.details);
            let _ = writeln!(report, "{small}\n  {details}\n");
        }
    }
    assert!(failed.is_empty(), "{} of {worlds} worlds fail:\n{report}", failed.len());
    println!("{worlds} worlds, no violation");
}

#[test]
fn a_wrong_journal_is_detected() {
    // The truth of one world must not fit the journal of another.
    let found = (0..200).filter(|seed| {
        let world = RandomWorld::random(*seed);
        let mut other = world.clone();
        other.faults.clear();
        !judge::compare_with(&world, &other).is_empty()
    });
    assert!(found.count() >= 50, "most worlds differ from a world without faults");
}
