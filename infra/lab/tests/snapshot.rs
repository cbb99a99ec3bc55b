//! What gets deployed, read from what `infra/snapshot.sh` makes of the templates: each of these settings has a
//! wrong value with which an alert never comes, never ends, or ends while the device is still silent, or with
//! which somebody gets in who should not.

#[path = "snapshot/access.rs"]
mod access;
#[path = "snapshot/deployment.rs"]
mod deployment;
#[path = "snapshot/function_app.rs"]
mod function_app;
#[path = "snapshot/limits.rs"]
mod limits;
#[path = "snapshot/names.rs"]
mod names;
#[path = "snapshot/order.rs"]
mod order;
#[path = "snapshot/people.rs"]
mod people;
#[path = "snapshot/queries.rs"]
mod queries;
#[path = "snapshot/refusals.rs"]
mod refusals;
#[path = "snapshot/rules.rs"]
mod rules;
#[path = "snapshot/watchers.rs"]
mod watchers;
#[path = "snapshot/workbook.rs"]
mod workbook;
