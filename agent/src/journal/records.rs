//! Reads all records of a folder, oldest first, for the reader and the writer.
//!
//! Files are read in the order of their first records, whatever their names are. The beginnings of
//! all files are read first, because a chain names the record before it, which decides about the
//! end of the preceding file.

use std::{
    collections::VecDeque,
    io::{self, Read},
    sync::Arc,
};

use super::{
    chain::{Chain, LineVerdict, NotedHash},
    files,
    flaw::{Damage, Flaw, LineLocation, Located},
    lines::{JournalLine, JournalLines},
    parse::{parse, strip_carriage_return},
    record::{Digest, Entry, Predecessor},
};

/// How many lines at the beginning of a file are searched for its first record.
const BEGINNING: u64 = 64;
/// How many consecutive lines with zeros count as left by a power cut.
const MOST_ZEROED: usize = 1_024;

/// Opens the files of a folder.
pub(super) trait FolderFiles {
    type File: Read;

    /// Opens a regular file.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Opens an already open file again, at its beginning.
    fn reopen(&self, name: &str, file: &Self::File) -> io::Result<Self::File>;
}

/// The next result of reading a folder.
#[derive(Debug)]
pub(super) enum JournalItem {
    /// An accepted record.
    Record(Box<Located>),
    /// A line is damaged.
    Damage(Damage),
    /// A file cannot be read, or not to its end.
    Unreadable(Arc<str>, io::Error),
}

/// A file that is still to be read.
struct UnreadFile<F> {
    name: Arc<str>,
    /// The current file is opened at once, because it may be renamed at any time.
    file: Option<F>,
    beginning: FileBeginning,
    /// The record that the next chain names as its predecessor.
    limit: Option<Predecessor>,
}

/// The file that is being read.
struct OpenFile<F> {
    name: Arc<str>,
    lines: JournalLines<F>,
    /// Whether only a newer version understands it.
    is_newer: bool,
    /// The most recent lines with zeros in them, and the offset of each in bytes.
    zeroed: Vec<(LineLocation, u64)>,
}

/// The first record of a file.
#[derive(Clone, Debug, Default)]
struct FileBeginning {
    /// The number of its first record.
    seq: Option<u64>,
    /// The hash of that record.
    digest: Option<Digest>,
    /// Whether a chain begins with it.
    is_chain: bool,
    /// The record that this chain names as its predecessor.
    after: Option<Predecessor>,
}

/// The end of the current file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CurrentEnd {
    /// The offset in bytes of the end of its last complete line.
    pub(super) length: u64,
    /// Whether more bytes follow.
    pub(super) is_torn: bool,
}

/// Iterates over the records of a folder and the damage in it.
pub(super) struct Records<S: FolderFiles> {
    files: S,
    waiting: VecDeque<UnreadFile<S::File>>,
    open: Option<OpenFile<S::File>>,
    chain: Chain,
    items: VecDeque<JournalItem>,
    is_finished: bool,
    current_end: Option<CurrentEnd>,
    last_line: Option<LineLocation>,
}

impl<S: FolderFiles> Records<S> {
    /// The records in these full files and in the current one. `noted` is the hash of the newest
    /// record that was noted outside of the files before they were opened.
    pub(super) fn new(
        files: S,
        full: Vec<String>,
        current: Option<S::File>,
        noted: Option<NotedHash>,
    ) -> Self {
        let mut sources = Vec::new();
        for name in full {
            // A file that cannot be opened is reported when its turn comes.
            let beginning = files.open(&name).map(read_beginning).unwrap_or_default();
            sources.push((beginning, name, None));
        }
        if let Some(file) = current {
            let beginning =
                files.reopen(files::CURRENT, &file).map(read_beginning).unwrap_or_default();
            sources.push((beginning, files::CURRENT.to_owned(), Some(file)));
        }
        sources.sort_by_cached_key(|(beginning, name, file)| {
            let named = files::first_seq(name).unwrap_or(u64::MAX);
            (beginning.seq.unwrap_or(named), file.is_some(), name.clone())
        });
        let mut records = Self {
            files,
            waiting: VecDeque::new(),
            open: None,
            chain: Chain::new(noted),
            items: VecDeque::new(),
            is_finished: false,
            current_end: None,
            last_line: None,
        };
        for (beginning, name, file) in sources {
            records.add(UnreadFile { name: name.into(), file, beginning, limit: None });
        }
        let mut limit = None;
        for source in records.waiting.iter_mut().rev() {
            source.limit.clone_from(&limit);
            if source.beginning.is_chain {
                limit.clone_from(&source.beginning.after);
            }
        }
        records
    }

    /// Adds a file unless it is a copy of the one before. Of the two, the current file is read.
    fn add(&mut self, source: UnreadFile<S::File>) {
        let digest = source.beginning.digest.as_ref();
        let is_copy = digest.is_some()
            && self.waiting.back().is_some_and(|last| last.beginning.digest.as_ref() == digest);
        if !is_copy {
            self.waiting.push_back(source);
        } else if let Some(last) = self.waiting.back_mut() {
            let copy = if source.file.is_some() {
                std::mem::replace(last, source).name
            } else {
                source.name
            };
            let flaw = Flaw::Copy(Arc::clone(&last.name));
            let place = LineLocation { file: copy, line: 1 };
            self.items.push_back(JournalItem::Damage(Damage { place, seq: None, flaw }));
        }
    }

    /// Reports a file that exists but cannot be read.
    pub(super) fn note_unreadable(&mut self, name: &str, error: io::Error) {
        self.items.push_back(JournalItem::Unreadable(name.into(), error));
    }

    /// The names of the files to read, in order.
    pub(super) fn names(&self) -> Vec<String> {
        self.waiting.iter().map(|source| source.name.to_string()).collect()
    }

