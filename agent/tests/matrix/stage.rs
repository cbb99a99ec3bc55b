//! The world of one row with its agent, and how the row waits in it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ispmon_agent::{
    clock,
    journal::{Entry, Record},
    outage::{Gap, Incident, IncidentId},
};

use crate::play::{
    agent::{Agent, AgentFolder},
    fault::Fault,
    finding::Expected,
    settings::{Heartbeats, Settings},
    world::World,
};

/// Timeout for events that must come soon, such as the first heartbeat.
const TIMEOUT: Duration = Duration::from_secs(45);
/// Polling interval.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What all rows share.
#[derive(Clone)]
pub(crate) struct Run {
    /// Runs every row at real time scale.
    pub(crate) full: bool,
    /// The folder of all rows.
    pub(crate) folder: PathBuf,
    /// The agent's program, in a folder where every user may execute it.
    pub(crate) program: PathBuf,
    /// The wrapper that denies netlink to a program.
    pub(crate) no_netlink: PathBuf,
    /// The wrapper that shifts the clocks of a program.
    pub(crate) shifted_clock: PathBuf,
    /// Set by SIGINT and SIGTERM.
    pub(crate) interrupted: Arc<AtomicBool>,
}

/// The world of one row with its agent.
pub(crate) struct Stage<'a> {
    pub(crate) run: &'a Run,
    pub(crate) world: World,
    pub(crate) desk: AgentFolder,
    habit: Option<Fault>,
    agent: Option<Agent>,
    /// The heartbeat target of the agent that was started last.
    heartbeats: Heartbeats,
}

/// The records of one incident in the journal.
pub(crate) struct Story {
    /// When its first record was written, by the boot-time clock.
    pub(crate) opened_at: Duration,
    /// The incident in its first record.
    pub(crate) opened: Incident,
    /// The incident in its newest record.
    pub(crate) newest: Incident,
}

impl<'a> Stage<'a> {
    /// Builds the world of the row of this name, without an agent.
    pub(crate) fn build(run: &'a Run, name: &str) -> Result<Self, String> {
        let world = World::new().map_err(|error| format!("cannot build the house: {error}"))?;
        world.wait_until_working()?;
        let desk = AgentFolder::new(run.folder.join(name))
            .map_err(|error| format!("the desk: {error}"))?;
        let heartbeats = Heartbeats::default();
        Ok(Self { run, world, desk, habit: None, agent: None, heartbeats })
    }

    /// Starts the agent.
    pub(crate) fn start(&mut self, settings: &Settings) -> Result<(), String> {
        let program = self.run.program.display().to_string();
        let no_netlink = self.run.no_netlink.display().to_string();
        let all = [no_netlink.as_str(), program.as_str()];
        self.start_program(if settings.netlink { &all[1..] } else { &all }, settings)
    }

    /// Starts the agent with clocks that [`Stage::shift`] shifts. They start with the shift that is
    /// set.
    pub(crate) fn start_with_shifted_clock(&mut self, settings: &Settings) -> Result<(), String> {
        let shifts = self.shifts();
        if !shifts.exists() {
            self.shift(0, 0)?;
        }
        let program = [&self.run.shifted_clock, &shifts, &self.run.program]
            .map(|path| path.display().to_string());
        self.start_program(&program.each_ref().map(String::as_str), settings)
    }

    fn start_program(&mut self, program: &[&str], settings: &Settings) -> Result<(), String> {
        self.heartbeats = settings.heartbeats;
        let agent = Agent::start(program, &self.desk, settings, &self.world);
        self.agent = Some(agent.map_err(|error| format!("the agent does not start: {error}"))?);
        Ok(())
    }

    /// Sets the shift of the agent's boot-time clock and wall clock, in milliseconds.
    pub(crate) fn shift(&self, boot_ms: i64, wall_ms: i64) -> Result<(), String> {
        let shifts = [boot_ms, wall_ms].map(|ms| (ms * 1_000_000).to_ne_bytes()).concat();
        write_over(&self.shifts(), &shifts)
            .map_err(|error| format!("the shift of the clocks: {error}"))
    }

    fn shifts(&self) -> PathBuf {
        self.desk.file("shifts")
    }

