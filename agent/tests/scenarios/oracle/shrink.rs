//! Reduces a failing world while it still breaks the same rule.

use super::{
    judge,
    sketch::{RandomWorld, WorldCondition},
};

/// Returns the smallest world found.
pub(super) fn shrink(mut sketch: RandomWorld, rule: &str) -> RandomWorld {
    let fails =
        |sketch: &RandomWorld| judge::broken(sketch).iter().any(|violation| violation.rule == rule);
    loop {
        let smaller = candidates(&sketch).into_iter().find(|smaller| fails(smaller));
        match smaller {
            Some(smaller) => sketch = smaller,
            None => return sketch,
        }
    }
}

fn candidates(sketch: &RandomWorld) -> Vec<RandomWorld> {
    let mut candidates = Vec::new();
    // Keep one half of the faults first, then drop one at a time.
    let half = sketch.faults.len() / 2;
    if half > 1 {
        for range in [0..half, half..sketch.faults.len()] {
            let mut smaller = sketch.clone();
            smaller.faults.drain(range);
            candidates.push(smaller);
        }
    }
    for index in 0..sketch.faults.len() {
        let mut smaller = sketch.clone();
        smaller.faults.remove(index);
        candidates.push(smaller);
    }
    let simple = |change: fn(&mut RandomWorld)| {
        let mut simpler = sketch.clone();
        change(&mut simpler);
        simpler
    };
    let setup = &sketch.setup;
    if setup.servers > 1
        && !sketch.faults.iter().any(|fault| matches!(fault.what, WorldCondition::NameServer(..)))
    {
        candidates.push(simple(|sketch| sketch.setup.servers = 1));
    }
    if setup.interval_ms != 5_000 {
        candidates.push(simple(|sketch| sketch.setup.interval_ms = 5_000));
    }
    if setup.grace_ms != 60_000 {
        candidates.push(simple(|sketch| sketch.setup.grace_ms = 60_000));
    }
    if setup.own_path.is_some() {
        candidates.push(simple(|sketch| sketch.setup.own_path = None));
    }
    if setup.tunnel {
        candidates.push(simple(|sketch| sketch.setup.tunnel = false));
    }
    if setup.ipv6_broken {
        candidates.push(simple(|sketch| sketch.setup.ipv6_broken = false));
    }
    let end = sketch.faults.iter().map(|fault| fault.to).max().unwrap_or(0);
    if sketch.lasts_ms > end + 120_000 {
        let mut shorter = sketch.clone();
        shorter.lasts_ms = end + 120_000;
        candidates.push(shorter);
    }
    candidates
}