    /// The number of files to read.
    pub(super) fn files(&self) -> usize {
        self.waiting.len()
    }

    /// Skips files that hold only records up to this number.
    pub(super) fn skip_to(&mut self, seq: u64) {
        while self
            .waiting
            .get(1)
            .and_then(|next| next.beginning.seq)
            .is_some_and(|first| first <= seq.saturating_add(1))
        {
            self.waiting.pop_front();
        }
    }

    /// How the current file ended, once it has been read.
    pub(super) fn current_end(&self) -> Option<CurrentEnd> {
        self.current_end
    }

    /// The last line of all files, whatever its content.
    pub(super) fn last_line(&self) -> Option<&LineLocation> {
        self.last_line.as_ref()
    }

    /// The highest number in use in the lines read so far.
    pub(super) fn newest(&self) -> u64 {
        self.chain.newest()
    }

    /// Reads a line, or opens the next file.
    fn step(&mut self) {
        let Some(open) = &mut self.open else { return self.open_next() };
        let OpenFile { name, lines, is_newer, zeroed } = open;
        let is_current = name.as_ref() == files::CURRENT;
        let (is_first, before) = (lines.number == 0, lines.end);
        let place = LineLocation { file: Arc::clone(name), line: lines.number + 1 };
        let line = match lines.next() {
            Ok(Some(JournalLine::Torn) | None) if is_current => {
                // Its end is being written, or was never acknowledged.
                let is_torn = !zeroed.is_empty() || lines.end > before;
                let length = zeroed.first().map_or(before, |(_, before)| *before);
                self.current_end = Some(CurrentEnd { length, is_torn });
                self.open = None;
                return;
            }
            Ok(Some(line)) => line,
            Ok(None) => {
                self.open = None;
                return;
            }
            Err(error) => {
                self.items.push_back(JournalItem::Unreadable(Arc::clone(name), error));
                self.chain.mark_discontinuity();
                self.open = None;
                return;
            }
        };
        match line {
            JournalLine::Whole(line) if *is_newer => {
                if let Ok(record) = parse(line) {
                    self.chain.note_number(record.seq);
                }
            }
            // A power cut leaves zeros in blocks that were not written back yet. At the end of the
            // file such lines count as torn.
            JournalLine::Whole(line)
                if is_current && line.contains(&0) && zeroed.len() < MOST_ZEROED =>
            {
                zeroed.push((place, before));
                return;
            }
            line => {
                for (place, _) in zeroed.drain(..) {
                    self.chain.unreadable(Flaw::NotARecord, &place);
                }
                match line {
                    JournalLine::Whole(line) => {
                        let taken = self.chain.line(line, place.clone(), is_first);
                        *is_newer = is_first && matches!(taken, Err(Flaw::NewerFormat(_)));
                    }
                    JournalLine::Torn => self.chain.unreadable(Flaw::Torn, &place),
                    JournalLine::TooLong => self.chain.unreadable(Flaw::TooLong, &place),
                }
                self.last_line = Some(place);
            }
        }
        if is_current {
            self.current_end = Some(CurrentEnd { length: lines.end, is_torn: false });
        }
    }

    fn open_next(&mut self) {
        let Some(UnreadFile { name, file, limit, .. }) = self.waiting.pop_front() else {
            self.chain.finish();
            self.is_finished = true;
            return;
        };
        match file.map_or_else(|| self.files.open(&name), Ok) {
            Ok(file) => {
                if name.as_ref() == files::CURRENT {
                    self.current_end = Some(CurrentEnd::default());
                }
                self.chain.begin_file(limit);
                let lines = JournalLines::new(file);
                self.open = Some(OpenFile { name, lines, is_newer: false, zeroed: Vec::new() });
            }
            // The agent has deleted the oldest file meanwhile to make room.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.chain.mark_discontinuity();
            }
            Err(error) => {
                self.chain.mark_discontinuity();
                self.items.push_back(JournalItem::Unreadable(name, error));
            }
        }
    }
}

/// Reads the first record of a file.
fn read_beginning(file: impl Read) -> FileBeginning {
    let mut lines = JournalLines::new(file);
    let mut beginning = FileBeginning::default();
    while let Ok(Some(JournalLine::Whole(line))) = lines.next() {
        let (line, _) = strip_carriage_return(line);
        let Ok(record) = parse(line) else {
            if lines.number >= BEGINNING {
                break;
            }
            continue;
        };
        beginning.seq = Some(record.seq);
        let digest = Digest::of(line);
        let is_first = lines.number == 1;
        if let Entry::ChainStarted { after, .. } = record.entry
            && is_first
            && record.prev == Digest::none()
        {
            let next = match lines.next() {
                Ok(Some(JournalLine::Whole(line))) => parse(line).ok(),
                _ => None,
            };
            // A changed first line proves nothing.
            let is_contradicted = next.is_some_and(|next| {
                next.seq == record.seq.saturating_add(1) && next.prev != digest
            });
            beginning.is_chain = !is_contradicted;
            beginning.after = after.filter(|_| !is_contradicted);
        }
        beginning.digest = Some(digest);
        break;
    }
    beginning
}

impl<S: FolderFiles> Iterator for Records<S> {
    type Item = JournalItem;

    fn next(&mut self) -> Option<JournalItem> {
        loop {
            if let Some(verdict) = self.chain.next() {
                return Some(match verdict {
                    LineVerdict::Accepted(located) => JournalItem::Record(located),
                    LineVerdict::Damaged(damage) => JournalItem::Damage(damage),
                });
            }
            if let Some(item) = self.items.pop_front() {
                return Some(item);
            }
            if self.is_finished {
                return None;
            }
            self.step();
        }
    }
}
