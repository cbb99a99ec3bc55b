//! The start of the monitoring.

use std::time::Duration;

use fastrand::Rng;
use tokio::sync::mpsc;

use super::{
    Monitor, MonitorDeps, MonitorSettings, SharedTally, Tally, prober::Prober, recorder::Recorder,
    schedule::ProbeSchedule, status_builder::StatusBuilder,
};
use crate::{
    clock::Stamp,
    event::{Advice, LogEvent},
    journal::{Entry, PastGap, Recovered, Start},
    outage::{GraceReason, MachineSettings, OutageMachine, Transition},
    probe::link::LinkMonitor,
};

impl Monitor {
    /// Prepares monitoring, and records what happened since the last run.
    ///
    /// # Panics
    /// When called outside of a tokio runtime.
    pub fn start(settings: MonitorSettings, deps: MonitorDeps) -> Self {
        let MonitorDeps {
            clock,
            resolver,
            journal,
            recovered,
            publisher,
            manager,
            state_dir,
            connectivity_restored: returned,
            hand_over_due: closed,
        } = deps;
        let now = clock.now();
        let mut random = Rng::new();
        let machine_settings =
            MachineSettings { grace: settings.probe.grace, ..MachineSettings::default() };
        let mut machine =
            OutageMachine::new(machine_settings, random.fork(), recovered.open.clone(), now);
        recovered.hours.iter().for_each(|summary| machine.learn(summary));
        recovered.networks.iter().for_each(|facts| machine.restore_network(facts));
        let (sender, answers) = mpsc::unbounded_channel();
        let prober = Prober::new(&settings, clock.clone(), resolver, sender);
        let phase = settings.probe.interval.mul_f64(random.f64());
        let boot_time = Duration::from_millis(now.boot_ms);
        let tally = Tally::new(now);
        let hour_ends = boot_time + tally.time_to_full_hour(now);
        let mut monitor = Self {
            schedule: ProbeSchedule::new(settings.probe.interval, phase, boot_time),
            status_builder: StatusBuilder::new(
                &settings,
                now,
                &state_dir,
                publisher,
                manager.clone(),
            ),
            manager,
            recorder: Recorder::new(journal, closed),
            settings,
            clock,
            machine,
            prober,
            results: answers,
            links: LinkMonitor::new(),
            tally: SharedTally::new(tally),
            random,
            connectivity_restored: returned,
            pause: None,
            void_before_ms: 0,
            status_key: None,
            has_warned_of_blocked: false,
            clocks_read_at: boot_time,
            alive_written_at: Duration::ZERO,
            hour_ends,
        };
        monitor.begin(&recovered, now);
        monitor
    }

    /// Records how the last run ended and that this one has begun.
    fn begin(&mut self, recovered: &Recovered, now: Stamp) {
        for note in &recovered.notes {
            Advice { advice: note }.emit();
        }
        for incident in &recovered.superseded {
            self.recorder.progress(Transition::Closed(incident.clone()), now);
        }
        let Start { gaps, pause, must_record_pause } = recovered.start(now);
        for PastGap { cause, started, ended, uncertain_s } in gaps {
            self.note_gap(cause, started, ended, uncertain_s);
        }
        self.pause = pause;
        if let Some(pause) = pause {
            self.tally.lock().stop_monitoring(now);
            if must_record_pause {
                self.recorder.write(Entry::Paused { until: pause.until }, now);
            }
        }
        let (version, device) =
            (env!("CARGO_PKG_VERSION").to_owned(), self.settings.device.clone());
        self.recorder.write(Entry::AgentStarted { version, device }, now);
        self.begin_grace(GraceReason::Started, now);
    }
}