    /// The running agent.
    pub(crate) fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("the row has started an agent")
    }

    /// Waits for the agent's first heartbeat, or, if it sends none, until it reports the connection as
    /// up, and three more seconds.
    pub(crate) fn wait_until_up(&mut self) -> Result<(), String> {
        if self.heartbeats == Heartbeats::Nowhere {
            self.until("the first good answer", TIMEOUT, |stage| {
                let status = stage.agent().read_status().ok()?;
                (status["condition"] == "up").then_some(())
            })?;
        } else {
            self.until("the first heartbeat", TIMEOUT, |stage| {
                let log = stage.agent().log();
                log.iter().any(|line| line.text.contains("first heartbeat reached")).then_some(())
            })?;
        }
        self.sleep(Duration::from_secs(3))
    }

    /// Applies a condition that is no failure by itself, before the agent starts.
    pub(crate) fn apply_habit(&mut self, habit: Fault) -> Result<(), String> {
        self.inject(habit)?;
        self.habit = Some(habit);
        Ok(())
    }

    /// Injects a fault, verifies it, and returns when it took effect.
    pub(crate) fn inject(&mut self, fault: Fault) -> Result<Duration, String> {
        let at = self.inject_unverified(fault)?;
        self.world.verify(fault, self.habit)?;
        Ok(at)
    }

    /// Injects a fault without verifying it from the device, and returns when it took effect.
    pub(crate) fn inject_unverified(&self, fault: Fault) -> Result<Duration, String> {
        self.world.inject(fault).map_err(|error| format!("{fault:?} cannot be injected: {error}"))
    }

    /// Repairs a fault, and returns when everything works again.
    pub(crate) fn repair(&self, fault: Fault) -> Result<Duration, String> {
        self.world.repair(fault).map_err(|error| format!("{fault:?} cannot be repaired: {error}"))
    }

    /// Waits for a time while the agent runs.
    pub(crate) fn sleep(&mut self, time: Duration) -> Result<(), String> {
        self.sleep_until(clock::boot_time() + time)
    }

    /// Waits until a time of the boot-time clock.
    pub(crate) fn sleep_until(&mut self, moment: Duration) -> Result<(), String> {
        while clock::boot_time() < moment {
            self.check()?;
            thread::sleep(POLL_INTERVAL.min(moment.saturating_sub(clock::boot_time())));
        }
        Ok(())
    }

    /// Polls `look` until it returns a value.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        patience: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T, String> {
        let deadline = clock::boot_time() + patience;
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            self.check()?;
            if clock::boot_time() > deadline {
                return Err(format!("{what} did not come within {} s", patience.as_secs()));
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn check(&mut self) -> Result<(), String> {
        if self.run.interrupted.load(Ordering::Relaxed) {
            return Err("interrupted".to_owned());
        }
        match self.agent.as_mut().and_then(Agent::ended) {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }

    /// Waits until the journal has an incident that `wanted` accepts.
    pub(crate) fn until_incident(
        &mut self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&Story) -> bool,
    ) -> Result<(), String> {
        self.until(what, patience, |stage| {
            let stories = recorded_incidents(&stage.agent().journal().unwrap_or_default());
            stories.iter().any(&wanted).then_some(())
        })
        .map_err(|problem| {
            let stories = recorded_incidents(&self.agent().journal().unwrap_or_default());
            format!("{problem}; recorded: {}", list(&stories))
        })
    }

    /// Stops the agent cleanly and returns its journal.
    pub(crate) fn finish(&mut self) -> Result<Vec<Record>, String> {
        let agent = self.agent.take().expect("the row has started an agent");
        // A journal on the agent's own tmpfs is gone once the agent has stopped.
        let journal = agent.journal();
        agent.stop(Duration::from_secs(5))?;
        journal
    }
}

/// The incidents of the journal, in the order in which they opened.
pub(crate) fn recorded_incidents(records: &[Record]) -> Vec<Story> {
    let mut stories: Vec<Story> = Vec::new();
    let mut update = |id: IncidentId, record: &Record, incident: &Incident| match stories
        .iter_mut()
        .find(|story| story.newest.id == id)
    {
        Some(story) => story.newest = incident.clone(),
        None => stories.push(Story {
            opened_at: Duration::from_millis(record.at.boot_ms),
            opened: incident.clone(),
            newest: incident.clone(),
        }),
    };
    for record in records {
        match &record.entry {
            Entry::IncidentOpened { incident }
            | Entry::IncidentChanged { incident }
            | Entry::IncidentClosed { incident } => update(incident.id, record, incident),
            _ => {}
        }
    }
    stories
}

/// All incidents in one phrase.
pub(crate) fn list(stories: &[Story]) -> String {
    if stories.is_empty() {
        return "no incident".to_owned();
    }
    let one = |story: &Story| {
        let seconds = story.newest.downtime().as_secs_f64();
        let end = if story.newest.ended.is_some() { "ended" } else { "open" };
        format!("{}, {end}, {seconds:.1} s of downtime", Expected::of(&story.newest))
    };
    stories.iter().map(one).collect::<Vec<_>>().join(" | ")
}

/// The gaps of the journal.
pub(crate) fn gaps(records: &[Record]) -> Vec<Gap> {
    let gap = |record: &Record| match &record.entry {
        Entry::Gap { gap } => Some(gap.clone()),
        _ => None,
    };
    records.iter().filter_map(gap).collect()
}

/// Overwrites a file in place, because another program has mapped it.
fn write_over(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?.write_all(bytes)
}
