//! What the program is asked for.

use std::path::PathBuf;

use crate::play::rows::{self, Row};

/// How many rows are played at once. They mostly wait; more would make the start of so many agents and
/// the making of so many namespaces part of what is measured.
const JOBS: usize = 16;

/// The command line.
pub(crate) struct Arguments {
    pub(crate) task: Task,
    /// Whether everything takes as long as in life.
    pub(crate) full: bool,
    /// How many rows are played at once.
    pub(crate) jobs: usize,
    /// A file for the table.
    pub(crate) table: Option<PathBuf>,
    /// Whether a row that failed stays so, in place of being played again and alone.
    pub(crate) once: bool,
    /// Whether records and logs are left behind.
    pub(crate) keep: bool,
}

/// What is to be done.
pub(crate) enum Task {
    Nothing,
    List,
    Rows(Wanted),
    Figures,
}

/// Which rows are to be played.
pub(crate) enum Wanted {
    All,
    /// Those that take a minute at most.
    Quick,
    These(Vec<String>),
}

impl Wanted {
    /// Whether a row is wanted.
    pub(crate) fn contains(&self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Quick => row.seconds[0] <= 60,
            Self::These(names) => names.iter().any(|name| name == row.name),
        }
    }
}

impl Arguments {
    /// Reads the command line. Other arguments than ours are for other test programs of the same
    /// `cargo test`.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            task: Task::Nothing,
            full: false,
            jobs: JOBS,
            table: None,
            once: false,
            keep: false,
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--rows" => parsed.task = Task::Rows(wanted(&value()?)?),
                "--list" => parsed.task = Task::List,
                "--figures" => parsed.task = Task::Figures,
                "--full" => parsed.full = true,
                "--once" => parsed.once = true,
                "--keep" => parsed.keep = true,
                "--table" => parsed.table = Some(value()?.into()),
                "--jobs" => {
                    parsed.jobs =
                        value()?.parse().map_err(|_| "--jobs needs a number".to_owned())?;
                }
                _ => {}
            }
        }
        Ok(parsed)
    }
}

fn wanted(text: &str) -> Result<Wanted, String> {
    match text {
        "all" => Ok(Wanted::All),
        "quick" => Ok(Wanted::Quick),
        names => {
            let names: Vec<String> = names.split(',').map(str::to_owned).collect();
            let all = rows::all();
            match names.iter().find(|name| !all.iter().any(|row| row.name == *name)) {
                Some(unknown) => Err(format!("there is no row {unknown:?}; `--list` lists them")),
                None => Ok(Wanted::These(names)),
            }
        }
    }
}
