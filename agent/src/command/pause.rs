//! `ispmon-agent pause` and `resume`: pauses the monitoring of the running agent, or ends the pause.

use std::{io::Write, time::Duration};

use tokio::time::{Instant, sleep};

use super::{fail, fail_because, print, running::AgentPaths, zone};
use crate::{
    clock::Stamp,
    config::Sources,
    control::{ControlAnswer, ControlClientError, ControlRequest, send_request},
    duration::Readable,
    exit::Exit,
    installation::ServiceCommands,
    printable::printable,
    runtime,
    status::text::DisplayContext,
    unit::UnitDiagnosis,
};

/// The maximum time for the agent's answer: before it answers, it notifies the cloud, which may take 1.5 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Pauses the agent for `time`; succeeds when the agent confirms it.
pub fn pause(sources: &Sources, time: Duration) -> Exit {
    control(sources, ControlRequest::Pause { time })
}

/// Resumes monitoring; succeeds when the agent confirms it, also when it was not paused.
pub fn resume(sources: &Sources) -> Exit {
    control(sources, ControlRequest::Resume)
}

/// How long to retry when the status says that an agent runs, but its socket is closed: an agent that
/// restarts creates the socket again.
const START_LIMIT: Duration = Duration::from_secs(3);
/// The delay between two attempts meanwhile.
const START_INTERVAL: Duration = Duration::from_millis(50);

fn control(sources: &Sources, request: ControlRequest) -> Exit {
    let places = AgentPaths::of(sources);
    let commands = ServiceCommands::of(sources.homebrew.as_ref());
    let asking = async {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let mut result = Err(None);
            for socket in &places.sockets() {
                result = send_request(socket, request, ANSWER_LIMIT).await.map_err(Some);
                if !matches!(result, Err(Some(ControlClientError::NotRunning(_)))) {
                    return result;
                }
            }
            let runs = places.find_with_presence().is_ok_and(|(_, presence)| presence.is_running());
            if !runs || Instant::now() >= deadline {
                return result;
            }
            sleep(START_INTERVAL).await;
        }
    };
    match runtime::run(asking) {
        Ok(Ok(answer)) => report(&answer),
        Ok(Err(error @ (None | Some(ControlClientError::NotRunning(_))))) => {
            let unit = AgentPaths::unit(sources, &places.find_with_presence());
            match (unit.and_then(|unit| unit.diagnosis()), error) {
                (Some(UnitDiagnosis { finding, advice }), _) => {
                    fail(format_args!("the agent is not running: {finding}. {advice}"))
                }
                (None, Some(error)) => explain(&error, commands),
                (None, None) => {
                    fail(format_args!("the agent is not running. {}", commands.start_advice()))
                }
            }
        }
        Ok(Err(Some(error))) => explain(&error, commands),
        Err(error) => fail_because(&error),
    }
}

fn report(answer: &ControlAnswer) -> Exit {
    let now = Stamp::now();
    let zone = zone();
    let context = DisplayContext { now, zone: &zone, presence: crate::status::Presence::Running };
    match answer {
        ControlAnswer::Paused { until, again, announced } => print(|output| {
            // Rounded up to the requested whole seconds: some milliseconds have passed since.
            let time = Readable(Duration::from_secs(
                until.time_left(&context.now).as_secs_f64().ceil() as u64,
            ));
            write!(output, "Paused until {} ({time}): nothing is monitored", context.time(until))?;
            output.write_all(match announced {
                Some(true) => b", and the cloud raises no alarm meanwhile.",
                Some(false) => {
                    b". The cloud could not be notified, so an alarm may come meanwhile.".as_slice()
                }
                None => b".",
            })?;
            if *again {
                write!(output, " It was paused already; now this time counts.")?;
            }
            writeln!(output, " To end it sooner: ispmon-agent resume")
        }),
        ControlAnswer::Resumed { paused } => print(|output| {
            writeln!(output, "The agent monitors again, after {}.", Readable(context.since(paused)))
        }),
        ControlAnswer::NotPaused => print(|output| writeln!(output, "The agent was not paused.")),
        ControlAnswer::Refused { reason } => fail(printable(reason)),
    }
}

fn explain(error: &ControlClientError, commands: ServiceCommands) -> Exit {
    match error {
        ControlClientError::NotRunning(_) => {
            let advice = commands.start_advice();
            fail(format_args!("the agent is not running: {error}. {advice}"))
        }
        ControlClientError::Forbidden(_) => fail(format_args!(
            "{error}: it is open to root and to the agent's own user and group. To do this, {}",
            commands.control_advice()
        )),
        ControlClientError::NoAnswer(_) => {
            fail(format_args!("{error}: it hangs, or is very busy. Try again, or restart it."))
        }
        ControlClientError::Stopped(_) => {
            fail(format_args!("{error}: it may be stopping. Try again."))
        }
        ControlClientError::Io(..) | ControlClientError::Garbled(..) => fail_because(error),
    }
}
