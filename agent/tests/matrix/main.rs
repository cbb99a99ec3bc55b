mod addresses;
#[path = "../common/certificates.rs"]
mod certificates;
mod endpoint;
mod fault;
mod forwarder;
mod house;
mod http;
mod kernel;
mod name_server;
mod namespace;
mod portal;
mod servers;
mod tunnel;
mod world;

use endpoint::*;
use fault::Fault;
use std::time::Instant;
use world::World;

fn main() {
    let t = Instant::now();
    let mut world = World::new().unwrap();
    println!("built {:?}", t.elapsed());
    println!("working: {:?}", world.verify_working());
    for fault in [
        Fault::CablePulled,
        Fault::NoAddress,
        Fault::RouterDead,
        Fault::RouterDeadButKnown,
        Fault::RouterDeaf,
        Fault::IspSilent,
        Fault::IspSilentFor("ipv4"),
        Fault::IspSilentFor("ipv6"),
        Fault::IspRejects,
        Fault::RouterResets,
        Fault::NamesSilent,
        Fault::NamesLie,
        Fault::Portal,
        Fault::PortalAcceptsAll,
        Fault::EndpointRefuses,
        Fault::Endpoint(Reply::Status(500)),
        Fault::EndpointShows(Certificate::Expired),
        Fault::AnchorsBlocked,
    ] {
        world.strike(fault).unwrap();
        let r = world.verify(fault);
        world.repair(fault).unwrap();
        println!("{fault:?}: {r:?}; after: {:?}", world.verify_working());
    }
    world.insert_forwarder(7).unwrap();
    println!("fwd: {:?}", world.verify_working());
    world.forwarder().set(forwarder::Weather { loss: 0.3, delay: std::time::Duration::ZERO });
    for _ in 0..60 {
        let t = Instant::now();
        let s = fault::Question::AnchorV4.ask(&world.house).unwrap();
        print!("{s:?} {:?} ", t.elapsed().as_millis());
    }
    println!("{:?}", world.forwarder().count());
    world
        .forwarder()
        .set(forwarder::Weather { loss: 0.0, delay: std::time::Duration::from_millis(500) });
    for _ in 0..6 {
        let t = Instant::now();
        let s = fault::Question::AnchorV4.ask(&world.house).unwrap();
        print!("{s:?} {:?} ", t.elapsed());
    }
    world.forwarder().set(forwarder::Weather::default());
    world.insert_tunnel().unwrap();
    println!("tunnel: {:?}", world.verify_working());
    println!(
        "{}",
        world
            .house
            .device
            .output(
                "curl",
                &[
                    "-sS",
                    "-m",
                    "3",
                    "-k",
                    "-d",
                    "{}",
                    "--resolve",
                    "beat.ispmon.example:443:20.50.60.70",
                    "https://beat.ispmon.example/api/ping"
                ]
            )
            .unwrap_or_else(|e| e.to_string())
    );
    world.strike(Fault::TunnelDead).unwrap();
    println!("tunnel dead: {:?}", world.verify(Fault::TunnelDead));
    println!(
        "beneath {:?}",
        world.house.device.output(
            "curl",
            &[
                "-sS",
                "-m",
                "3",
                "-o",
                "/dev/null",
                "--interface",
                "if!eth0",
                "http://23.40.80.80/?abc"
            ]
        )
    );
    world.repair(Fault::TunnelDead).unwrap();
    println!("tunnel: {:?}", world.verify_working());
}
