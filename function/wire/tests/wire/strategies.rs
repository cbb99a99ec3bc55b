//! Strategies and checks shared by the property tests.

use ispmon_wire::{JournalHead, MessageError};
use proptest::prelude::*;
use serde_json::{Map, Value};

/// A text of at most `most` characters, none of them a control character.
pub(crate) fn text(most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(
        any::<char>().prop_filter("not a control character", |character| !character.is_control()),
        0..=most,
    )
    .prop_map(String::from_iter)
}

/// The head of any journal.
pub(crate) fn journal() -> impl Strategy<Value = JournalHead> {
    (any::<u64>(), "[0-9a-f]{64}").prop_map(|(seq, head)| JournalHead { seq, head })
}

/// Any JSON object, many of whose fields have one of the given names.
pub(crate) fn json_object(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from("2026-11-23T15:03:52Z")),
        Just(Value::from("0190163d-8694-739b-aea5-966c26f8ad91")),
    ];
    let name = prop_oneof![3 => proptest::sample::select(names).prop_map(str::to_owned), 1 => any::<String>()];
    let object = move |value: BoxedStrategy<Value>| {
        proptest::collection::vec((name.clone(), value), 0..8)
            .prop_map(|fields| Value::Object(Map::from_iter(fields)))
    };
    let values = leaf.prop_recursive(3, 32, 6, {
        let object = object.clone();
        move |inner| {
            prop_oneof![
                object(inner.clone().boxed()),
                proptest::collection::vec(inner, 0..4).prop_map(Value::Array),
            ]
        }
    });
    object(values.boxed())
}

/// Whether a text has no control character and at most `most` characters.
pub(crate) fn cleaned(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control)
}

/// Checks that a rejection is one line that ends like a sentence.
pub(crate) fn check_sentence(error: &MessageError) -> Result<(), TestCaseError> {
    let sentence = error.to_string();
    prop_assert!(cleaned(&sentence, 300), "{:?}", sentence);
    prop_assert!(
        sentence.starts_with(char::is_uppercase) && sentence.ends_with('.'),
        "{:?}",
        sentence
    );
    Ok(())
}
