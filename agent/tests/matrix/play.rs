//! Runs the rows that the command line selects.

mod addresses;
mod agent;
mod anchors;
mod command_line;
mod endpoint;
mod fault;
mod figures;
mod finding;
mod forwarder;
mod house;
mod http;
mod kernel;
mod name_server;
mod namespace;
mod portal;
#[allow(dead_code, reason = "other tests make other records with it")]
#[path = "../common/record.rs"]
mod record;
mod router_services;
mod rows;
mod servers;
mod settings;
mod stage;
mod tunnel;
mod world;

use std::{
    collections::VecDeque,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    panic::{self, AssertUnwindSafe},
    path::Path,
    process::{Command, ExitCode},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use ispmon_agent::clock;
use signal_hook::consts::{SIGINT, SIGTERM};

use command_line::{Arguments, Task};
use finding::Line;
use rows::Row;
use stage::Run;

pub(crate) fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            println!("{problem}");
            return ExitCode::from(64);
        }
    };
    match &arguments.task {
        Task::Nothing => {
            println!(
                "SKIPPED: the fault matrix needs root and several minutes; run it with `-- --rows all`"
            );
            ExitCode::SUCCESS
        }
        Task::List => {
            for row in rows::all() {
                println!("{:<18} {}", row.name, row.title);
            }
            ExitCode::SUCCESS
        }
        Task::Rows(_) | Task::Figures => {
            if let Some(missing) = missing() {
                println!("SKIPPED: the fault matrix needs {missing}");
                return ExitCode::SUCCESS;
            }
            match run(&arguments) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(problem) => {
                    println!("The fault matrix could not run: {problem}");
                    ExitCode::FAILURE
                }
            }
        }
    }
}

/// The missing requirement, if any.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("root".to_owned());
    }
    let programs = ["cc", "ip", "nft", "nsenter", "prlimit", "setpriv", "unshare"];
    let there = |program: &&str| {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|folder| folder.join(program).exists());
        !found
    };
    let missing: Vec<_> = programs.into_iter().filter(there).collect();
    if !missing.is_empty() {
        return Some(format!("the programs {}", missing.join(", ")));
    }
    (!Path::new("/dev/net/tun").exists()).then(|| "/dev/net/tun".to_owned())
}

/// Runs the task; `false` if a row failed.
fn run(arguments: &Arguments) -> io::Result<bool> {
    let folder = tempfile::Builder::new().prefix("ispmon-matrix-").tempdir()?;
    let run = prepare(folder.path(), arguments.full)?;
    let Task::Rows(wanted) = &arguments.task else {
        return figures::print(&run).map(|()| true).map_err(io::Error::other);
    };
    let plays = |row: &Row| wanted.contains(row) && !row.duration(arguments.full).is_zero();
    let rows: Vec<Row> = rows::all().into_iter().filter(plays).collect();
    let begun = clock::boot_time();
    let mut lines = play(&rows, &run, arguments.jobs);
    if !arguments.full && !arguments.once && arguments.jobs > 1 {
        play_failed_again(&rows, &mut lines, &run)?;
    }
    let took = clock::boot_time().saturating_sub(begun).as_secs();
    let passed = lines.iter().filter(|line| line.passed()).count();
    let text =
        format!("{}\n{passed} of {} rows passed in {took} s.", finding::table(&lines), lines.len());
    println!("\n{text}");
    if let Some(file) = &arguments.table {
        let command = if arguments.full { "--rows all --full" } else { "--rows all" };
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let processors = thread::available_parallelism()?;
        let head = format!(
            "# The fault matrix, last run\n\n\
             `cargo test -p ispmon-agent --test matrix -- {command} --table FILE`, on Linux {} with \
             {processors} processors. `agent/tests/matrix/rows/` describes the rows.\n\n",
            kernel.trim()
        );
        fs::write(file, format!("{head}{text}\n"))?;
    }
    if arguments.keep {
        println!("Journals and logs are kept in {}.", folder.keep().display());
    }
    Ok(passed == lines.len())
}

/// Prepares what all rows share.
fn prepare(folder: &Path, full: bool) -> io::Result<Run> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    // The build directory may be inaccessible to other users, so the program is copied.
    let program = folder.join("ispmon-agent");
    fs::copy(env!("CARGO_BIN_EXE_ispmon-agent"), &program)?;
    let compile = |name: &str| {
        let (program, source) = (folder.join(name), format!("tests/matrix/{name}.c"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        let compiled =
            Command::new("cc").arg("-O1").arg("-o").args([&program, &source]).status()?;
        if compiled.success() {
            Ok(program)
        } else {
            Err(io::Error::other(format!("{name}.c does not compile")))
        }
    };
    let (shifted_clock, no_netlink) = (compile("shifted_clock")?, compile("no_netlink")?);
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    Ok(Run { full, folder: folder.to_owned(), program, no_netlink, shifted_clock, interrupted })
}

/// Runs the rows, `jobs` at a time, longest first; the result is in the order of the rows.
fn play(rows: &[Row], run: &Run, jobs: usize) -> Vec<Line> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(rows[index].duration(run.full)));
    let queue = Mutex::new(VecDeque::from(order));
    let (sender, receiver) = mpsc::channel();
    let mut lines: Vec<Option<Line>> = rows.iter().map(|_| None).collect();
    thread::scope(|scope| {
        for _ in 0..jobs.min(rows.len()) {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                while let Some(index) = next(queue) {
                    // The receiver lives until all senders are dropped.
                    let _ = sender.send((index, play_one(&rows[index], run)));
                }
            });
        }
        drop(sender);
        for (index, line) in receiver {
            let result = if line.passed() { "passed" } else { "FAILED" };
            println!("{:<18} {result} after {} s", line.name, line.took.as_secs());
            for failure in line.failures() {
                println!("    {failure}");
            }
            lines[index] = Some(line);
        }
    });
    lines.into_iter().flatten().collect()
}

/// Runs each failed row once more, alone: on a machine with few processors, many rows at once disturb
/// each other's measurements. The table notes the first failure of such a row. It uses another folder,
/// so that the agent does not find the journal of the first run.
fn play_failed_again(rows: &[Row], lines: &mut [Line], run: &Run) -> io::Result<()> {
    let run = &Run { folder: run.folder.join("again"), ..run.clone() };
    fs::create_dir(&run.folder)?;
    fs::set_permissions(&run.folder, fs::Permissions::from_mode(0o755))?;
    for (row, line) in rows.iter().zip(lines).filter(|(_, line)| !line.passed()) {
        println!("{:<18} is run again, alone", row.name);
        let mut again = play_one(row, run);
        if let Ok(finding) = &mut again.result {
            let first = line.failures().join("; ");
            finding.notes.push(format!("run again, alone, after it failed with: {first}"));
        }
        *line = again;
    }
    Ok(())
}

fn next(queue: &Mutex<VecDeque<usize>>) -> Option<usize> {
    queue.lock().expect("the queue lock is not poisoned").pop_front()
}

fn play_one(row: &Row, run: &Run) -> Line {
    let begun = clock::boot_time();
    let result = if run.interrupted.load(Ordering::Relaxed) {
        Err("interrupted".to_owned())
    } else {
        panic::catch_unwind(AssertUnwindSafe(|| row.play(run)))
            .unwrap_or_else(|_| Err("the row panicked".to_owned()))
    };
    let took: Duration = clock::boot_time().saturating_sub(begun);
    let scaled = if run.full { "" } else { row.scaled };
    Line { name: row.name, title: row.title, scaled, took, result }
}
