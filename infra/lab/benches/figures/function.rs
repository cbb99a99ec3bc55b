//! The function's figures: throughput compared with a bare server, memory, start time, and a flood
//! of connections.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpStream, unix::pipe},
    time::Instant,
};

use crate::{
    load::{self, BARE_SERVER},
    process::{Process, row},
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const STARTS: usize = 20;
const FLOOD: usize = 10_000;

/// Measures and prints all figures of the function.
pub(crate) async fn print(binary: &Path) {
    println!("\nfunction");
    row(
        "binary",
        format!("{:.2} MB", fs::metadata(binary).unwrap().len() as f64 / 1_000_000.0),
        "",
    );
    starts(binary).await;
    speed(binary).await;
    flood(binary).await;
}

fn free_port() -> SocketAddr {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn start(command: &mut Command, server: SocketAddr) -> Process {
    command.env_clear().env("FUNCTIONS_CUSTOMHANDLER_PORT", server.port().to_string());
    let mut process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
    // The host reads every line, on the event loop that also serves HTTP.
    if let Some(lines) = process.stdout() {
        let mut lines = pipe::Receiver::from_owned_fd(lines.into()).expect("stdout is a pipe");
        tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            while lines.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        });
    }
    process
}

async fn starts(binary: &Path) {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let server = free_port();
        let started = Instant::now();
        let _process = start(&mut Command::new(binary), server);
        times.push(load::first_answer(server, started).await.expect("the function answers"));
    }
    times.sort();
    let text = format!("{:.1} ms", times[STARTS / 2].as_secs_f64() * 1000.0);
    row("exec to first answer, median of 20", text, "at most 20 ms");
}

async fn speed(binary: &Path) {
    let (own, bare) = (free_port(), free_port());
    let function = start(&mut Command::new(binary), own);
    let _server = start(Command::new(std::env::current_exe().unwrap()).arg(BARE_SERVER), bare);
    load::first_answer(own, Instant::now()).await.expect("the function answers");
    load::first_answer(bare, Instant::now()).await.expect("the bare server answers");
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let rate = load::requests_per_second(own, ROUND).await;
        ratios.push(rate / load::requests_per_second(bare, ROUND).await);
        rates.push(rate);
    }
    ratios.sort_by(f64::total_cmp);
    rates.sort_by(f64::total_cmp);
    row("heartbeats per second, median of 5 rounds", format!("{:.0}", rates[ROUNDS / 2]), "");
    let text = format!("{:.2} ({:.2} to {:.2})", ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]);
    row("  of a bare hyper server's, paired rounds", text, "at least 0.9");
    row("resident memory under load, highest", function.memory_text("VmHWM"), "at most 5 MB");
}

async fn flood(binary: &Path) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a higher limit of open files");
    let server = free_port();
    let mut process = start(&mut Command::new(binary), server);
    load::first_answer(server, Instant::now()).await.expect("the function answers");
    let before = process.memory_text("VmRSS");
    let mut connections = Vec::new();
    for _ in 0..FLOOD {
        let connect = tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(server));
        if let Ok(Ok(stream)) = connect.await {
            connections.push(stream);
        }
    }
    let answered = tokio::time::timeout(
        Duration::from_secs(30),
        load::requests_per_second(server, Duration::from_millis(10)),
    );
    let answered = if answered.await.is_ok() { "yes" } else { "no" };
    row("connections opened and held", connections.len(), "10,000 tried");
    row(
        "  resident memory before, highest",
        format!("{before}, {}", process.memory_text("VmHWM")),
        "at most 5 MB",
    );
    row("  heartbeats answered meanwhile", answered, "yes");
    row("  still running", if process.is_running() { "yes" } else { "no" }, "yes");
}
