//! The variants of an enum, for tests that a list of them is complete.

use serde::de::DeserializeOwned;

/// The serialised names of all variants of an enum, in the order of its definition. No variant may have fields.
pub fn names_of<T: DeserializeOwned>() -> Vec<String> {
    // serde refuses an unknown name with "unknown variant ``, expected one of `link`, `firewall`, …".
    let refusal = serde_json::from_str::<T>("\"\"").err().expect("no variant has an empty name");
    refusal.to_string().split('`').skip(3).step_by(2).map(str::to_owned).collect()
}
