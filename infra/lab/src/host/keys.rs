//! Authorizes requests by function key.

use std::{collections::BTreeMap, fmt};

use super::app::{Authorization, Function};

/// The keys of a function app.
#[derive(Clone, Default)]
pub struct Keys {
    /// Keys for all functions; ispmon has one per device.
    pub host: Vec<String>,
    /// Keys for one function, by its name.
    pub functions: BTreeMap<String, Vec<String>>,
    /// The master key, which authorizes everything.
    pub master: Option<String>,
}

impl Keys {
    /// Creates keys with one host key only.
    pub fn host(key: impl Into<String>) -> Self {
        Self { host: vec![key.into()], ..Self::default() }
    }

    /// Whether a request may invoke the function.
    ///
    /// `header` is the value of `x-functions-key`, `code` that in the query; the header takes
    /// precedence. An empty key authorizes nothing.
    pub fn allow(&self, function: &Function, header: Option<&[u8]>, code: Option<&[u8]>) -> bool {
        let given = header.or(code).unwrap_or_default();
        let fits = |key: &String| !key.is_empty() && key.as_bytes() == given;
        let master = self.master.as_ref().is_some_and(fits);
        match function.authorization {
            Authorization::Anonymous => true,
            Authorization::Admin => master,
            Authorization::Function => {
                let own = self.functions.get(&function.name);
                master
                    || self.host.iter().any(fits)
                    || own.is_some_and(|keys| keys.iter().any(fits))
            }
        }
    }
}

/// Shows the number of keys, never a key.
impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Keys")
            .field("host", &self.host.len())
            .field("functions", &self.functions.keys())
            .field("master", &self.master.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(authorization: Authorization) -> Function {
        Function {
            name: "Ping".to_owned(),
            route: "ping".to_owned(),
            methods: Vec::new(),
            authorization,
        }
    }

    fn keys() -> Keys {
        Keys {
            host: vec!["hostkey".to_owned(), String::new()],
            functions: BTreeMap::from([
                ("Ping".to_owned(), vec!["pingkey".to_owned()]),
                ("Outages".to_owned(), vec!["outageskey".to_owned()]),
            ]),
            master: Some("masterkey".to_owned()),
        }
    }

    #[test]
    fn each_key_authorizes_only_its_scope() {
        for (key, function_level, admin_level) in [
            ("hostkey", true, false),
            ("pingkey", true, false),
            ("outageskey", false, false),
            ("masterkey", true, true),
            ("wrong", false, false),
            ("HOSTKEY", false, false),
            ("", false, false),
        ] {
            let key = Some(key.as_bytes());
            for (header, code) in [(key, None), (None, key)] {
                let allow = |level| keys().allow(&function(level), header, code);
                assert_eq!(allow(Authorization::Function), function_level, "{key:?}");
                assert_eq!(allow(Authorization::Admin), admin_level, "{key:?}");
                assert!(allow(Authorization::Anonymous));
            }
        }
    }

    #[test]
    fn the_header_takes_precedence_over_the_query() {
        let ping = function(Authorization::Function);
        assert!(keys().allow(&ping, Some(b"hostkey"), Some(b"wrong")));
        assert!(!keys().allow(&ping, Some(b"wrong"), Some(b"hostkey")));
        assert!(!keys().allow(&ping, None, None));
    }

    #[test]
    fn no_key_is_ever_shown() {
        let shown = format!("{:?}", keys());
        assert!(!shown.contains("key\""), "{shown}");
    }
}
