//! The layers of this crate, and the test that each module uses lower layers only.
//!
//! The source is parsed as tokens, so that every import is found, whether it is grouped, inside an
//! expression or in a macro's arguments. Test code may use anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    iter::Peekable,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree, token_stream::IntoIter};

/// The top-level modules, the lowest layer first. A module may use modules of lower layers, but none of
/// its own layer.
const LAYERS: &[&[&str]] = &[
    &[
        "clock",
        "duration",
        "error_chain",
        "exit",
        "installation",
        "loopback",
        "pause",
        "printable",
        "runtime",
        "signals",
        "state_dir",
    ],
    &["control", "resolver", "summary", "tls"],
    &["probe"],
    &["config"],
    &["heartbeat"],
    &["outage"],
    &["event", "journal"],
    &["history", "install", "logging", "sleep", "status"],
    &["notify"],
    &["cli", "doctor", "monitor", "report"],
    &["generate", "outbox"],
    &["service"],
    &["command"],
];

/// Uses that violate the layers: user, used module, reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Maps (user, used module) to the files with that use, outside of tests.
type Uses = BTreeMap<(String, String), BTreeSet<PathBuf>>;

#[test]
fn modules_use_lower_layers_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let uses = uses_in(&source);
    assert!(uses.len() > LAYERS.len(), "the imports were found: {uses:?}");
    let upward: Vec<_> = uses
        .iter()
        .filter(|((user, used), _)| !lies_below(used, user))
        .filter(|((user, used), _)| !EXCEPTIONS.iter().any(|(a, b, _)| a == user && b == used))
        .map(|((user, used), files)| format!("{user} uses {used} in {files:?}"))
        .collect();
    assert!(
        upward.is_empty(),
        "these do not lie below their user; move what is shared to a lower layer: {upward:#?}"
    );
    for (user, used, reason) in EXCEPTIONS {
        let is_used = uses.contains_key(&((*user).to_owned(), (*used).to_owned()));
        assert!(is_used && !reason.is_empty(), "nothing needs the exception {user} to {used}");
    }
}

#[test]
fn each_module_has_one_layer() {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
    let source = source.expect("the crate's root");
    let mut declared: Vec<_> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let mut listed: Vec<_> = LAYERS.concat();
    declared.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, declared);
}

#[test]
fn imports_are_found_however_they_are_written() {
    let found = |source: &str, depth| {
        let tokens = source.parse().expect("Rust");
        let mut found = BTreeSet::new();
        collect(tokens, depth, &mut found);
        found.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(found("use crate::a::B;", 1), ["a"]);
    assert_eq!(found("use crate::{a::{B, c::D}, e, f::*};", 1), ["a", "e", "f"]);
    assert_eq!(found("fn f() -> crate::b::C { for _ in crate::d::e() {} }", 1), ["b", "d"]);
    assert_eq!(found("fn f() { print!(\"{}\", crate::a::B(1)); }", 1), ["a"]);
    assert_eq!(found("/// [`crate::a`]\nfn f() { \"crate::b\"; } // crate::c", 1), [""; 0]);
    assert_eq!(found("use super::a::B;", 1), ["a"], "one level up is the root");
    assert_eq!(found("use super::{a::B, c};", 1), ["a", "c"]);
    assert_eq!(found("use super::a::B;", 2), [""; 0]);
    assert_eq!(found("use super::super::a::B;", 2), ["a"]);
    assert_eq!(found("mod m { use super::a; use super::super::b; }", 1), ["b"]);
    let tests =
        "#[cfg(test)]\nuse crate::a;\n#[cfg(test)]\nmod tests { use crate::b; } use crate::c;";
    assert_eq!(found(tests, 1), ["c"]);
}

#[test]
fn an_upward_import_is_detected() {
    assert!(lies_below("clock", "probe"));
    assert!(!lies_below("probe", "clock"));
    assert!(!lies_below("outage", "outage"), "nothing lies below itself");
    assert!(!lies_below("duration", "clock"), "nor below its neighbours");
    assert!(!lies_below("unknown", "command"));
}

fn lies_below(lower: &str, upper: &str) -> bool {
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    layer(lower).zip(layer(upper)).is_some_and(|(lower, upper)| lower < upper)
}

fn uses_in(source: &Path) -> Uses {
    let mut uses = Uses::new();
    let mut folders = vec![source.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a source folder") {
            let path = entry.expect("a source entry").path();
            let within: PathBuf = path
                .strip_prefix(source)
                .expect("a path below the source folder")
                .with_extension("");
            let modules: Vec<_> = within.iter().filter_map(|part| part.to_str()).collect();
            let is_root = [["lib"], ["main"], ["layers"]].iter().any(|root| modules == root);
            if is_root || modules.last() == Some(&"tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source file");
            let mut named = BTreeSet::new();
            collect(text.parse().expect("the file is Rust"), modules.len(), &mut named);
            for other in named.into_iter().filter(|module| module != modules[0]) {
                uses.entry((modules[0].to_owned(), other)).or_default().insert(path.clone());
            }
        }
    }
    uses
}

