//! One row's world with its agent, and how the row waits in it.

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
    agent::{Agent, Desk},
    fault::Fault,
    finding::Expected,
    settings::{Heartbeats, Settings},
    world::World,
};

/// How long a row waits for what must come soon, such as the first heartbeat.
const PATIENCE: Duration = Duration::from_secs(45);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// What all rows share.
#[derive(Clone)]
pub(crate) struct Run {
    /// Whether everything takes as long as in life.
    pub(crate) full: bool,
    /// The folder of all rows.
    pub(crate) folder: PathBuf,
    /// The agent's program, where every user may run it.
    pub(crate) program: PathBuf,
    /// The program that takes netlink away.
    pub(crate) no_netlink: PathBuf,
    /// The program that moves clocks.
    pub(crate) shifted_clock: PathBuf,
    /// Whether somebody asked to stop.
    pub(crate) interrupted: Arc<AtomicBool>,
}

/// One row's world with its agent.
pub(crate) struct Stage<'a> {
    pub(crate) run: &'a Run,
    pub(crate) world: World,
    pub(crate) desk: Desk,
    habit: Option<Fault>,
    agent: Option<Agent>,
    /// Where the heartbeats of the newest agent go.
    heartbeats: Heartbeats,
}

/// An incident as the record tells it.
pub(crate) struct Story {
    /// When the record that opened it was written, by the boot-time clock.
    pub(crate) opened_at: Duration,
    /// What it said.
    pub(crate) opened: Incident,
    /// What the newest record of it says.
    pub(crate) newest: Incident,
}

impl<'a> Stage<'a> {
    /// Builds the world of the row of this name, without an agent.
    pub(crate) fn build(run: &'a Run, name: &str) -> Result<Self, String> {
        let world = World::new().map_err(|error| format!("the house cannot be built: {error}"))?;
        world.wait_until_working()?;
        let desk =
            Desk::new(run.folder.join(name)).map_err(|error| format!("the desk: {error}"))?;
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

    /// Starts the agent with clocks that [`Stage::shift`] moves; they begin that many seconds off.
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

    /// Sets by how many milliseconds the agent's clocks are off: the boot-time clock and the wall clock.
    pub(crate) fn shift(&self, boot_ms: i64, wall_ms: i64) -> Result<(), String> {
        let shifts = [boot_ms, wall_ms].map(|ms| (ms * 1_000_000).to_ne_bytes()).concat();
        write_over(&self.shifts(), &shifts)
            .map_err(|error| format!("the shift of the clocks: {error}"))
    }

    fn shifts(&self) -> PathBuf {
        self.desk.file("shifts")
    }

    /// The agent that was started.
    pub(crate) fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("the row has started an agent")
    }

    /// Waits until the agent has delivered its first heartbeat, or knows that the line is up where it sends
    /// none, and three seconds more.
    pub(crate) fn wait_until_up(&mut self) -> Result<(), String> {
        if self.heartbeats == Heartbeats::Nowhere {
            self.until("the first good answer", PATIENCE, |stage| {
                let status = stage.agent().read_status().ok()?;
                (status["condition"] == "up").then_some(())
            })?;
        } else {
            self.until("the first heartbeat", PATIENCE, |stage| {
                let log = stage.agent().log();
                log.iter().any(|line| line.text.contains("first heartbeat reached")).then_some(())
            })?;
        }
        self.sleep(Duration::from_secs(3))
    }

    /// Makes something so before the agent starts that is no failure by itself.
    pub(crate) fn accustom(&mut self, habit: Fault) -> Result<(), String> {
        self.strike(habit)?;
        self.habit = Some(habit);
        Ok(())
    }

    /// Breaks something, proves that it is broken, and says since when.
    pub(crate) fn strike(&mut self, fault: Fault) -> Result<Duration, String> {
        let at = self.strike_unseen(fault)?;
        self.world.verify(fault, self.habit)?;
        Ok(at)
    }

    /// Breaks something and says since when, without asking through the broken line.
    pub(crate) fn strike_unseen(&self, fault: Fault) -> Result<Duration, String> {
        self.world.strike(fault).map_err(|error| format!("{fault:?} cannot be made: {error}"))
    }

    /// Repairs it, and says since when all works.
    pub(crate) fn repair(&self, fault: Fault) -> Result<Duration, String> {
        self.world.repair(fault).map_err(|error| format!("{fault:?} cannot be repaired: {error}"))
    }

    /// Lets time pass.
    pub(crate) fn sleep(&mut self, time: Duration) -> Result<(), String> {
        self.sleep_until(clock::boot_time() + time)
    }

    /// Lets time pass until a moment of the boot-time clock.
    pub(crate) fn sleep_until(&mut self, moment: Duration) -> Result<(), String> {
        while clock::boot_time() < moment {
            self.check()?;
            thread::sleep(LOOK.min(moment.saturating_sub(clock::boot_time())));
        }
        Ok(())
    }

    /// Waits until `look` finds something.
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
            thread::sleep(LOOK);
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

    /// Waits until the record tells of an incident that `wanted` accepts.
    pub(crate) fn until_incident(
        &mut self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&Story) -> bool,
    ) -> Result<(), String> {
        self.until(what, patience, |stage| {
            let stories = stories(&stage.agent().journal().unwrap_or_default());
            stories.iter().any(&wanted).then_some(())
        })
        .map_err(|problem| {
            let stories = stories(&self.agent().journal().unwrap_or_default());
            format!("{problem}; recorded: {}", list(&stories))
        })
    }

    /// Stops the agent in order and returns its record.
    pub(crate) fn finish(&mut self) -> Result<Vec<Record>, String> {
        let agent = self.agent.take().expect("the row has started an agent");
        // A record on a file system of the agent's own ends with it.
        let journal = agent.journal();
        agent.stop(Duration::from_secs(5))?;
        journal
    }
}

/// What the record tells of incidents, in the order in which they opened.
pub(crate) fn stories(records: &[Record]) -> Vec<Story> {
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

/// All incidents of a record in one line.
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

/// What the record tells of gaps.
pub(crate) fn gaps(records: &[Record]) -> Vec<Gap> {
    let gap = |record: &Record| match &record.entry {
        Entry::Gap { gap } => Some(gap.clone()),
        _ => None,
    };
    records.iter().filter_map(gap).collect()
}

/// Writes into a file without making it anew, because another program has mapped it.
fn write_over(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?.write_all(bytes)
}
