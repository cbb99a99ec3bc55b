//! Splits Azure resource ids.

/// The parts of an Azure resource id that a mail shows.
pub(super) struct ResourceId<'id> {
    pub(super) subscription: &'id str,
    pub(super) group: &'id str,
    /// Provider and type in lower case, such as `microsoft.insights/components`.
    pub(super) resource_type: String,
    pub(super) name: &'id str,
}

impl<'id> ResourceId<'id> {
    /// Splits an id; missing parts are empty.
    pub(super) fn new(id: &'id str) -> Self {
        let parts: Vec<&str> = id.split('/').collect();
        let after = |name: &str| {
            let position = parts.iter().position(|part| part.eq_ignore_ascii_case(name));
            position.and_then(|position| parts.get(position + 1).copied()).unwrap_or_default()
        };
        let resource_type = match parts.as_slice() {
            [.., provider, kind, _] => format!("{provider}/{kind}").to_lowercase(),
            _ => String::new(),
        };
        Self {
            subscription: after("subscriptions"),
            group: after("resourceGroups"),
            resource_type,
            name: parts.last().copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_ids_are_split_into_parts() {
        let id =
            "/subscriptions/sub/resourceGroups/home/providers/Microsoft.Insights/components/app";
        let parts = ResourceId::new(id);
        assert_eq!(
            (parts.subscription, parts.group, parts.resource_type.as_str(), parts.name),
            ("sub", "home", "microsoft.insights/components", "app")
        );
        let parts = ResourceId::new("app");
        assert_eq!((parts.subscription, parts.resource_type.as_str(), parts.name), ("", "", "app"));
    }
}
