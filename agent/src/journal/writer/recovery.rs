//! What the files say, and what is to be done about them.

use std::io::{self, ErrorKind, Read};

use super::{CurrentFile, Position, Way};
use crate::{
    clock::Stamp,
    journal::{
        alive::{self, Alive},
        chain::{Chain, Flaw, Followed},
        files,
        lines::{Line, Lines},
        recovered::{History, Recovered, is_same_device},
        storage::Storage,
    },
};

/// How many notes about damage are handed to the log; `journal verify` names all of it.
const MOST_NOTES: usize = 8;
/// How far a number behind damage may be from the one before it and still be believed.
const PLAUSIBLE_STEP: u64 = 100_000;

/// The plan for the first append.
pub(super) struct Found {
    /// The newest record; `None` when a new chain has to start.
    pub(super) head: Option<Position>,
    /// The highest number that is known to be in use, 0 for none.
    pub(super) newest: u64,
    pub(super) way: Way,
    /// Why a new chain has to start although there was one.
    pub(super) reason: Option<String>,
    pub(super) file: Option<CurrentFile>,
}

/// What is found in one file.
#[derive(Default)]
struct Scanned {
    /// The number of its first record.
    first_seq: Option<u64>,
    /// How many bytes lie before the first line that is not right.
    good: u64,
    /// The same without the last of them.
    good_before: u64,
    end: End,
}

#[derive(Default)]
enum End {
    /// Behind the last line.
    #[default]
    Whole,
    /// Within the last line.
    Torn,
    /// At a line that is not right: its number, and why.
    Flawed(u64, String),
    /// At the first line, which only a newer version understands.
    Newer,
}

/// Reads everything, oldest first, in bounded memory.
struct Scan {
    history: History,
    chain: Chain,
    head: Option<Position>,
    newest: u64,
    /// Whether the full file that was read last is whole.
    is_whole: bool,
    notes: Vec<String>,
}

/// Reads the folder without changing anything.
///
/// # Errors
/// The folder or the current file cannot be read, for a reason that may pass.
pub(super) fn recover(
    storage: &impl Storage,
    device: &str,
    now: Stamp,
) -> io::Result<(Found, Recovered)> {
    let names = storage.names()?;
    let mut scan = Scan {
        history: History::default(),
        chain: Chain::default(),
        head: None,
        newest: 0,
        is_whole: true,
        notes: Vec::new(),
    };
    let rolled = files::rolled_files(&names);
    for (first_seq, name) in &rolled {
        scan.newest = scan.newest.max(*first_seq);
        scan.rolled(storage, name);
    }
    let has_current = names.iter().any(|name| name == files::CURRENT);
    let current = if has_current { Some(scan.current(storage)?) } else { None };
    let alive =
        names.iter().any(|name| name == files::ALIVE).then(|| read_alive(storage)).flatten();
    let found = scan.plan(current, rolled.last().map(|(first_seq, _)| *first_seq), alive, device);
    if let Some(reason) = &found.reason {
        scan.note(format!("The journal starts a new chain: {reason}."));
    }
    let recovered = scan.history.finish(device, alive, now, scan.notes);
    Ok((found, recovered))
}

fn read_alive(storage: &impl Storage) -> Option<Alive> {
    let mut bytes = Vec::new();
    let most = alive::BYTES as u64 + 1;
    storage.read(files::ALIVE).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Alive::from_bytes(&bytes)
}

