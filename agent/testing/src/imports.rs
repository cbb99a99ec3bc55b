//! Reads which items of its own crate each module of a crate imports or names.
//!
//! The source is parsed as tokens, so that every path is found, whether it is grouped, inside an expression
//! or in a macro's arguments. Test code is left out.

use std::{
    collections::BTreeMap,
    fs,
    iter::Peekable,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree, token_stream::IntoIter};

type Tokens = Peekable<IntoIter>;

/// A path from the crate's root: the names of modules, then of an item.
pub(crate) type CratePath = Vec<String>;

/// The code of one file, as a module.
#[derive(Debug)]
pub(crate) struct Module {
    /// Its path; empty for the crate's root.
    pub(crate) path: CratePath,
    /// Its file.
    pub(crate) file: PathBuf,
    /// What its `use` declarations import, by the name here. Other modules may name these items by this
    /// module's path.
    pub(crate) imports: BTreeMap<String, CratePath>,
    /// All that it names by a path, the imports included.
    pub(crate) named: Vec<CratePath>,
}

/// Reads the modules of the crate whose `lib.rs` lies in the folder `source`, without those for tests.
pub(crate) fn modules(source: &Path) -> Vec<Module> {
    let mut modules = Vec::new();
    let mut folders = vec![source.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a source folder") {
            let file = entry.expect("a source entry").path();
            let within = file.strip_prefix(source).expect("a path below the source folder");
            let within = within.with_extension("");
            let mut path: CratePath = within
                .iter()
                .map(|part| part.to_str().expect("module names are ASCII").to_owned())
                .collect();
            if path.last().is_some_and(|last| last == "tests") || path == ["main"] {
                continue;
            }
            if file.is_dir() {
                folders.push(file);
                continue;
            }
            if path == ["lib"] {
                path.clear();
            }
            modules.push(Module::read(path, file));
        }
    }
    modules
}

/// Parses a file.
pub(crate) fn parse(file: &Path) -> TokenStream {
    let text = fs::read_to_string(file).expect("a source file");
    text.parse().expect("the file is Rust")
}

/// The modules that these tokens declare, without those for tests.
pub(crate) fn declared_modules(tokens: TokenStream) -> Vec<String> {
    let mut modules = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
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

impl Module {
    fn read(path: CratePath, file: PathBuf) -> Self {
        let (tokens, place) = (parse(&file), path.clone());
        let mut module = Self { path, file, imports: BTreeMap::new(), named: Vec::new() };
        module.collect(tokens, &place);
        module
    }

    /// Collects the paths in `tokens`, which belong to the module `place`: this one, or one within its file.
    fn collect(&mut self, tokens: TokenStream, place: &[String]) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                mark if is_mark(&mark, '#') && tokens.next_if(is_test_attribute).is_some() => {
                    skip_item(&mut tokens);
                }
                // `use<…>` in a type lists what it captures.
                TokenTree::Ident(word)
                    if word == "use" && !tokens.peek().is_some_and(|next| is_mark(next, '<')) =>
                {
                    let mut found = Vec::new();
                    collect_tree(&mut tokens, &[], &mut found);
                    for (name, path) in found {
                        let Some(path) = from_root(&path, place, true) else { continue };
                        self.named.push(path.clone());
                        self.imports.insert(name, path);
                    }
                }
                TokenTree::Ident(word) if word == "mod" => {
                    let Some(TokenTree::Ident(name)) = tokens.next() else { continue };
                    if let Some(TokenTree::Group(body)) = tokens.next_if(is_braces) {
                        let inner = [place, &[name.to_string()]].concat();
                        self.collect(body.stream(), &inner);
                    }
                }
                TokenTree::Ident(word) if word == "crate" || word == "super" => {
                    let mut path = vec![word.to_string()];
                    while skip_colons(&mut tokens) {
                        let Some(TokenTree::Ident(next)) = tokens.peek() else { break };
                        path.push(next.to_string());
                        tokens.next();
                    }
                    self.named.extend(from_root(&path, place, false));
                }
                TokenTree::Group(group) => self.collect(group.stream(), place),
                _ => {}
            }
        }
    }
}

