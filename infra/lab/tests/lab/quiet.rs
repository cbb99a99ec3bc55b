//! Announced silence: the mails about a clean stop of the real agent.
//!
//! Cloud, function and agent are real; a minute of the story takes one second.

use std::time::Duration;

use ispmon_lab::{
    clock::{Scale, StoryClock},
    cloud::{Cloud, CloudEvent, HeartbeatRow},
    demo::agent::{Agent, AgentEvent, AgentSettings},
    internet::Internet,
    rules::MonitorCondition,
};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::time::{Instant, timeout_at};

use crate::stage::{self, DEVICE, HANG, KEY, lab};

/// A cloud, a device that may run or not, and the events so far.
struct Stage {
    cloud: Cloud,
    internet: Internet,
    agent: Option<Agent>,
    clock: StoryClock,
    home: TempDir,
    heartbeats: Vec<HeartbeatRow>,
    mails: Vec<(MonitorCondition, String, Timestamp)>,
}

impl Stage {
    async fn set() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let clock = StoryClock::start_on_the_hour(Scale::FASTEST);
        let cloud = stage::start_cloud(&home, clock).await;
        let internet = Internet::start(cloud.address()).await.expect("the internet");
        Self { cloud, internet, agent: None, clock, home, heartbeats: vec![], mails: vec![] }
    }

    fn start_agent(&mut self, quiet_after_stop: Duration) {
        let settings = AgentSettings {
            executable: lab(),
            folder: self.home.path().to_owned(),
            device: DEVICE.to_owned(),
            internet: self.internet.addresses().clone(),
            key: KEY.to_owned(),
            quiet_after_stop,
        };
        self.agent = Some(Agent::start(&settings).expect("the agent starts"));
    }

    /// Stops the agent like a service manager, and waits for its exit.
    async fn stop_agent(&mut self) {
        let mut agent = self.agent.take().expect("an agent runs");
        agent.terminate();
        let deadline = Instant::now() + HANG;
        loop {
            match timeout_at(deadline, agent.next()).await.expect("the agent exits") {
                AgentEvent::Logged(_) => {}
                AgentEvent::Exited(status) => {
                    assert!(
                        status.expect("the exit status is known").success(),
                        "the agent stops cleanly"
                    );
                    return;
                }
            }
        }
    }

    /// Processes events until `enough` returns true.
    async fn until(&mut self, enough: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + HANG;
        while !enough(self) {
            let event = timeout_at(deadline, self.cloud.next_event()).await;
            match event.expect("the event arrives in time") {
                CloudEvent::HeartbeatVisible(heartbeat) => self.heartbeats.push(heartbeat),
                CloudEvent::Mail { notification, .. } => self.mails.push((
                    notification.condition,
                    notification.rule.name.clone(),
                    notification.evaluated,
                )),
                CloudEvent::FunctionEnded(end) => panic!("the function {}", end.ending),
                CloudEvent::HostStopped { reason } => panic!("the host has stopped: {reason}"),
                _ => {}
            }
        }
    }

    async fn heartbeats(&mut self, more: usize) {
        let wanted = self.heartbeats.len() + more;
        self.until(|stage| stage.heartbeats.len() >= wanted).await;
    }

    /// Processes events for this many story minutes.
    async fn minutes(&mut self, minutes: i64) {
        let end = self.clock.now() + SignedDuration::from_mins(minutes);
        // Evaluations are events too, so this ends at most one of them late.
        self.until(|stage| stage.clock.now() >= end).await;
    }

    fn last(&self) -> &HeartbeatRow {
        self.heartbeats.last().expect("a heartbeat")
    }
}

#[tokio::test]
async fn a_restart_within_the_announced_silence_is_not_mailed() {
    let mut stage = Stage::set().await;
    stage.start_agent(Duration::from_secs(14));
    stage.heartbeats(3).await;
    stage.stop_agent().await;
    stage.until(|stage| stage.last().state.as_deref() == Some("stopping")).await;
    assert_eq!(stage.last().quiet, SignedDuration::from_mins(14));

    // Longer than any silence that is tolerated without an announcement.
    stage.minutes(10).await;
    assert_eq!(stage.last().state.as_deref(), Some("stopping"));
    stage.start_agent(Duration::from_secs(14));
    stage.heartbeats(1).await;
    stage.minutes(15).await;
    assert_eq!(stage.mails, []);
}

#[tokio::test]
async fn a_stop_that_outlasts_its_announced_silence_is_mailed() {
    let mut stage = Stage::set().await;
    stage.start_agent(Duration::from_secs(4));
    stage.heartbeats(3).await;
    stage.stop_agent().await;
    stage.until(|stage| !stage.mails.is_empty()).await;
    let HeartbeatRow { state, quiet, written, .. } = stage.last().clone();
    assert_eq!((state.as_deref(), quiet), (Some("stopping"), SignedDuration::from_mins(4)));

    let (condition, rule, evaluated) = &stage.mails[0];
    assert_eq!((*condition, rule.as_str()), (MonitorCondition::Fired, "ispmon-device-silent"));
    let silent = evaluated.duration_since(written + quiet);
    let (from, until) = (SignedDuration::from_mins(5), SignedDuration::from_mins(10));
    assert!((from..=until).contains(&silent), "alarm {silent:#} after the announced silence");
}

#[tokio::test]
async fn a_stop_without_an_announced_silence_is_mailed() {
    let mut stage = Stage::set().await;
    stage.start_agent(Duration::ZERO);
    stage.heartbeats(3).await;
    stage.stop_agent().await;
    stage.until(|stage| !stage.mails.is_empty()).await;
    let silent = stage.mails[0].2.duration_since(stage.last().written);
    let (from, until) = (SignedDuration::from_mins(5), SignedDuration::from_mins(10));
    assert!((from..=until).contains(&silent), "alarm after {silent:#}");
}
