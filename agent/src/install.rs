//! Making the agent a service of this system, starting and stopping it, and removing it again.
//!
//! [`gather`](gather::gather) finds out what there is ([`InstallFacts`](facts::InstallFacts)). What is to be done is a value,
//! a [`Plan`](plan::Plan), or a [`InstallRefusal`](refusal::InstallRefusal) that says what to do instead. [`show`](show::show)
//! prints a plan, [`execute`](execute::execute) carries it out and undoes what it did when a step fails.
//!
//! The crate service-manager (0.11) is not used. Its generators quote nothing and know neither `Type=notify` nor
//! a sandbox, which texts of one's own would mend; but it also writes to fixed places in one go, without a
//! daemon-reload, without showing first and without undoing, does not stop what it uninstalls, speaks the
//! `launchctl load` of macOS 10.9, ignores how `launchctl remove` ends, and brings rustix and linux-raw-sys a
//! second time. What is left of it, a file and five commands, are the steps of a plan here.

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
