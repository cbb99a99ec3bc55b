//! Checks the imports within a crate: each top-level module uses modules of lower layers only, and there is
//! no import cycle between sibling modules.
//!
//! Test code may use anything. A name that the crate's root re-exports has no layer, so an import must name
//! the module that defines the item.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::imports::{self, CratePath, Module};

/// Maps (using module, used module) to the files that contain the use, outside of tests.
type Uses<'a> = BTreeMap<(&'a str, &'a str), BTreeSet<&'a Path>>;

/// Panics if a module uses one that is not in a lower layer, if a top-level module is not in exactly one
/// layer, if an exception is not needed, or if there is an import cycle.
///
/// `source` is the folder of the crate's `lib.rs`. `layers` are the top-level modules, the lowest
/// layer first. `exceptions` are allowed violations: using module, used module, reason.
pub fn check(source: &Path, layers: &[&[&str]], exceptions: &[(&str, &str, &str)]) {
    let mut declared = imports::declared_modules(imports::parse(&source.join("lib.rs")));
    let mut listed = layers.concat();
    declared.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, declared, "each module must be in exactly one layer");

    let modules = imports::modules(source);
    let uses = uses(&modules, &listed);
    assert!(uses.len() > layers.len(), "too few imports found, so the search is broken: {uses:?}");
    let upward: Vec<_> = uses
        .iter()
        .filter(|((user, used), _)| !lies_below(layers, used, user))
        .filter(|((user, used), _)| !exceptions.iter().any(|(a, b, _)| a == user && b == used))
        .map(|((user, used), files)| format!("{user} uses {used} in {files:?}"))
        .collect();
    assert!(
        upward.is_empty(),
        "modules may use only lower layers; move shared code to a lower layer: {upward:#?}"
    );
    for (user, used, reason) in exceptions {
        let is_used = uses.contains_key(&(user, used));
        assert!(
            is_used && !reason.is_empty(),
            "{user} does not use {used}, or the exception has no reason"
        );
    }
    let sibling_uses = sibling_uses(&modules);
    let count: usize = sibling_uses.values().map(BTreeSet::len).sum();
    assert!(count > layers.len(), "the uses of siblings were found: {sibling_uses:?}");
    let cycles = cycles(&sibling_uses);
    assert!(
        cycles.is_empty(),
        "these modules use each other; move shared code to one that uses none of them: {cycles:#?}"
    );
}

/// Returns whether `lower` is in a layer below that of `upper`.
fn lies_below(layers: &[&[&str]], lower: &str, upper: &str) -> bool {
    let layer = |module: &str| layers.iter().position(|layer| layer.contains(&module));
    layer(lower).zip(layer(upper)).is_some_and(|(lower, upper)| lower < upper)
}

/// The uses of one top-level module by another, except those in the crate's root and its layer test, which
/// may use every module.
fn uses<'a>(modules: &'a [Module], top: &[&'a str]) -> Uses<'a> {
    let mut found = Uses::new();
    for Module { path, file, named, .. } in modules {
        let Some(user) = path.first().filter(|user| *user != "layers") else { continue };
        for used in named.iter().filter_map(|used| used.first()) {
            if used != user && top.contains(&used.as_str()) {
                found.entry((user, used)).or_default().insert(file.as_path());
            }
        }
    }
    found
}

/// Maps each module to the siblings that it uses. A use counts for the two siblings that contain the using
/// and the used module.
type SiblingUses<'a> = BTreeMap<&'a [String], BTreeSet<&'a [String]>>;

fn sibling_uses(modules: &[Module]) -> SiblingUses<'_> {
    let known: BTreeSet<_> = modules.iter().map(|module| module.path.as_slice()).collect();
    let imports: BTreeMap<_, _> =
        modules.iter().map(|module| (module.path.as_slice(), &module.imports)).collect();
    let mut found = SiblingUses::new();
    for user in modules {
        for used in &user.named {
            let Some(used) = module_of(used.clone(), &known, &imports) else { continue };
            let common = user.path.iter().zip(used).take_while(|(a, b)| a == b).count();
            if common < user.path.len().min(used.len()) {
                found.entry(&user.path[..=common]).or_default().insert(&used[..=common]);
            }
        }
    }
    found
}

