//! The journal as other programs meet it: on real disks that are full or read-only, under a process
//! that is killed, and through `ispmon-agent journal verify`.

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../service/agent.rs"]
mod agent;
mod child;
mod disk;
mod edits;
mod killed;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../common/record.rs"]
mod record;
mod size;
mod starts;
mod verify;