impl Scan {
    fn note(&mut self, note: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(note);
        }
    }

    /// Reads a full file. It is never written again, so damage in it is noted and left where it is.
    fn rolled(&mut self, storage: &impl Storage, name: &str) {
        let damage = match storage.read(name) {
            Ok(source) => self.read(source, name, false).end,
            Err(error) => End::Flawed(1, error.to_string()),
        };
        self.is_whole = matches!(damage, End::Whole);
        match damage {
            End::Whole => return,
            End::Torn => self.note(format!("{name} ends within a line.")),
            End::Newer => self.note(format!("{name} was written by a newer version.")),
            End::Flawed(line, flaw) => {
                self.note(format!("{name} is damaged at line {line}: {flaw}."));
            }
        }
        // What follows can be compared with the last record that was read; when that was not the last
        // one of the file, the next one does not follow it, which is noted too.
        self.chain.forget();
    }

    fn current(&mut self, storage: &impl Storage) -> io::Result<Scanned> {
        match storage.read(files::CURRENT) {
            Ok(source) => Ok(self.read(source, files::CURRENT, true)),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Ok(Scanned { end: End::Flawed(1, error.to_string()), ..Scanned::default() })
            }
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, source: impl Read, name: &str, is_current: bool) -> Scanned {
        let mut lines = Lines::new(source);
        let mut scanned = Scanned::default();
        loop {
            let first_of_file = lines.number == 0;
            let followed = match lines.next() {
                Ok(None) => return scanned,
                Ok(Some(Line::Torn)) => {
                    if matches!(scanned.end, End::Whole) {
                        scanned.end = End::Torn;
                    }
                    return scanned;
                }
                Ok(Some(Line::Whole(line))) => self.chain.follow(line, first_of_file),
                Ok(Some(Line::TooLong)) => Err(Flaw::TooLong),
                Err(error) => {
                    scanned.end = End::Flawed(lines.number + 1, error.to_string());
                    return scanned;
                }
            };
            let (line, end) = (lines.number, lines.end);
            match followed {
                Ok(Followed { record, digest, flaw }) => {
                    let is_plausible = record.seq <= self.newest.saturating_add(PLAUSIBLE_STEP)
                        || self.newest == 0;
                    if is_plausible {
                        self.newest = self.newest.max(record.seq);
                    }
                    match flaw {
                        // The file itself may be right: another one is missing, or was damaged.
                        Some(flaw @ (Flaw::Sequence { .. } | Flaw::Changed { .. }))
                            if first_of_file =>
                        {
                            self.note(format!(
                                "{name} does not follow the file before it: {flaw}."
                            ));
                        }
                        Some(flaw @ Flaw::Changed { .. }) if matches!(scanned.end, End::Whole) => {
                            // Only this line shows that the one before it is not what was written.
                            scanned.good = scanned.good_before;
                            scanned.end = End::Flawed(line - 1, flaw.to_string());
                        }
                        Some(flaw) if matches!(scanned.end, End::Whole) => {
                            scanned.end = End::Flawed(line, flaw.to_string());
                        }
                        _ => {}
                    }
                    // Behind damage in the current file nothing is proven any more.
                    if !is_current || matches!(scanned.end, End::Whole) {
                        scanned.first_seq.get_or_insert(record.seq);
                        scanned.good_before = std::mem::replace(&mut scanned.good, end);
                        self.head = Some((record.seq, digest));
                        self.history.apply(record);
                    }
                }
                Err(Flaw::NewerFormat(_)) if first_of_file => {
                    scanned.end = End::Newer;
                    return scanned;
                }
                Err(flaw) => {
                    self.chain.forget();
                    if matches!(scanned.end, End::Whole) {
                        scanned.end = End::Flawed(line, flaw.to_string());
                    }
                }
            }
        }
    }

    /// Decides how to go on.
    fn plan(
        &self,
        current: Option<Scanned>,
        last_rolled: Option<u64>,
        alive: Option<Alive>,
        device: &str,
    ) -> Found {
        let known = alive.map_or(0, |alive| alive.seq);
        let newest = self.newest.max(known);
        let new_chain =
            |way, reason: Option<String>| Found { head: None, newest, way, reason, file: None };
        let aside = |keep, reason| new_chain(Way::SetAside { keep }, Some(reason));
        if let Some(Scanned { first_seq, good, end, .. }) = &current {
            let name = files::CURRENT;
            match end {
                End::Newer => return aside(None, format!("{name} was written by a newer version")),
                End::Flawed(..) if first_seq.is_none() => {
                    return aside(None, format!("{name} was not a journal"));
                }
                End::Flawed(line, flaw) => {
                    let keep = first_seq.filter(|_| *good > 0).map(|first_seq| (first_seq, *good));
                    return aside(keep, format!("{name} was damaged at line {line}: {flaw}"));
                }
                End::Whole | End::Torn => {}
            }
            if first_seq.zip(last_rolled).is_some_and(|(own, rolled)| own <= rolled) {
                return aside(None, format!("{name} held records that other files hold too"));
            }
        }
        let first_seq = current.as_ref().and_then(|current| current.first_seq);
        let roll = match &current {
            None => Way::Clear,
            Some(Scanned { first_seq: Some(first_seq), end: End::Whole, .. }) => {
                Way::Roll { first_seq: *first_seq }
            }
            // A full file has no torn end.
            Some(Scanned { first_seq, good, .. }) => {
                Way::SetAside { keep: first_seq.map(|first_seq| (first_seq, *good)) }
            }
        };
        let head_seq = self.head.as_ref().map_or(0, |(seq, _)| *seq);
        if known > head_seq {
            let from = head_seq + 1;
            return new_chain(roll, Some(format!("records {from} to {known} were missing")));
        }
        if let Some(other) = &self.history.device
            && !is_same_device(other, device)
        {
            return new_chain(roll, Some(format!("the records before are of the device {other}")));
        }
        if first_seq.is_none() && !self.is_whole {
            let reason = "the end of the file before it was damaged".to_owned();
            return new_chain(roll, Some(reason));
        }
        let file = current.map(|current| CurrentFile {
            length: current.good,
            first_seq: current.first_seq,
            opened: false,
            must_cut: matches!(current.end, End::Torn),
            must_sync: true,
        });
        Found { head: self.head.clone(), newest, way: Way::Clear, reason: None, file }
    }
}
