//! Installs the agent as a service of this system, starts and stops the service, and removes it again.
//!
//! [`gather`](gather::gather) reads the state of the system ([`InstallFacts`](facts::InstallFacts)). The
//! planning functions turn it into a [`Plan`](plan::Plan), which is a plain value, or an
//! [`InstallRefusal`](refusal::InstallRefusal) with advice. [`show`](show::show) prints a plan;
//! [`execute`](execute::execute) carries it out and rolls back when a step fails.
//!
//! The crate service-manager (0.11) is not used. Its generated files have no quoting, no `Type=notify` and
//! no sandbox, which custom templates would solve; but it also writes to fixed paths in one go, without
//! daemon-reload, dry run or rollback, does not stop a service that it uninstalls, uses the `launchctl
//! load` of macOS 10.9, ignores the exit status of `launchctl remove`, and pulls in a second rustix and
//! linux-raw-sys. What would remain, one file and five commands, are steps of a plan here.

pub mod description;
pub mod execute;
pub mod facts;
pub mod gather;
pub mod import;
pub mod layout;
pub mod machine;
pub mod order;
pub mod plan;
#[cfg(test)]
mod property_list;
pub mod refusal;
pub mod service;
pub mod show;
