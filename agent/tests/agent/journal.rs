//! The journal with real processes: on disks that are full or read-only, with a writer that is killed,
//! and through `ispmon-agent journal verify`.

mod child;
mod disk;
mod edits;
mod killed;
mod size;
mod starts;
mod verify;
