//! What gets deployed, read from what `infra/snapshot.sh` makes of the templates: each of these settings has a
//! wrong value with which an alert never comes, never ends, or ends while the device is still silent, or with
//! which somebody gets in who should not.

mod access;
mod deployment;
mod function_app;
mod limits;
mod names;
mod order;
mod people;
mod queries;
mod refusals;
mod rules;
mod watchers;
mod workbook;
