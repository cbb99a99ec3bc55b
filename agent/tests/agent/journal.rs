//! The journal as other programs meet it: on real disks that are full or read-only, under a process
//! that is killed, and through `ispmon-agent journal verify`.

mod child;
mod disk;
mod edits;
mod killed;
mod size;
mod starts;
mod verify;
