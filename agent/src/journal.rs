//! The journal: a durable file of what happened, in which no line can be changed undetected.
//!
//! [`Journal`] is the handle of the agent that writes it; a thread of its own writes and syncs, because a
//! disk can hang. [`JournalReader`] serves every other process: it needs neither root nor the lock, and
//! works while an agent writes. [`Recovered`] is the state that a starting agent restores from the
//! journal; [`WallClockOffsets`] corrects wall-clock times.
//!
//! The rest of this page specifies the format, precisely enough to write a reader in another language.
//!
//! # Files
//!
//! One folder, mode 0755 when the agent creates it. Every file but the lock has mode 0644 and holds no
//! secret.
//!
//! | name | content |
//! |---|---|
//! | `journal.ndjson` | the *current* file: the newest records, appended to |
//! | `journal.N.ndjson` | a *full* file; N is the `seq` of its first record in at least 12 digits, or a larger number |
//! | `journal.set-aside-N.ndjson` | something that was named `journal.ndjson` and is not a journal; never read, never deleted |
//! | `alive` | the alive file: when the agent last ran, and its newest record |
//! | `lock` | locked exclusively with flock(2) by the writing agent; its process id in decimal digits. Mode 0600, because any process that can open it can lock it |
//! | `handed-over.json` | belongs to the outbox: the records up to which the cloud has acknowledged everything, once and twice |
//!
//! The journal is all these files in the order of their first records, whatever their names are. A record
//! that would make the current file longer than 4 MiB starts a new one, and the oldest of more than 16
//! files is deleted, so a reader may start anywhere in a chain. Only regular files are opened, and no
//! symbolic link is followed: the folder may belong to a user other than the agent's.
//!
//! # Lines
//!
//! A file is a sequence of lines, each one JSON object (RFC 8259, UTF-8) and one line feed. An object
//! is at most 1 MiB long. Its fields come in no particular order, and there may be more than are listed
//! here; ignore unknown ones. Each object has
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `seq` | integer | 1 for the first record, then one more each; at most 999,999,999,999 |
//! | `prev` | text | the hash of the line before, 64 lower-case hexadecimal digits |
//! | `boot` | text | UUID of the boot; all zeros when the system has none |
//! | `boot_ms` | integer | milliseconds since that boot, sleep included |
//! | `wall` | text | the best-known wall clock at that moment, RFC 3339 in UTC |
//! | `kind` | text | decides which other fields there are |
//!
//! A *stamp* is an object of `boot`, `boot_ms` and `wall`. Differences of `boot_ms` within a boot are
//! durations; to show a time, add `boot_ms` to the boot's latest known offset, which is `wall` minus
//! `boot_ms` of the last record with that `boot`.
//!
//! | `kind` | fields |
//! |---|---|
//! | `chain_started` | `format` (integer), `device` (text); if there was a journal before: `reason` (text), `set_aside` (names of files), `after` (`seq` and `hash` of the newest undamaged record before it) |
//! | `agent_started` | `version`, `device` (texts) |
//! | `agent_stopped` | `reason` (text) |
//! | `paused` | `until` (stamp) |
//! | `incident_opened` | `incident`, with `evidence` |
//! | `incident_changed` | `incident` as it is now, without `evidence` |
//! | `incident_closed` | `incident`, complete |
//! | `gap` | `gap`: `id` (UUID), `cause` (`suspended`, `paused`, `stopped`, `crashed`, `power_lost`, `blind`), `started` and `ended` (stamps), `uncertain_s` (integer, absent for 0), `reason` (a word; only for `blind`) |
//! | `network` | `network`: `family` (`ipv4`, `ipv6`), `interface` (text), `router` (IP address), `router_mac` (hardware address, as `52:54:00:12:34:56`; either may be absent), `family_proved`, `anchor_proved`, `router_answered` (booleans) |
//! | `clock_stepped` | `by_ms` (integer), `source` (`system`, `heartbeat`) |
//! | `hour` | `summary`: `from`, `to` (stamps), `observed_ms`, `rounds`, `rounds_failed`, `probes`, `lost`, `beats`, `beats_failed`, `blips` (integers), `rtt_ms` (`p50`, `p95`, `max`; absent when no probe was answered) |
//! | `records_dropped` | `count` (integer), `since` (stamp): this many records were lost before this one |
//!
//! An incident has `id` (UUIDv7), `scope`, `cause`, `party` (absent when not known), `started`,
//! `last_ok` and `ended` (stamps; the last two may be absent), `downtime_ms`, `one_family_ms` (absent
//! for 0), `failures` (integers), `segments` (`scope`, `cause`, `from`, `to`) and `evidence` (`probe`,
//! `target`, `family`, `answer`, `ms`, `at`; may be absent). The words of `scope`, `cause`, `party` and `probe` are those of
//! [`Scope`](crate::outage::Scope), [`Cause`](crate::outage::Cause), [`Party`](crate::outage::Party)
//! and [`ProbeKind`](crate::outage::ProbeKind).
//!
//! # The chain
//!
//! The hash of a line is the SHA-256 of its bytes without the line feed. `prev` of each record is the
//! hash of the line before, in whichever file that is, and its `seq` is one more. A chain begins with
//! `chain_started` in the first line of a file; its `prev` is 64 zeros, and its `seq` is higher than all
//! that were used in the folder before. So the hash of one record (heartbeats carry it to the cloud) is
//! enough to detect any change before that record. The alive file protects the newest record, and `after`
//! the last one before a new chain.
//!
//! Damage costs only the lines that it touches. A line is accepted unless the record that should follow it
//! names another hash, or it stands between two records that follow each other, or after the one that
//! `after` of the next chain names; the table at the top of `chain.rs` has every case. A line that is not
//! accepted is never used: not at start, not by a command, not for the hand-over.
//!
//! Two lines, the hash of the first of which is
//! `0ce7970f9e63048d4e6cce49993e33790496af6c909d79708fb88ee301c439ca`:
//!
//! ```json
//! {"seq":1,"prev":"0000000000000000000000000000000000000000000000000000000000000000","boot":"1f0c5a7e-93b4-4d5e-8a60-0c2f5b1d7e42","boot_ms":61000,"wall":"2026-11-24T08:01:01Z","kind":"chain_started","format":1,"device":"dl-home"}
//! {"seq":2,"prev":"0ce7970f9e63048d4e6cce49993e33790496af6c909d79708fb88ee301c439ca","boot":"1f0c5a7e-93b4-4d5e-8a60-0c2f5b1d7e42","boot_ms":61000,"wall":"2026-11-24T08:01:01Z","kind":"agent_started","version":"0.1.0","device":"dl-home"}
//! ```
//!
//! # The alive file
//!
//! `alive` is overwritten in place each minute and after each record, without a sync, and is exactly 128
//! bytes of ASCII:
//!
//! | bytes | content |
//! |---|---|
//! | 0 to 14 | `ispmon-alive 1 ` |
//! | 15 to 50 | the boot's UUID; then a space |
//! | 52 to 64 | `boot_ms` in 13 digits; then a space |
//! | 66 to 89 | the wall clock as `2026-11-24T08:01:40.250Z`; then a space |
//! | 91 to 102 | `seq` of the newest durable record in 12 digits; then a space |
//! | 104 to 115 | the first 12 digits of its hash; then a space |
//! | 117 to 126 | the first 10 hexadecimal digits of the SHA-256 of bytes 0 to 116 |
//! | 127 | line feed |
//!
//! A file that does not match its checksum was torn and is ignored.
//!
//! # Writing
//!
//! Append, sync the file, sync the folder if a file was created or renamed, acknowledge. A write that
//! fails is truncated away; its records wait in memory, at most 1,000, and are retried after 1 s, doubled
//! up to one minute. Records beyond that are dropped, and a `records_dropped` record counts them in their
//! position.
//!
//! At start, and whenever the folder could not be used before:
//!
//! 1. A current file that ends within a line is truncated to its last line feed: that line was never
//!    acknowledged. So are whole lines at its end in which a power cut left zeros.
//! 2. A damaged current file becomes a full file unchanged. A new chain in a new file gives the
//!    reason and the last accepted record. Only what is not a journal at all is set aside: a file without
//!    any record, a folder, a link, a pipe.
//! 3. A journal in a newer format becomes a full file too, and none of it is used.
//! 4. When `alive` names records that do not exist, they were deleted or an old backup was restored:
//!    the current file becomes a full one, and a new chain states which are missing. Its numbers
//!    continue after them, so that the hole stays visible.
//! 5. When the newest device name in the journal is another one, the folder was copied or the device
//!    renamed, and the agent cannot tell which: the records stay readable, a new chain names the
//!    other device, and its open incidents and its last run are not taken over.
//! 6. Damage in a full file changes nothing: it is reported, and its other lines are still read.
//! 7. When the current file is deleted, replaced or written to by another process while the agent runs,
//!    the next append detects it and reads the folder again, as at start. A folder that vanished is
//!    recreated and locked again.
//!
//! # Versions
//!
//! `format` of `chain_started` is 1. New kinds, fields and words do not change it; a reader treats a
//! record that it does not understand as a link of the chain, and reports how many there are. It leaves
//! out evidence items that it does not understand. A change that would mislead a reader of format 1 gets
//! a new format number, and that starts a new chain.

mod alive;
mod chain;
mod clock_offsets;
mod files;
mod flaw;
mod handle;
mod lines;
mod parse;
mod queue;
mod reader;
mod record;
mod records;
mod recovered;
mod state;
mod storage;
mod unknown;
mod verify;
mod writer;

pub use crate::{
    clock::StepSource,
    summary::{Quantiles, Summary},
};
pub use clock_offsets::WallClockOffsets;
pub use files::HANDED_OVER_FILE;
pub use flaw::{Damage, Flaw, LineLocation, Located};
pub use handle::{Appending, Journal, JournalError, OPEN_LIMIT};
pub use queue::Appended;
pub use reader::{JournalReadError, JournalReader, last_alive};
pub use record::{Digest, Entry, FORMAT, Predecessor, Record, UnknownRecord};
pub use recovered::{LastRun, PastGap, Recovered, Start};
pub(crate) use recovered::{
    ended_where_last_observed, is_same_device, is_same_kind, was_observed_at,
};
pub use state::JournalState;
pub use unknown::UnknownRecords;
pub use verify::{Verified, verify};
pub(crate) use writer::disk_advice;