/// Lists the import cycles: groups of sibling modules, each of which uses all others, directly or through
/// others of the group.
fn cycles(uses: &SiblingUses<'_>) -> Vec<String> {
    let reachable = |from: &[String]| {
        let (mut found, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(next) = open.pop() {
            for used in uses.get(next).into_iter().flatten() {
                if found.insert(*used) {
                    open.push(*used);
                }
            }
        }
        found
    };
    let reached: BTreeMap<_, _> = uses.keys().map(|user| (*user, reachable(user))).collect();
    let is_reached = |from, to| reached.get(from).is_some_and(|found| found.contains(to));
    let cycles: BTreeSet<_> = reached
        .iter()
        .filter(|(user, found)| found.contains(*user))
        .map(|(user, found)| {
            let cycle = found.iter().filter(|used| is_reached(**used, *user));
            cycle.map(|module| module.join("::")).collect::<Vec<_>>().join(", ")
        })
        .collect();
    cycles.into_iter().collect()
}

/// The longest chain of re-exports that is followed.
const MOST_RE_EXPORTS: usize = 8;

/// The module that defines an item: the longest part of its path that is a module, and for a re-exported
/// item the module that it comes from. `None` for an item of another crate.
fn module_of<'a>(
    mut item: CratePath,
    known: &BTreeSet<&'a [String]>,
    imports: &BTreeMap<&'a [String], &'a BTreeMap<String, CratePath>>,
) -> Option<&'a [String]> {
    // Each iteration follows one re-export.
    for _ in 0..MOST_RE_EXPORTS {
        let module = (0..=item.len()).rev().find_map(|end| known.get(&item[..end]))?;
        let Some(name) = item.get(module.len()) else { return Some(module) };
        match imports[module].get(name) {
            Some(origin) if *origin != item => {
                item = [origin.as_slice(), &item[module.len() + 1..]].concat();
            }
            _ => return Some(module),
        }
    }
    panic!("{} is re-exported more than {MOST_RE_EXPORTS} times", item.join("::"));
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const LAYERS: &[&[&str]] = &[&["clock", "duration"], &["probe"], &["outage"], &["command"]];

    #[test]
    fn an_upward_import_is_detected() {
        assert!(lies_below(LAYERS, "clock", "probe"));
        assert!(!lies_below(LAYERS, "probe", "clock"));
        assert!(!lies_below(LAYERS, "outage", "outage"), "a module does not lie below itself");
        assert!(!lies_below(LAYERS, "duration", "clock"), "nor below others of its layer");
        assert!(!lies_below(LAYERS, "unknown", "command"));
    }

    fn path(text: &str) -> CratePath {
        text.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// The cycles among modules that are given as path and imports.
    fn cycles_of(modules: &[(&str, &[&str])]) -> Vec<String> {
        let modules: Vec<_> = modules
            .iter()
            .map(|(module, imports)| {
                let named: Vec<_> = imports.iter().map(|import| path(import)).collect();
                let name = |import: &CratePath| import.last().cloned().expect("a name");
                let imports = named.iter().map(|import| (name(import), import.clone())).collect();
                Module { path: path(module), file: PathBuf::new(), imports, named }
            })
            .collect();
        cycles(&sibling_uses(&modules))
    }

    #[test]
    fn a_cycle_is_detected_below_the_top_level_and_through_re_exports() {
        let parent = ("a", &["a::one::One", "a::two::Two"][..]);
        let none = [("", &[][..]), parent, ("a::one", &["a::Two"]), ("a::two", &["std::fs"])];
        assert_eq!(cycles_of(&none), [""; 0], "a parent and its children are no cycle");
        let two = [("", &[][..]), parent, ("a::one", &["a::Two"]), ("a::two", &["a::One"])];
        assert_eq!(cycles_of(&two), ["a::one, a::two"]);
        let three =
            [("", &[][..]), ("a", &["b::B"]), ("b", &[]), ("b::deep", &["c::C"]), ("c", &["a::A"])];
        assert_eq!(cycles_of(&three), ["a, b, c"]);
    }
}
