//! Checks that each top-level module of a crate uses modules of lower layers only.
//!
//! The source is parsed as tokens, so that every import is found, whether it is grouped, inside an
//! expression or in a macro's arguments. Test code may use anything. A name that the crate's root
//! re-exports has no layer, so an import must name the module that defines the item.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    iter::Peekable,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree, token_stream::IntoIter};

/// Maps (user, used module) to the files with that use, outside of tests.
type Uses = BTreeMap<(String, String), BTreeSet<PathBuf>>;

/// Fails for a module that uses one that is not in a lower layer, for a module of the crate's root
/// without exactly one layer, and for an exception that nothing needs.
///
/// `source` is the folder of the crate's `lib.rs`. `layers` are the top-level modules, the lowest
/// layer first. `exceptions` are uses that violate the layers: user, used module, reason.
pub fn check(source: &Path, layers: &[&[&str]], exceptions: &[(&str, &str, &str)]) {
    let mut declared = declared_modules(parse(&source.join("lib.rs")));
    let mut listed = layers.concat();
    declared.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, declared, "each module has one layer");

    let uses = uses_in(source);
    assert!(uses.len() > layers.len(), "the imports were found: {uses:?}");
    let upward: Vec<_> = uses
        .iter()
        .filter(|((user, used), _)| !lies_below(layers, used, user))
        .filter(|((user, used), _)| !exceptions.iter().any(|(a, b, _)| a == user && b == used))
        .map(|((user, used), files)| format!("{user} uses {used} in {files:?}"))
        .collect();
    assert!(
        upward.is_empty(),
        "these do not lie below their user; move what is shared to a lower layer: {upward:#?}"
    );
    for (user, used, reason) in exceptions {
        let is_used = uses.contains_key(&((*user).to_owned(), (*used).to_owned()));
        assert!(is_used && !reason.is_empty(), "nothing needs the exception {user} to {used}");
    }
}

/// Returns whether `lower` is in a layer below that of `upper`.
fn lies_below(layers: &[&[&str]], lower: &str, upper: &str) -> bool {
    let layer = |module: &str| layers.iter().position(|layer| layer.contains(&module));
    layer(lower).zip(layer(upper)).is_some_and(|(lower, upper)| lower < upper)
}

/// Returns the modules that the crate's root declares, without those for tests.
fn declared_modules(root: TokenStream) -> Vec<String> {
    let mut modules = Vec::new();
    let mut tokens = root.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if is_mark(&token, '#') && tokens.next_if(is_test_attribute).is_some() {
            skip_item(&mut tokens);
        } else if is_word(&token, "mod")
            && let Some(TokenTree::Ident(module)) = tokens.next()
        {
            modules.push(module.to_string());
        }
    }
    modules
}

fn parse(file: &Path) -> TokenStream {
    let text = fs::read_to_string(file).expect("a source file");
    text.parse().expect("the file is Rust")
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
            let mut named = BTreeSet::new();
            collect(parse(&path), modules.len(), &mut named);
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
            hash if is_mark(hash, '#') && tokens.next_if(is_test_attribute).is_some() => {
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

fn is_mark(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_group(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(body) if body.delimiter() == Delimiter::Brace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYERS: &[&[&str]] = &[&["clock", "duration"], &["probe"], &["outage"], &["command"]];

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
        assert!(lies_below(LAYERS, "clock", "probe"));
        assert!(!lies_below(LAYERS, "probe", "clock"));
        assert!(!lies_below(LAYERS, "outage", "outage"), "nothing lies below itself");
        assert!(!lies_below(LAYERS, "duration", "clock"), "nor below its neighbours");
        assert!(!lies_below(LAYERS, "unknown", "command"));
    }

    #[test]
    fn declared_modules_are_those_of_the_shipped_program() {
        let root = "pub mod a;\nmod b;\n#[cfg(test)]\nmod layers;\n#[cfg(unix)]\npub(crate) mod c;";
        assert_eq!(declared_modules(root.parse().expect("Rust")), ["a", "b", "c"]);
    }
}
