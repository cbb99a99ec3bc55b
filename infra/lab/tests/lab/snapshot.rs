//! The deployed resources, read from what `infra/snapshot.sh` evaluates from the templates: with a
//! wrong value of any of these settings an alert never fires, never resolves, or resolves while the
//! device is still silent, or an unauthorized person gets access.

mod access;
mod action_group;
mod deployment;
mod function_app;
mod limits;
mod names;
mod order;
mod queries;
mod refusals;
mod rules;
mod self_monitoring;
mod workbook;
