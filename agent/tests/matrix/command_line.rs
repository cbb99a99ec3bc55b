//! The command line of the matrix.

use std::path::PathBuf;

use crate::play::rows::{self, Row};

/// Default number of rows run at once. Rows mostly wait, but more of them would make starting the
/// agents and creating the namespaces part of what is measured.
const JOBS: usize = 16;

/// The parsed command line.
pub(crate) struct Arguments {
    pub(crate) task: Task,
    /// Runs every row at real time scale.
    pub(crate) full: bool,
    /// Number of rows run at once.
    pub(crate) jobs: usize,
    /// File to which the table is written.
    pub(crate) table: Option<PathBuf>,
    /// Reports a failed row at once instead of running it again, alone.
    pub(crate) once: bool,
    /// Keeps journals and logs.
    pub(crate) keep: bool,
}

/// The task to do.
pub(crate) enum Task {
    Nothing,
    List,
    Rows(Wanted),
    Figures,
}

/// The selected rows.
pub(crate) enum Wanted {
    All,
    /// Rows that take at most a minute.
    Quick,
    These(Vec<String>),
}

impl Wanted {
    /// Whether the row is selected.
    pub(crate) fn contains(&self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Quick => row.seconds[0] <= 60,
            Self::These(names) => names.iter().any(|name| name == row.name),
        }
    }
}

impl Arguments {
    /// Parses the command line. Ignores arguments meant for other test programs of the same `cargo
    /// test`.
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
