//! `ispmon-agent ping`: sends one heartbeat and prints the answer.

use std::{io::Write, sync::Arc, time::Duration};

use ispmon_wire::AgentState;

use super::{fail, fail_because, fail_without_client, print, print_error, warn};
use crate::{
    config::{HeartbeatUrl, Loaded, Settings},
    duration::Readable,
    exit::Exit,
    heartbeat::{CloudClient, HeartbeatOutcome},
    resolver::Resolver,
    runtime,
};

/// Sends one heartbeat and waits for its answer; succeeds when the server accepted it.
pub fn ping(loaded: &Loaded) -> Exit {
    let Settings { device, heartbeat, .. } = &loaded.settings;
    warn(loaded);
    let Some(url) = &heartbeat.url else {
        print_error("there is nowhere to send a heartbeat to: set `heartbeat.url`, or give --url.");
        return Exit::Configuration;
    };
    // No boot ID: within one boot the highest sequence number counts, and a running agent has its own
    // numbers.
    let client = match CloudClient::new(heartbeat, device, "", Arc::new(Resolver::new())) {
        Ok(client) => client,
        Err(error) => return fail_without_client(&error),
    };
    let send = client.send(AgentState::Running, Duration::ZERO, heartbeat.timeout);
    match runtime::run(send) {
        Ok(outcome) => report(device, url, &outcome),
        Err(error) => fail_because(&error),
    }
}

fn report(device: &str, url: &HeartbeatUrl, outcome: &HeartbeatOutcome) -> Exit {
    match (outcome, outcome.advice()) {
        (HeartbeatOutcome::Delivered { client_address, expected, took, .. }, _) => {
            print(|output| {
                write!(output, "The heartbeat of {device} reached {url} in {}.", Readable(*took))?;
                if let Some(address) = client_address {
                    write!(output, " The cloud saw that it came from {address}.")?;
                }
                match expected {
                    Some(true) => writeln!(output, " An alert rule expects this device."),
                    Some(false) => writeln!(
                        output,
                        " No alert rule expects a device of this name, so no mail would come if it fell \
                     silent: correct `device`, or add this name to the devices that the cloud was \
                     deployed with."
                    ),
                    None => writeln!(output),
                }
            })
        }
        (_, Some(advice)) => fail(format_args!("{outcome} {advice}")),
        (_, None) => fail(outcome),
    }
}
