//! `ispmon-lab simulate`: years of a device in seconds, to compare settings.
//!
//! A world is generated from a seed: outages, restarts, pauses, lost log lines, failures of Azure.
//! A device sends its heartbeats in it, paced as the agent paces them; the lab's rule engine
//! evaluates the deployed rules on the lines of the real function; and the resulting mails are
//! compared with the events of the world. Nothing here reads a clock; equal seeds give equal
//! results, on any number of threads.
//!
//! - [`assumptions`] are the constants of the model, [`settings`] the values that are compared.
//! - [`world`] generates the events, [`device`] sends [`lines`], [`delay`] decides when queries see
//!   them.
//! - [`run`] simulates one world, [`score`] evaluates its mails, [`price`] computes its cost.
//! - [`report`] and [`html`] present the results; [`time`] and [`random`] are helpers.

pub mod assumptions;
pub mod delay;
pub mod device;
pub mod html;
pub mod lines;
pub mod price;
pub mod random;
pub mod report;
pub mod run;
pub mod score;
pub mod settings;
pub mod time;
pub mod world;

use std::{
    fs,
    io::{self, Write as _},
    num::NonZero,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    clock, exit,
    rules::{self, Rule, RulesError, resolve::FrequencyError},
};
use assumptions::Assumptions;
use report::{SimulationOutcome, SimulationReport};
use score::Score;
pub use settings::SimulationSettings;
use settings::Variation;
use world::World;

/// Arguments of `simulate`.
#[derive(Clone, Debug, clap::Args)]
pub struct SimulateArguments {
    /// Years of each world
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    years: u32,

    /// How many worlds, each made up from a seed of its own
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    seeds: u32,

    /// The seed of the first world
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    first_seed: u64,

    /// Minutes of silence from which a device counts as silent (`SILENCE_MINUTES`) [default: the templates']
    #[arg(long, value_name = "MINUTES", value_parser = settings::threshold)]
    threshold: Option<f64>,

    /// Minutes between two evaluations of a rule (`EVALUATION_MINUTES`) [default: the templates']
    #[arg(long, value_name = "MINUTES", value_parser = settings::evaluation)]
    evaluation: Option<u32>,

    /// Seconds between two heartbeats (`HEARTBEAT_INTERVAL`)
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = settings::interval)]
    interval: u32,

    /// Values of a setting side by side, such as `threshold=5,5.5,6`; given twice, all combinations
    #[arg(long, value_name = "SETTING=VALUES")]
    compare: Vec<Variation>,

    /// Devices that the price is for
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    devices: u32,

    /// Print JSON instead of the table
    #[arg(long)]
    json: bool,

    /// Write a page with plots, which needs nothing from elsewhere
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    #[command(flatten)]
    assumptions: Assumptions,
}

/// Why nothing was simulated, or the results could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The rules of the deployment cannot be evaluated.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The evaluation frequency is not possible for a rule.
    #[error(transparent)]
    Frequency(#[from] FrequencyError),
    /// The page cannot be written.
    #[error("cannot write `{path}`")]
    Page {
        /// Its path.
        path: PathBuf,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// The results could not be printed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Simulates and prints the results; prints the elapsed time to standard error.
pub fn main(arguments: &SimulateArguments) -> ExitCode {
    let started = clock::monotonic();
    let result = write(arguments);
    if result.is_ok() {
        let seconds = started.elapsed().as_secs_f64();
        // If printing fails, the error cannot be reported either.
        let _ = writeln!(io::stderr(), "Simulated in {seconds:.1} s on {} threads.", threads());
    }
    exit::code(result)
}

fn write(arguments: &SimulateArguments) -> Result<(), SimulateError> {
    let report = simulate(arguments)?;
    if let Some(path) = &arguments.html {
        fs::write(path, html::page(&report, &arguments.assumptions))
            .map_err(|source| SimulateError::Page { path: path.clone(), source })?;
    }
    let text = if arguments.json { report.to_json() } else { report.to_text() };
    io::stdout().write_all(text.as_bytes()).map_err(SimulateError::Output)
}

/// Simulates all worlds with all settings.
fn simulate(arguments: &SimulateArguments) -> Result<SimulationReport, SimulateError> {
    let deployed = rules::deployed()?;
    let (threshold, evaluation) = run::timing(&deployed);
    let settings = SimulationSettings {
        threshold: arguments.threshold.unwrap_or(threshold),
        evaluation_minutes: arguments.evaluation.unwrap_or(evaluation),
        interval_s: arguments.interval,
    };
    let variants = settings
        .combinations(&arguments.compare)
        .into_iter()
        .map(|settings| Ok((settings, run::rules(&deployed, &settings)?)))
        .collect::<Result<Vec<_>, FrequencyError>>()?;
    let scores = simulate_all(arguments, &variants);
    let results = variants
        .iter()
        .zip(scores)
        .map(|((settings, _), score)| SimulationOutcome::new(*settings, score, arguments.devices));
    Ok(SimulationReport {
        years: arguments.years,
        seeds: arguments.seeds,
        first_seed: arguments.first_seed,
        results: results.collect(),
    })
}

/// Simulates every world with every variant on all cores, and sums up the scores of each variant.
fn simulate_all(
    arguments: &SimulateArguments,
    variants: &[(SimulationSettings, Vec<Rule>)],
) -> Vec<Score> {
    let next = AtomicUsize::new(0);
    let scores = Mutex::new(vec![Score::default(); variants.len()]);
    thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= arguments.seeds as usize {
                        return;
                    }
                    let world_scores = simulate_world(arguments, variants, number as u64);
                    let mut scores = scores.lock().unwrap_or_else(PoisonError::into_inner);
                    for (score, of_world) in scores.iter_mut().zip(world_scores) {
                        score.add(of_world);
                    }
                }
            });
        }
    });
    scores.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Simulates one world with every variant: the same outages for all of them.
fn simulate_world(
    arguments: &SimulateArguments,
    variants: &[(SimulationSettings, Vec<Rule>)],
    number: u64,
) -> Vec<Score> {
    let seed = arguments.first_seed + number;
    let world = World::random(&arguments.assumptions, arguments.years, seed);
    let score = |(settings, rules): &(SimulationSettings, Vec<Rule>)| {
        let log = run::run(&world, &arguments.assumptions, settings, rules, !seed);
        Score::of(&world, settings, &log)
    };
    variants.iter().map(score).collect()
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

#[cfg(test)]
mod tests;