/// Adds the top-level modules that `tokens` name; the tokens belong to a module `depth` levels below
/// the crate's root.
fn collect(tokens: TokenStream, depth: usize, found: &mut BTreeSet<String>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut before = String::new();
    while let Some(token) = tokens.next() {
        let mut is_module = false;
        match &token {
            TokenTree::Punct(mark)
                if mark.as_char() == '#' && tokens.next_if(is_test_attribute).is_some() =>
            {
                skip_item(&mut tokens);
            }
            TokenTree::Ident(word) if word == "crate" && skip_colons(&mut tokens) => {
                collect_path(&mut tokens, depth, found);
            }
            TokenTree::Ident(word) if word == "super" => {
                let mut up = 1;
                let mut goes_on = skip_colons(&mut tokens);
                while goes_on && tokens.next_if(|next| is_word(next, "super")).is_some() {
                    up += 1;
                    goes_on = skip_colons(&mut tokens);
                }
                if goes_on && up >= depth {
                    collect_path(&mut tokens, depth, found);
                }
            }
            TokenTree::Ident(_) if before == "mod" => is_module = true,
            TokenTree::Group(group) => collect(group.stream(), depth, found),
            _ => {}
        }
        if is_module && let Some(TokenTree::Group(body)) = tokens.next_if(is_group) {
            collect(body.stream(), depth + 1, found);
        }
        before = token.to_string();
    }
}

/// Adds the next part of a path that has reached the crate's root: one module, or several in braces.
fn collect_path(tokens: &mut Peekable<IntoIter>, depth: usize, found: &mut BTreeSet<String>) {
    match tokens.next() {
        Some(TokenTree::Ident(module)) => {
            found.insert(module.to_string());
        }
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let mut is_first = true;
            for token in group.stream() {
                match token {
                    TokenTree::Ident(module) if is_first => {
                        found.insert(module.to_string());
                        is_first = false;
                    }
                    TokenTree::Punct(mark) if mark.as_char() == ',' => is_first = true,
                    _ => {}
                }
            }
        }
        Some(TokenTree::Group(group)) => collect(group.stream(), depth, found),
        _ => {}
    }
}

fn skip_colons(tokens: &mut Peekable<IntoIter>) -> bool {
    let mut colon = || tokens.next_if(|next| next.to_string() == ":").is_some();
    colon() && colon()
}

fn skip_item(tokens: &mut Peekable<IntoIter>) {
    for token in tokens {
        match token {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(mark) if mark.as_char() == ';' => return,
            _ => {}
        }
    }
}

fn is_test_attribute(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(attribute) if is_test(attribute))
}

fn is_test(attribute: &Group) -> bool {
    matches!(attribute.stream().to_string().replace(' ', "").as_str(), "cfg(test)")
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_group(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(body) if body.delimiter() == Delimiter::Brace)
}
