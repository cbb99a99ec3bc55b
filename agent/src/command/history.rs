//! `ispmon-agent outages` and `report`: the incidents in the journal, for any user who can read it.

use std::{
    fs,
    io::{self, ErrorKind, IsTerminal, Write},
    path::{Path, PathBuf},
};

use ispmon_wire::JournalHead;

use super::{
    fail, fail_because, print, print_error,
    running::{AgentPaths, FoundAgent},
    zone,
};
use crate::{
    cli::{Form, OutagesRequest, ReportRequest},
    clock::{self, Stamp},
    config::Sources,
    error_chain::ErrorChain,
    exit::Exit,
    history::{Collector, History, PastIncident, Period},
    journal::{JournalReadError, JournalReader, last_alive},
    printable::PrintableWriter,
    report::{self, ReportOptions},
    status::place,
};

/// Lists the incidents of a period.
pub fn outages(sources: &Sources, request: &OutagesRequest) -> Exit {
    let journal = match FoundJournal::of(sources) {
        Ok(journal) => journal,
        Err(exit) => return exit,
    };
    let zone = zone();
    let options = ReportOptions { gaps: request.all, ..journal.options(&request.period, &zone) };
    if request.form == Form::Csv {
        journal.warn();
    }
    print(|output| match request.form {
        Form::Json => report::json_incidents(&options, output),
        Form::Csv => report::csv_incidents(&options, output),
        Form::Text | Form::Html(_) => report::text_incidents(&options, output),
    })
}

/// Prints a report on a period, or writes it as a page.
pub fn report(sources: &Sources, request: &ReportRequest) -> Exit {
    if request.form == Form::Html(None) && io::stdout().is_terminal() {
        print_error(
            "a page is not for a terminal; name a file: ispmon-agent report --html report.html",
        );
        return Exit::Usage;
    }
    let journal = match FoundJournal::of(sources) {
        Ok(journal) => journal,
        Err(exit) => return exit,
    };
    let incident = match request.incident.as_deref().map(|id| journal.incident(id)).transpose() {
        Ok(incident) => incident,
        Err(reason) => return fail(reason),
    };
    let zone = zone();
    let options = ReportOptions { incident, ..journal.options(&request.period, &zone) };
    if request.form == Form::Csv {
        journal.warn();
    }
    match &request.form {
        Form::Text => print(|output| report::text_report(&options, output)),
        Form::Json => print(|output| report::json_report(&options, output)),
        Form::Csv => print(|output| report::csv_report(&options, output)),
        Form::Html(None) => print(|output| report::html_page(&options, output)),
        Form::Html(Some(file)) => {
            let file = sources.folder.join(file);
            // The file may be printed in a terminal.
            let mut page = PrintableWriter::new(Vec::new());
            let written = report::html_page(&options, &mut page)
                .and_then(|()| fs::write(&file, page.into_inner()));
            match written {
                Ok(()) => print(|output| writeln!(output, "Written to {}.", file.display())),
                Err(error) => fail(format_args!("{} cannot be written: {error}.", file.display())),
            }
        }
    }
}

/// The journal of this machine.
struct FoundJournal {
    folder: PathBuf,
    history: History,
    head: Option<JournalHead>,
    damage: Option<String>,
}

impl FoundJournal {
    /// Finds and reads the journal. When the configuration has problems, or this user may not read it, the
    /// default folders are still searched.
    fn of(sources: &Sources) -> Result<Self, Exit> {
        let places = AgentPaths::of(sources);
        let agent = places.find_with_presence();
        let folders = places.state_dirs(&agent);
        let mut first_error = None;
        for folder in &folders {
            match JournalReader::open(folder) {
                Ok(reader) => return Ok(Self::read(folder, reader, seen_until(&agent, folder))),
                Err(JournalReadError::Absent { .. }) => {}
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.map_or_else(|| no_journal(&folders), |error| refuse(&error)))
    }

    /// Reads all readable records; the first problem is kept as damage.
    fn read(folder: &Path, reader: JournalReader, seen_until: Option<Stamp>) -> Self {
        let mut collector = Collector::default();
        let (mut head, mut damage) = (None, None);
        for read in reader {
            match read {
                Ok(located) => {
                    let (seq, head_hash) = (located.record.seq, located.digest.to_string());
                    head = Some(JournalHead { seq, head: head_hash });
                    collector.add(located.record);
                }
                Err(JournalReadError::Damaged(flaw)) => {
                    damage.get_or_insert(flaw.to_string());
                }
                Err(error) => {
                    damage.get_or_insert(ErrorChain(&error).to_string());
                }
            }
        }
        let history = collector.finish(seen_until, clock::now());
        Self { folder: folder.to_owned(), history, head, damage }
    }

    /// Warns on standard error of what is missing, because a table has no room for it.
    fn warn(&self) {
        if let Some(damage) = &self.damage {
            print_error(format_args!("warning: the journal is damaged: {damage}"));
        }
        for sentence in self.history.unknown.sentences() {
            print_error(format_args!("warning: {sentence}"));
        }
    }

    fn options<'a>(&'a self, period: &Period, zone: &'a jiff::tz::TimeZone) -> ReportOptions<'a> {
        let now = clock::now();
        ReportOptions {
            history: &self.history,
            period: period.resolve(now, zone),
            head: self.head.as_ref(),
            folder: &self.folder,
            damage: self.damage.as_deref(),
            zone,
            now,
            incident: None,
            gaps: false,
        }
    }

    /// The one incident whose ID starts with `beginning`.
    fn incident(&self, beginning: &str) -> Result<&PastIncident, String> {
        let mut found = self
            .history
            .incidents
            .iter()
            .filter(|incident| incident.recorded.id.to_string().starts_with(beginning));
        match (found.next(), found.count()) {
            (Some(incident), 0) => Ok(incident),
            (Some(_), more) => Err(format!(
                "{} incidents have an ID that begins with {beginning}: give more of it.",
                more + 1
            )),
            (None, _) => Err(format!(
                "no incident has an ID that begins with {beginning}; `ispmon-agent outages` lists them."
            )),
        }
    }
}

/// Until when the agent that writes to a folder is known to have monitored. While it runs, its status
/// decides, so that an open incident has the same length here and in `status`; otherwise the timestamp that
/// the agent writes every minute.
fn seen_until(agent: &FoundAgent, folder: &Path) -> Option<Stamp> {
    let running = agent.as_ref().ok().filter(|(found, presence)| {
        presence.is_running() && place::is_same_folder(&found.status.state_dir, folder)
    });
    match running {
        Some((found, presence)) => Some(presence.seen_until(&found.status, Stamp::now())),
        None => last_alive(folder),
    }
}

/// Reports why an existing journal cannot be read.
fn refuse(error: &JournalReadError) -> Exit {
    match error {
        JournalReadError::Io { source, path } if source.kind() == ErrorKind::PermissionDenied => {
            fail(format_args!(
                "{} may not be read by this user. The journal should be readable by every user: \
                 put sudo before the command, or chmod a+rX its folder.",
                path.display()
            ))
        }
        _ => fail_because(error),
    }
}

/// Reports that there is no journal yet, which is no mistake of the user.
fn no_journal(folders: &[PathBuf]) -> Exit {
    fail(format_args!(
        "there is no journal yet in {}. The agent creates it when it starts; --state-dir names \
         another folder.",
        place::list(folders)
    ))
}
