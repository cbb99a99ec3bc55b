//! Query text with placeholders: quoted words in capitals, such as `'DEVICES'`.
//!
//! A placeholder stands for a comma-separated list of literals: strings in single quotes, in which
//! backslashes and quotes are escaped by a backslash, or whole numbers.

use std::collections::BTreeMap;

use thiserror::Error;

/// How many characters of a text an error shows.
const SHOWN_CHARACTERS: usize = 40;

/// A file of `infra/queries`.
#[derive(Debug)]
pub struct Template {
    /// The name of the file.
    pub name: &'static str,
    /// Its contents.
    pub text: &'static str,
    /// The placeholders.
    pub placeholders: &'static [&'static str],
}

/// A literal at the position of a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// A string, without its quotes and escapes.
    Text(String),
    /// A whole number.
    Number(u64),
}

/// Why a query's text is not recognized.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QueryError {
    /// The text is not a template with values for its placeholders.
    #[error(
        "the query is most like {template}, but where that has {expected:?} the query has {found:?}"
    )]
    Different {
        /// The file name of the template with the longest matching prefix.
        template: &'static str,
        /// The template's text at the first difference.
        expected: String,
        /// The query's text there.
        found: String,
    },
    /// A placeholder that occurs more than once has two different values.
    #[error("the parameter {name} of {template} is both {first:?} and {second:?}")]
    Contradiction {
        /// The file name of the template.
        template: &'static str,
        /// The placeholder.
        name: String,
        /// Its first value.
        first: String,
        /// The different value.
        second: String,
    },
    /// A parameter is out of range.
    #[error("the parameter {name} of {template} is {value:?}; it must be {allowed}")]
    Value {
        /// The file name of the template.
        template: &'static str,
        /// The placeholder.
        name: &'static str,
        /// The value.
        value: String,
        /// The allowed values.
        allowed: &'static str,
    },
}

/// The first difference between a text and a template.
#[derive(Debug)]
pub struct Difference {
    /// How many bytes of the text match the template.
    pub offset: usize,
    /// The error to report for it.
    pub error: QueryError,
}

/// The literals at the positions of a query's placeholders.
#[derive(Debug)]
pub struct Captures {
    template: &'static str,
    values: BTreeMap<&'static str, Vec<Literal>>,
}

enum Piece {
    Exact(&'static str),
    Placeholder(&'static str),
}

impl Template {
    /// Extracts the literals at the placeholders' positions of `text`, which must otherwise equal
    /// the template.
    pub fn capture(&self, text: &str) -> Result<Captures, Difference> {
        let mut rest = text;
        let mut captures = Captures { template: self.name, values: BTreeMap::new() };
        for piece in self.pieces() {
            match piece {
                Piece::Exact(expected) => {
                    let common = common_prefix(expected, rest);
                    rest = &rest[common..];
                    if common < expected.len() {
                        return Err(self.difference(text, rest, &expected[common..]));
                    }
                }
                Piece::Placeholder(name) => {
                    let Some((literals, after)) = literals(rest) else {
                        return Err(self.difference(text, rest, &format!("'{name}'")));
                    };
                    rest = after;
                    captures
                        .insert(name, literals)
                        .map_err(|error| Difference { offset: text.len() - rest.len(), error })?;
                }
            }
        }
        if rest.is_empty() { Ok(captures) } else { Err(self.difference(text, rest, "")) }
    }

    /// Renders the template with these literals for its placeholders.
    ///
    /// # Panics
    ///
    /// When a placeholder of the template has no value.
    pub fn fill(&self, values: &[(&str, String)]) -> String {
        let value = |name| {
            let value = values.iter().find(|(candidate, _)| *candidate == name);
            &value.unwrap_or_else(|| panic!("{} needs a value for {name}", self.name)).1
        };
        self.pieces()
            .into_iter()
            .map(|piece| match piece {
                Piece::Exact(exact) => exact,
                Piece::Placeholder(name) => value(name).as_str(),
            })
            .collect()
    }

    fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut rest = self.text.trim();
        while let Some((at, name)) = self
            .placeholders
            .iter()
            .filter_map(|&name| Some((rest.find(&format!("'{name}'"))?, name)))
            .min()
        {
            pieces.push(Piece::Exact(&rest[..at]));
            pieces.push(Piece::Placeholder(name));
            rest = &rest[at + name.len() + 2..];
        }
        pieces.push(Piece::Exact(rest));
        pieces
    }

    fn difference(&self, text: &str, rest: &str, expected: &str) -> Difference {
        let shown = |part: &str| part.chars().take(SHOWN_CHARACTERS).collect();
        let (expected, found) = (shown(expected), shown(rest));
        let error = QueryError::Different { template: self.name, expected, found };
        Difference { offset: text.len() - rest.len(), error }
    }
}

impl Captures {
    /// The strings of a placeholder, one or more.
    pub fn texts(&self, name: &'static str) -> Result<Vec<String>, QueryError> {
        let text = |literal: &Literal| match literal {
            Literal::Text(text) => Some(text.clone()),
            Literal::Number(_) => None,
        };
        let texts: Option<Vec<_>> = self.literals(name).iter().map(text).collect();
        texts.ok_or_else(|| self.value_error(name, "a list of texts"))
    }