/// Reads the rest of a `use` declaration, or one item of a list in it. Adds its paths, which begin with
/// `prefix`, and the name by which each can be used here.
fn collect_tree(tokens: &mut Tokens, prefix: &[String], found: &mut Vec<(String, CratePath)>) {
    let (mut path, mut name) = (prefix.to_vec(), None);
    let mut is_renamed = false;
    for token in tokens.by_ref() {
        match token {
            TokenTree::Ident(word) if word == "as" => is_renamed = true,
            TokenTree::Ident(word) if is_renamed => name = Some(word.to_string()),
            // `a::{self}` imports `a`.
            TokenTree::Ident(word) if word == "self" && !path.is_empty() => {
                name = path.last().cloned();
            }
            TokenTree::Ident(word) => path.push(word.to_string()),
            TokenTree::Group(list) if list.delimiter() == Delimiter::Brace => {
                let mut items = list.stream().into_iter().peekable();
                while items.peek().is_some() {
                    collect_tree(&mut items, &path, found);
                }
                return;
            }
            TokenTree::Punct(mark) if matches!(mark.as_char(), ',' | ';') => break,
            _ => {}
        }
    }
    if name.is_some() || path.len() > prefix.len() {
        let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
        found.push((name, path));
    }
}

/// The path from the crate's root of one that the module `place` writes as `path`. `None` if it leads out of
/// the crate. A relative path, which only a `use` declaration has, may begin with a child of the module or
/// with another crate; it is taken as the former.
fn from_root(path: &[String], place: &[String], is_import: bool) -> Option<CratePath> {
    let mut base = place.to_vec();
    let mut rest = path;
    match path.first().map(String::as_str) {
        Some("crate") => {
            base.clear();
            rest = &path[1..];
        }
        Some("self") => rest = &path[1..],
        Some("super") => {
            while let Some((first, after)) = rest.split_first()
                && first == "super"
            {
                base.pop()?;
                rest = after;
            }
        }
        _ if is_import => {}
        _ => return None,
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// Skips `::`, and returns whether it was there.
fn skip_colons(tokens: &mut Tokens) -> bool {
    let mut colon = || tokens.next_if(|next| next.to_string() == ":").is_some();
    colon() && colon()
}

/// Skips an item, a field or a variant: up to the end of its block, its semicolon, or its comma.
fn skip_item(tokens: &mut Tokens) {
    let (mut generics, mut before) = (0, ' ');
    for token in tokens {
        let mark = match &token {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(mark) => mark.as_char(),
            _ => ' ',
        };
        match mark {
            ';' => return,
            ',' if generics == 0 => return,
            '<' => generics += 1,
            '>' if before != '-' => generics -= 1,
            _ => {}
        }
        before = mark;
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

fn is_braces(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(body) if body.delimiter() == Delimiter::Brace)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths that `source` names as the module `place`, sorted.
    fn named(source: &str, place: &str) -> Vec<String> {
        let place: CratePath = place.split("::").map(str::to_owned).collect();
        let (imports, named) = (BTreeMap::new(), Vec::new());
        let mut module = Module { path: place.clone(), file: PathBuf::new(), imports, named };
        module.collect(source.parse().expect("Rust"), &place);
        let mut paths: Vec<_> = module.named.iter().map(|path| path.join("::")).collect();
        paths.sort();
        paths
    }

    #[test]
    fn paths_are_found_however_they_are_written() {
        assert_eq!(named("use crate::a::B;", "m"), ["a::B"]);
        assert_eq!(
            named("use crate::{a::{B, c::D as E}, e, f::*};", "m"),
            ["a::B", "a::c::D", "e", "f"]
        );
        assert_eq!(
            named("fn f() -> crate::b::C { for _ in crate::d::e() {} }", "m"),
            ["b::C", "d::e"]
        );
        assert_eq!(named("fn f() { print!(\"{}\", crate::a::B(1)); }", "m"), ["a::B"]);
        assert_eq!(named("/// [`crate::a`]\nfn f() { \"crate::b\"; } // crate::c", "m"), [""; 0]);
        assert_eq!(named("use super::a::B;", "m"), ["a::B"], "one level up is the root");
        assert_eq!(named("use super::{a::B, c};", "m::n"), ["m::a::B", "m::c"]);
        assert_eq!(named("use super::super::a::B;", "m::n"), ["a::B"]);
        assert_eq!(named("pub use child::Item;", "m"), ["m::child::Item"]);
        assert_eq!(named("use crate::a::{self, B};", "m"), ["a", "a::B"]);
        assert_eq!(named("fn f() -> impl T + use<> { crate::a::b() }", "m"), ["a::b"]);
        assert_eq!(named("mod n { use super::a; use super::super::b; }", "m"), ["b", "m::a"]);
        let tests =
            "#[cfg(test)]\nuse crate::a;\n#[cfg(test)]\nmod tests { use crate::b; } use crate::c;";
        assert_eq!(named(tests, "m"), ["c"]);
    }

    #[test]
    fn declared_modules_exclude_those_for_tests() {
        let root = "pub mod a;\nmod b;\n#[cfg(test)]\nmod layers;\n#[cfg(unix)]\npub(crate) mod c;";
        assert_eq!(declared_modules(root.parse().expect("Rust")), ["a", "b", "c"]);
    }
}
