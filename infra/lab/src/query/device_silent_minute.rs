//! The form of [`DeviceSilent`] for a rule that is evaluated every minute: without a join, on the
//! workspace tables.

use super::{
    device_silent::DeviceSilent,
    template::{Template, quote, quote_all},
};

/// `infra/queries/device-silent-minute.kql`.
pub const TEMPLATE: Template = Template {
    name: "device-silent-minute.kql",
    text: include_str!("../../../queries/device-silent-minute.kql"),
    placeholders: &["COMPONENT_ID", "DEVICES"],
};

/// Renders the query for the rows of one Application Insights component, by its resource id in
/// lower case. It returns the same rows as `query`.
pub fn text(query: &DeviceSilent, component: &str) -> String {
    TEMPLATE.fill(&[("COMPONENT_ID", quote(component)), ("DEVICES", quote_all(&query.devices))])
}