    /// The numbers of a placeholder, one or more.
    pub fn numbers(&self, name: &'static str) -> Result<Vec<u64>, QueryError> {
        let number = |literal: &Literal| match literal {
            Literal::Number(number) => Some(*number),
            Literal::Text(_) => None,
        };
        let numbers: Option<Vec<_>> = self.literals(name).iter().map(number).collect();
        numbers.ok_or_else(|| self.value_error(name, "a list of whole numbers"))
    }

    /// The single string of a placeholder, converted by `parse`.
    pub fn one<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
        allowed: &'static str,
    ) -> Result<T, QueryError> {
        match self.literals(name) {
            [Literal::Text(text)] => parse(text),
            _ => None,
        }
        .ok_or_else(|| self.value_error(name, allowed))
    }

    fn literals(&self, name: &str) -> &[Literal] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    fn insert(&mut self, name: &'static str, literals: Vec<Literal>) -> Result<(), QueryError> {
        match self.values.get(name) {
            Some(first) if *first != literals => Err(QueryError::Contradiction {
                template: self.template,
                name: name.to_owned(),
                first: list(first),
                second: list(&literals),
            }),
            _ => {
                self.values.insert(name, literals);
                Ok(())
            }
        }
    }

    fn value_error(&self, name: &'static str, allowed: &'static str) -> QueryError {
        let value = list(self.literals(name));
        QueryError::Value { template: self.template, name, value, allowed }
    }
}

/// Formats a text as a Kusto string literal.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Formats texts as a list of Kusto string literals.
pub(super) fn quote_all(texts: &[String]) -> String {
    texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", ")
}

fn list(literals: &[Literal]) -> String {
    let show = |literal: &Literal| match literal {
        Literal::Text(text) => text.clone(),
        Literal::Number(number) => number.to_string(),
    };
    literals.iter().map(show).collect::<Vec<_>>().join(", ")
}

/// The length of the common prefix of two texts, in bytes, at a character boundary.
fn common_prefix(one: &str, other: &str) -> usize {
    let pairs = one.chars().zip(other.chars());
    pairs.take_while(|(one, other)| one == other).map(|(character, _)| character.len_utf8()).sum()
}

/// Parses the literals at the beginning of a text, and returns the remaining text.
fn literals(text: &str) -> Option<(Vec<Literal>, &str)> {
    let (first, mut rest) = literal(text)?;
    let mut literals = vec![first];
    while let Some(next) = rest.strip_prefix(", ") {
        let (literal, after) = literal(next)?;
        literals.push(literal);
        rest = after;
    }
    Some((literals, rest))
}

fn literal(text: &str) -> Option<(Literal, &str)> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        return Some((Literal::Number(text[..end].parse().ok()?), &text[end..]));
    };
    let mut value = String::new();
    loop {
        let end = rest.find(['\'', '\\'])?;
        value.push_str(&rest[..end]);
        let special = &rest[end..];
        if let Some(after) = special.strip_prefix('\'') {
            return Some((Literal::Text(value), after));
        }
        let escaped = special[1..].chars().next().filter(|next| matches!(next, '\'' | '\\'))?;
        value.push(escaped);
        rest = &special[2..];
    }
}
